package node

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/config"
	"github.com/logbahn/logbahn/internal/vfs"
)

// startOps starts a node with an operations endpoint, and more settings.
func startOps(t *testing.T, more ...string) *Node {
	t.Helper()
	n, err := Start(t.Context(), Config{FS: vfs.NewMem(), InProcess: true, Version: "test",
		Settings: settings(append([]string{"ops.listener", "127.0.0.1:0"}, more...)...)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, n) })
	return n
}

// get asks the endpoint with a connection of its own.
func get(t *testing.T, n *Node, path string) (int, string) {
	t.Helper()
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	resp, err := web.Get("http://" + n.OpsAddr() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func metrics(t *testing.T, n *Node) string {
	t.Helper()
	status, body := get(t, n, "/metrics")
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, body)
	}
	return body
}

// value returns the value of a series.
func value(t *testing.T, body, series string) string {
	t.Helper()
	for line := range strings.Lines(body) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	t.Errorf("no %s", series)
	return ""
}

var expositionLine = regexp.MustCompile(`^(# (HELP|TYPE) [a-zA-Z_:][a-zA-Z0-9_:]* .*|[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-zA-Z_]+="([^"\\]|\\.)*",? ?)*\})? [-+0-9.eEInfNa]+)$`)

// wellFormed checks that every line is one of the format, that no series comes twice, and that no family is described
// twice.
func wellFormed(t *testing.T, body string) {
	t.Helper()
	seen := map[string]bool{}
	for line := range strings.Lines(body) {
		line = strings.TrimSuffix(line, "\n")
		if !expositionLine.MatchString(line) {
			t.Errorf("no line of the format: %q", line)
		}
		key := line
		if !strings.HasPrefix(line, "#") {
			key = line[:strings.LastIndexByte(line, ' ')]
		}
		if seen[key] {
			t.Errorf("twice: %s", key)
		}
		seen[key] = true
	}
}

// TestDashboardsFindWhatTheyAskFor: testdata/dashboards.tsv lists the names in the dashboards and alerts of Strimzi for
// Kafka, KRaft and the exporter, and those of kafka_exporter, and says of each that it is served or why not.
func TestDashboardsFindWhatTheyAskFor(t *testing.T) {
	n := startOps(t)
	produce(t, n, "orders", "a", "b", "c")
	consume(t, n, "orders", 2)
	body := metrics(t, n)
	wellFormed(t, body)
	list, err := os.ReadFile("testdata/dashboards.tsv")
	if err != nil {
		t.Fatal(err)
	}
	served := 0
	for line := range strings.Lines(string(list)) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), "\t")
		_, why, _ := strings.Cut(rest, "\t")
		found := strings.Contains(body, "\n"+name+"{") || strings.Contains(body, "\n"+name+" ")
		switch {
		case why == "served on Linux" && runtime.GOOS != "linux":
		case strings.HasPrefix(why, "served"):
			if served++; !found {
				t.Errorf("%s is not served", name)
			}
		case found:
			t.Errorf("%s is served, though %s", name, why)
		}
	}
	if served < 60 {
		t.Errorf("%d names only", served)
	}
}

