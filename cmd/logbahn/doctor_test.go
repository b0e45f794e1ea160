package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func states(d *doctor) string {
	var list []string
	for _, c := range d.Checks {
		list = append(list, c.Check+" "+c.State)
	}
	return strings.Join(list, ", ")
}

func TestDoctorComparesClocks(t *testing.T) {
	for _, c := range []struct {
		ahead, took time.Duration
		want        string // in the finding; "": none
	}{
		{0, time.Millisecond, ""}, {-1900 * time.Millisecond, 0, ""}, {5 * time.Second, 4 * time.Second, ""},
		{time.Hour, time.Second, "1h0m0s ahead of"}, {-5 * time.Second, 0, "5s behind"},
	} {
		d := &doctor{}
		d.compare(c.ahead, c.took)
		if found := len(d.Findings) > 0; found != (c.want != "") || found && !strings.Contains(d.Findings[0].What, c.want) {
			t.Errorf("%v in %v: %v, want %q", c.ahead, c.took, d.Findings, c.want)
		}
	}
}

func TestNearlyFull(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct {
		usable, total int64
		want          bool
	}{
		{-1, -1, false}, {0, -1, true}, {gib - 1, -1, true}, {gib, -1, false},
		{9 * gib, 1000 * gib, true}, {11 * gib, 1000 * gib, false}, {gib / 2, 4 * gib, false}, {gib / 8, 4 * gib, true},
	} {
		if got := nearlyFull(c.usable, c.total); got != c.want {
			t.Errorf("%d of %d: %v", c.usable, c.total, got)
		}
	}
}

const seenDoctor = `{"now": "2026-11-26T00:00:01Z", "clients": [{"client_id": "logbahn-doctor", "last_seen": "2026-11-26T00:00:00Z"}]}`

const seenClients = `{"now": "2026-11-26T00:00:01Z", "forgotten": 0, "clients": [
 {"software": "logbahn", "client_id": "logbahn-doctor", "last_seen": "2026-11-26T00:00:00Z"},
 {"software": "librdkafka", "software_version": "2.4.0", "client_id": "billing", "address": "10.0.0.7", "first_seen": "2026-11-26T00:00:00Z", "last_seen": "2026-11-26T00:00:00Z",
  "apis": [{"api": "Fetch", "key": 1, "versions": [{"version": 11, "count": 7}], "errors": [{"code": 1, "error": "OFFSET_OUT_OF_RANGE", "count": 2}]}],
  "refused": [{"api": "Fetch", "key": 1, "version": 99, "count": 3, "reason": "version not served", "last": "2026-11-26T00:00:00Z"}]},
 {"software": "", "software_version": "", "client_id": "", "address": "10.0.0.8", "first_seen": "2026-11-26T00:00:00Z", "last_seen": "2026-11-26T00:00:00Z", "apis": [], "refused": []},
 {"software": "", "client_id": "billing", "address": "10.0.0.7", "first_seen": "2026-11-26T00:00:00Z", "last_seen": "2026-11-26T00:00:00Z",
  "apis": [{"api": "ApiVersions", "key": 18, "versions": [{"version": 5, "count": 1}], "errors": [{"code": 35, "error": "UNSUPPORTED_VERSION", "count": 1}]}], "refused": []}]}`

// endpoint serves what an operations endpoint does.
func endpoint(t *testing.T, clients, metrics string) string {
	mux := http.NewServeMux()
	mux.HandleFunc("/clients", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, clients) })
	if metrics != "" {
		mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, metrics) })
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func TestDoctorReadsOperations(t *testing.T) {
	d := &doctor{opsAddr: endpoint(t, seenClients, "# HELP x\nprocess_max_fds 256\nprocess_open_fds 12\n")}
	d.operations(context.Background())
	if got := states(d); got != "clients wrong, files wrong" {
		t.Fatal(got)
	}
	if want := "client billing (librdkafka 2.4.0) at 10.0.0.7 sent Fetch version 99, which was refused 3 times: version not served"; d.Findings[0].What != want {
		t.Errorf("%q", d.Findings[0].What)
	}
	if want := "the broker may open 256 files and has 12 open"; d.Findings[1].What != want {
		t.Errorf("%q", d.Findings[1].What)
	}
	if c := d.Clients[0]; len(d.Clients) != 2 || c.errors() != 2 || c.refusals() != 3 || c.APIs[0].text() != "Fetch:v11" || d.Clients[1].name() != "-" {
		t.Errorf("%+v", d.Clients)
	}
}

func TestDoctorWithoutOperations(t *testing.T) {
	for name, c := range map[string]struct{ clients, metrics, want string }{
		"another's":  {`{"now": "2026-11-26T00:00:01Z", "clients": []}`, "process_max_fds 1\n", "clients skipped, files skipped"},
		"an old one": {strings.Replace(seenDoctor, "00:00:01", "01:00:00", 1), "process_max_fds 1\n", "clients skipped, files skipped"},
		"no JSON":    {"hello", "", "clients skipped, files skipped"},
		"no metrics": {seenDoctor, "", "clients ok, files skipped"},
		"no limits":  {seenDoctor, "up 1\n", "clients ok, files skipped"},
		"well":       {seenDoctor, "process_max_fds 100000\nprocess_open_fds 500\n", "clients ok, files ok"},
		"nearly all": {seenDoctor, "process_max_fds 100000\nprocess_open_fds 90000\n", "clients ok, files wrong"},
	} {
		d := &doctor{opsAddr: endpoint(t, c.clients, c.metrics)}
		d.operations(context.Background())
		if got := states(d); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	d := &doctor{opsAddr: "127.0.0.1:1"}
	d.operations(context.Background())
	if got := states(d); got != "clients skipped, files skipped" {
		t.Error(got)
	}
	d = &doctor{reached: "kafka.example:9092"}
	d.operations(context.Background())
	if got := states(d); got != "clients skipped, files skipped" || !strings.Contains(d.Checks[0].Detail, "machine only") {
		t.Error(d.Checks)
	}
}
