package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
)

type fakeModel struct {
	revision atomic.Int64
	problem  string
	started  atomic.Int32
	refusal  error
}

func (m *fakeModel) KillLeader() (int32, error) { return 2, m.refusal }

func (m *fakeModel) StartBroker(_ context.Context, id int32) error {
	m.started.Store(id)
	return m.refusal
}

func (m *fakeModel) Town() Town      { return Town{Roads: []Road{}} }
func (m *fakeModel) Values() []Value { return []Value{{Name: "x", Basis: "illustrative"}} }
func (m *fakeModel) Status() Status  { return Status{Rate: 7, Problem: m.problem} }
func (m *fakeModel) Cars() []Car     { return []Car{{ID: "a"}} }
func (m *fakeModel) Events() []Event { return []Event{{ID: "e1", Driver: "a"}} }
func (m *fakeModel) Drivers() []Driver {
	return []Driver{{ID: "a", Revision: 1}, {ID: "b", Revision: 1 + m.revision.Load()}}
}

func (m *fakeModel) Driver(id string) (DriverDetail, bool) {
	return DriverDetail{Driver: Driver{ID: id}}, id == "a"
}

func serve(t *testing.T, m Model) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(Handler(m))
	t.Cleanup(server.Close)
	return server
}

func get(t *testing.T, url, host string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		request.Host = host
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

func TestAnswers(t *testing.T) {
	server := serve(t, &fakeModel{})
	for path, want := range map[string]int{
		"/": 200, "/app.js": 200, "/style.css": 200, "/mark.svg": 200, "/api/town": 200, "/api/values": 200,
		"/api/drivers/a": 200, "/api/drivers/nobody": 404, "/healthz": 200, "/nothing": 404, "/../server.go": 404,
	} {
		response := get(t, server.URL+path, "")
		if response.StatusCode != want {
			t.Errorf("%s: %d instead of %d", path, response.StatusCode, want)
		}
		if csp := response.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", path, csp)
		}
	}
	if got := get(t, serve(t, &fakeModel{problem: "no log"}).URL+"/healthz", "").StatusCode; got != 503 {
		t.Errorf("with a problem: %d", got)
	}
}

func TestForeignNamesAreRefused(t *testing.T) {
	server := serve(t, &fakeModel{})
	for host, want := range map[string]int{"localhost:1": 200, "127.0.0.1": 200, "[::1]:80": 200, "evil.example": 403, "evil.example:8080": 403} {
		if got := get(t, server.URL+"/", host).StatusCode; got != want {
			t.Errorf("host %s: %d instead of %d", host, got, want)
		}
	}
}

// The first tick has everything, the following ones what has changed.
func TestStream(t *testing.T) {
	m := &fakeModel{}
	response := get(t, serve(t, m).URL+"/api/stream", "")
	if kind := response.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Fatalf("content type %q", kind)
	}
	lines := bufio.NewScanner(response.Body)
	next := func() tick {
		var got tick
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				if err := json.Unmarshal([]byte(data), &got); err != nil {
					t.Fatal(err)
				}
				return got
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return got
	}
	if first := next(); len(first.Drivers) != 2 || len(first.Events) != 1 || len(first.Cars) != 1 || first.Status.Rate != 7 {
		t.Errorf("first tick %+v", first)
	}
	m.revision.Add(1)
	if second := next(); len(second.Drivers) != 1 || second.Drivers[0].ID != "b" || len(second.Events) != 0 {
		t.Errorf("second tick %+v", second)
	}
}

// The page asks nobody else, and its policy is not worked around by inline code or style.
func TestPageKeepsToItself(t *testing.T) {
	foreign := regexp.MustCompile(`https?://[^"'\s]+`)
	inline := regexp.MustCompile(`<script>|\son\w+="|\sstyle="|innerHTML|eval\(`)
	err := fs.WalkDir(files, "page", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		for _, url := range foreign.FindAllString(string(body), -1) {
			if !strings.HasPrefix(url, "http://www.w3.org/") { // names of formats, which nobody fetches
				t.Errorf("%s names %s", path, url)
			}
		}
		if found := inline.FindString(string(body)); found != "" {
			t.Errorf("%s has %q", path, found)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestOperations kills and starts brokers, from the page and from programs, and not from other pages.
func TestOperations(t *testing.T) {
	m := &fakeModel{}
	server := serve(t, m)
	post := func(path, site string) (int, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if site != "" {
			request.Header.Set("Sec-Fetch-Site", site)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, strings.TrimSpace(string(body))
	}
	for _, site := range []string{"", "same-origin"} {
		if code, body := post("/api/kill-leader", site); code != 200 || body != `{"broker":2}` {
			t.Errorf("%d %s", code, body)
		}
	}
	if code, _ := post("/api/kill-leader", "cross-site"); code != http.StatusForbidden {
		t.Errorf("another page kills the leader: %d", code)
	}
	if code, body := post("/api/brokers/3/start", ""); code != 200 || body != `{"broker":3}` || m.started.Load() != 3 {
		t.Errorf("%d %s", code, body)
	}
	if code, _ := post("/api/brokers/three/start", ""); code != http.StatusBadRequest {
		t.Error(code)
	}
	m.refusal = errors.New("no leader")
	if code, body := post("/api/kill-leader", ""); code != http.StatusConflict || body != "no leader" {
		t.Errorf("%d %s", code, body)
	}
	m.refusal = fmt.Errorf("%w: 9", ErrNoBroker)
	if code, body := post("/api/brokers/9/start", ""); code != http.StatusNotFound || body != "no such broker: 9" {
		t.Errorf("%d %s", code, body)
	}
	m.refusal = ErrNotMine
	if code, _ := post("/api/brokers/3/start", ""); code != http.StatusNotImplemented {
		t.Error(code)
	}
}