func TestMetricsTellWhatHappened(t *testing.T) {
	n := startOps(t)
	produce(t, n, "orders", "a", "b", "c")
	if consume(t, n, "orders", 2); t.Failed() {
		return
	}
	missing := kadm.NewClient(client(t, n))
	_, err := missing.DescribeTopicConfigs(within(t, 10*time.Second), "nowhere")
	if err != nil {
		t.Fatal(err)
	}
	body := metrics(t, n)
	for series, want := range map[string]string{
		`kafka_server_brokertopicmetrics_messagesin_total{topic="orders"}`:                                        "3",
		`kafka_server_brokertopicmetrics_messagesin_total`:                                                        "3",
		`kafka_consumergroup_current_offset{consumergroup="g",topic="orders",partition="0"}`:                      "2",
		`kafka_consumergroup_lag{consumergroup="g",topic="orders",partition="0"}`:                                 "1",
		`kafka_consumergroup_lag_sum{consumergroup="g",topic="orders"}`:                                           "1",
		`kafka_consumergroup_members{consumergroup="g"}`:                                                          "0",
		`kafka_topic_partition_current_offset{topic="orders",partition="0"}`:                                      "3",
		`kafka_topic_partitions{topic="orders"}`:                                                                  "1",
		`kafka_controller_kafkacontroller_activecontrollercount`:                                                  "1",
		`kafka_server_raftmetrics_current_state{current_state="leader"}`:                                          "1",
		`kafka_server_replicamanager_underreplicatedpartitions`:                                                   "0",
		`kafka_network_requestmetrics_errors_total{request="DescribeConfigs",error="UNKNOWN_TOPIC_OR_PARTITION"}`: "1",
		`logbahn_node_state{state="ready"}`:                                                                       "1",
	} {
		if got := value(t, body, series); got != want {
			t.Errorf("%s is %s, want %s", series, got, want)
		}
	}
	var behind float64
	if _, err := fmt.Sscan(value(t, body, `kafka_consumergroup_lag_seconds{consumergroup="g",topic="orders",partition="0"}`), &behind); err != nil || behind <= 0 || behind > 60 {
		t.Errorf("behind by %v s: %v", behind, err)
	}
	if _, err := missing.DeleteTopics(within(t, 10*time.Second), "orders"); err != nil {
		t.Fatal(err)
	}
	body = metrics(t, n)
	if strings.Contains(body, `topic="orders"`) && strings.Contains(body, `kafka_topic_partition_current_offset{topic="orders"`) {
		t.Error("a deleted topic is still there")
	}
	if got := value(t, body, "kafka_server_brokertopicmetrics_messagesin_total"); got != "3" {
		t.Errorf("all records fell to %s with a topic's end", got)
	}
}

func TestMetricsZipped(t *testing.T) {
	n := startOps(t)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+n.OpsAddr()+"/metrics", nil)
	req.Header.Set("Accept-Encoding", "gzip")
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	unzip, err := gzip.NewReader(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(unzip)
	if err != nil {
		t.Fatal(err)
	}
	wellFormed(t, string(body))
}

// TestSeriesAreBounded: what finds no room is left out whole, and said.
func TestSeriesAreBounded(t *testing.T) {
	for _, c := range []struct{ max, least, most int }{{0, 0, 0}, {60, 1, 60}} {
		n := startOps(t, "ops.metrics.series.max", fmt.Sprint(c.max), "num.partitions", "20")
		produce(t, n, "orders", "a")
		body := metrics(t, n)
		got := strings.Count(body, `partition="`)
		if got < c.least || got > c.most || value(t, body, "logbahn_metrics_series_left_out") == "0" {
			t.Errorf("%d series of partitions with a bound of %d, %s left out", got, c.max, value(t, body, "logbahn_metrics_series_left_out"))
		}
		if value(t, body, "kafka_server_replicamanager_partitioncount") == "0" {
			t.Error("the sums are gone too")
		}
	}
}

func TestConsumerLagCanBeLeftOut(t *testing.T) {
	n := startOps(t, "ops.consumer.lag.enable", "false")
	produce(t, n, "orders", "a")
	consume(t, n, "orders", 1)
	if body := metrics(t, n); strings.Contains(body, "kafka_consumergroup_") {
		t.Error("groups are told of")
	}
}

// TestScrapesWhileTopicsComeAndGo is for the race detector, and for answers that contradict themselves.
func TestScrapesWhileTopicsComeAndGo(t *testing.T) {
	n := startOps(t)
	admin := kadm.NewClient(client(t, n))
	done := make(chan struct{})
	var scraping sync.WaitGroup
	for range 2 {
		scraping.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					wellFormed(t, metrics(t, n))
					get(t, n, "/clients")
					get(t, n, "/healthz?verbose")
				}
			}
		})
	}
	for i := range 15 {
		topic := fmt.Sprintf("t%d", i)
		produce(t, n, topic, "a", "b")
		consume(t, n, topic, 1)
		if _, err := admin.DeleteTopics(within(t, 10*time.Second), topic); err != nil {
			t.Error(err)
		}
	}
	close(done)
	scraping.Wait()
}

// TestSlowScraper: who reads nothing holds up neither the node nor the scrapes of others.
func TestSlowScraper(t *testing.T) {
	n := startOps(t, "num.partitions", "3000", "ops.metrics.series.max", "1000000")
	produce(t, n, "wide", "a")
	for range 3 {
		slow, err := net.Dial("tcp", n.OpsAddr())
		if err != nil {
			t.Fatal(err)
		}
		defer slow.Close()
		_ = slow.(*net.TCPConn).SetReadBuffer(1 << 10)
		if _, err := slow.Write([]byte("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		if _, err := slow.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	wellFormed(t, metrics(t, n))
	produce(t, n, "wide", "b")
	begin := time.Now()
	stop(t, n)
	if took := time.Since(begin); took > 8*time.Second {
		t.Errorf("the node stopped after %v", took)
	}
}

func TestHealth(t *testing.T) {
	n := startOps(t)
	for _, path := range []string{"/livez", "/readyz", "/healthz"} {
		if status, body := get(t, n, path); status != http.StatusOK || body != "ok\n" {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if _, body := get(t, n, "/healthz?verbose"); !strings.Contains(body, "[+] controller ok\n") || !strings.Contains(body, "[+] disk space ok\n") {
		t.Error(body)
	}
	if status, _ := get(t, n, "/nothing"); status != http.StatusNotFound {
		t.Errorf("/nothing: %d", status)
	}
}

// TestHealthWhileDraining holds a request in flight.
func TestHealthWhileDraining(t *testing.T) {
	faults := vfs.Inject(vfs.NewMem())
	n, err := Start(t.Context(), Config{FS: faults, InProcess: true, Settings: settings("ops.listener", "127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	produce(t, n, "orders", "a")
	held := make(chan struct{})
	faults.Add(vfs.Rule{Match: func(op vfs.Op, name string) bool { return op == vfs.OpSync && strings.Contains(name, "orders-0") }, Fault: vfs.Fault{Before: func() { <-held }}})
	c := client(t, n)
	answered := make(chan error, 1)
	c.Produce(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("b")}, func(_ *kgo.Record, err error) { answered <- err })
	waitUntil(t, func() bool { p, _ := n.set.Get("orders", 0); return p.EndOffset() == 2 })
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop(t, n) }()
	waitUntil(t, func() bool { status, _ := get(t, n, "/readyz"); return status == http.StatusServiceUnavailable })
	if status, body := get(t, n, "/livez"); status != http.StatusOK {
		t.Errorf("draining is taken for dead: %s", body)
	}
	if _, body := get(t, n, "/readyz"); !strings.Contains(body, "the node is draining") {
		t.Error(body)
	}
	close(held)
	if err := <-answered; err != nil {
		t.Errorf("the request in flight: %v", err)
	}
	<-stopped
}

func waitUntil(t *testing.T, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !condition(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("it does not come")
		}
	}
}

func TestOpsPortTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	_, err = Start(t.Context(), Config{FS: vfs.NewMem(), InProcess: true, Settings: settings("ops.listener", address)})
	if !errors.Is(err, ErrPortTaken) || !strings.Contains(err.Error(), "ops.listener") || !strings.Contains(err.Error(), address) {
		t.Errorf("an address that was asked for: %v", err)
	}
	var log bytes.Buffer
	n, err := Start(t.Context(), Config{FS: vfs.NewMem(), InProcess: true, OpsListener: address, Settings: settings(), Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	stop(t, n)
	if n.OpsAddr() != "" || !strings.Contains(log.String(), address) {
		t.Errorf("the default address: %s", log.String())
	}
	n, err = Start(t.Context(), Config{FS: vfs.NewMem(), InProcess: true, OpsListener: "127.0.0.1:0", Settings: settings("ops.listener", config.OpsOff)})
	if err != nil {
		t.Fatal(err)
	}
	stop(t, n)
	if n.OpsAddr() != "" {
		t.Error("off is not off")
	}
}

func TestProfilesAreForThisMachine(t *testing.T) {
	n := startOps(t)
	if status, body := get(t, n, "/debug/pprof/goroutine?debug=1"); status != http.StatusOK || !strings.Contains(body, "goroutine profile") {
		t.Errorf("%d %s", status, body)
	}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+n.OpsAddr()+"/debug/pprof/", nil)
	req.Host = "page.example" // a page that had its name resolved to this machine
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("a page's request: %d", resp.StatusCode)
	}
}

// TestPagesDoNotReadClients: a name that was resolved to this machine by somebody else is not answered.
func TestPagesDoNotReadClients(t *testing.T) {
	n := startOps(t)
	_, port, err := net.SplitHostPort(n.OpsAddr())
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{"page.example": http.StatusForbidden, "page.example:" + port: http.StatusForbidden,
		"LocalHost:" + port: http.StatusOK, "10.1.2.3": http.StatusOK, "[::1]:" + port: http.StatusOK, "[fe80::1]": http.StatusOK} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+n.OpsAddr()+"/clients", nil)
		req.Host = host
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", host, resp.StatusCode, want)
		}
	}
}

type clientsAnswer struct {
	ClusterID string `json:"cluster_id"`
	NodeID    int32  `json:"node_id"`
	Clients   []struct {
		Software        string `json:"software"`
		SoftwareVersion string `json:"software_version"`
		ClientID        string `json:"client_id"`
		Address         string `json:"address"`
		APIs            []struct {
			API      string `json:"api"`
			Versions []struct {
				Version int16  `json:"version"`
				Count   uint64 `json:"count"`
			} `json:"versions"`
			Errors []struct {
				Error string `json:"error"`
			} `json:"errors"`
		} `json:"apis"`
		Refused []struct {
			API     string `json:"api"`
			Key     int16  `json:"key"`
			Version int16  `json:"version"`
			Reason  string `json:"reason"`
		} `json:"refused"`
	} `json:"clients"`
}

func TestClients(t *testing.T) {
	n := startOps(t)
	c := client(t, n, kgo.ClientID("billing"), kgo.SoftwareNameAndVersion("shop", "1.2"))
	if err := c.ProduceSync(within(t, 10*time.Second), &kgo.Record{Topic: "orders", Value: []byte("a")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	// A client from the future, and one whose name is an attack.
	raw, err := n.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	beat := kmsg.NewHeartbeatRequest()
	beat.Version = 4
	hostile := "x\"} 1\n<script>" + strings.Repeat("y", 3000)
	frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID(hostile)).AppendRequest(nil, &beat, 1)
	frame[7] = 99 // the version
	if _, err := raw.Write(frame); err != nil {
		t.Fatal(err)
	}
	if _, err := raw.Read(make([]byte, 1)); err == nil {
		t.Fatal("the request was answered")
	}
	_ = raw.Close()

	_, body := get(t, n, "/clients")
	var answer clientsAnswer
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	if answer.ClusterID != n.ClusterID() || answer.NodeID != 1 {
		t.Errorf("clients of node %d of cluster %q, want 1 of %q", answer.NodeID, answer.ClusterID, n.ClusterID())
	}
	if _, metrics := get(t, n, "/metrics"); !strings.Contains(metrics, "logbahn_node_info{cluster_id=\""+n.ClusterID()+"\",node_id=\"1\"} 1\n") {
		t.Error("the metrics do not say which node of which cluster this is")
	}
	if len(body) > 10_000 {
		t.Errorf("%d bytes about two clients", len(body))
	}
	billing, refused := false, false
	for _, one := range answer.Clients {
		for _, api := range one.APIs {
			billing = billing || one.Software == "shop" && one.SoftwareVersion == "1.2" && one.ClientID == "billing" &&
				api.API == "Produce" && len(api.Versions) == 1 && api.Versions[0].Count == 1
		}
		for _, r := range one.Refused {
			refused = refused || r.API == "Heartbeat" && r.Version == 99 && r.Reason != ""
		}
	}
	if !billing || !refused {
		t.Errorf("billing %v, refused %v:\n%s", billing, refused, body)
	}
	wellFormed(t, metrics(t, n))
}
