package payd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/logbahn/logbahn/apps/payd/fleet"
	"github.com/logbahn/logbahn/apps/payd/habit"
	"github.com/logbahn/logbahn/apps/payd/premium"
	"github.com/logbahn/logbahn/apps/payd/trip"
	"github.com/logbahn/logbahn/logbahntest"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
)

// startLog runs a log for the test and returns its addresses.
func startLog(t *testing.T) []string {
	t.Helper()
	broker := logbahntest.Run(t, logbahntest.TCP(), logbahntest.Setting("group.min.session.timeout.ms", "500"))
	return []string{broker.Addr()}
}

// startClient returns the configuration of a Run on a log of its own, and a client of that.
func startClient(t *testing.T) (*Config, *kgo.Client) {
	t.Helper()
	config := &Config{Brokers: startLog(t)}
	if err := config.normalize(); err != nil {
		t.Fatal(err)
	}
	client, err := config.newClient("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return config, client
}

// running is a Run that a test started.
type running struct {
	url    string
	cancel context.CancelFunc
	done   chan error
}

func start(t *testing.T, config Config) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ready := make(chan string, 1)
	config.Ready = func(url string) { ready <- url }
	if config.Listen == "" {
		config.Listen = "127.0.0.1:0"
	}
	config.paces = paces{silentMax: 400 * time.Millisecond, scoreEvery: 200 * time.Millisecond, stateEvery: time.Second}
	r := &running{cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- Run(ctx, config) }()
	select {
	case r.url = <-ready:
	case err := <-r.done:
		t.Fatalf("Run ended before it was ready: %v", err)
	case <-time.After(20 * time.Second):
		t.Fatal("not ready after 20 s")
	}
	t.Cleanup(func() { r.stop(t) })
	return r
}

func (r *running) stop(t *testing.T) {
	t.Helper()
	r.cancel()
	select {
	case err := <-r.done:
		if err != nil {
			t.Errorf("Run: %v", err)
		}
		r.done <- nil
	case <-time.After(20 * time.Second):
		pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
		t.Error("Run did not return 20 s after its context ended")
	}
}

// tables reads what the topics say now: the newest score and premium per driver, events by id, dead letters by origin.
type tables struct {
	scores map[string]habit.Summary
	quotes map[string]premium.Quote
	events map[string]habit.Event
	dead   map[string]string
}

func readTables(t *testing.T, brokers []string) tables {
	t.Helper()
	config := &Config{Brokers: brokers}
	if err := config.normalize(); err != nil {
		t.Fatal(err)
	}
	out := tables{map[string]habit.Summary{}, map[string]premium.Quote{}, map[string]habit.Event{}, map[string]string{}}
	read := func(topic string, each func(r *kgo.Record) error) {
		err := readAll(t.Context(), config, topic, fromStart(partitions), func(r *kgo.Record) {
			if err := each(r); err != nil {
				t.Errorf("%s: %v", topic, err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	read(topicScores, func(r *kgo.Record) error {
		var s habit.Summary
		defer func() { out.scores[string(r.Key)] = s }()
		return json.Unmarshal(r.Value, &s)
	})
	read(topicQuotes, func(r *kgo.Record) error {
		var q premium.Quote
		defer func() { out.quotes[string(r.Key)] = q }()
		return json.Unmarshal(r.Value, &q)
	})
	read(topicEvents, func(r *kgo.Record) error {
		var e habit.Event
		err := json.Unmarshal(r.Value, &e)
		out.events[e.ID] = e
		return err
	})
	read(topicDead, func(r *kgo.Record) error {
		out.dead[header(r, headerFrom)] = header(r, headerReason)
		return nil
	})
	return out
}

// wait reads the tables until they are as asked.
func wait(t *testing.T, brokers []string, what string, ok func(tables) bool) tables {
	t.Helper()
	deadline := time.Now().Add(40 * time.Second)
	for {
		got := readTables(t, brokers)
		if ok(got) {
			return got
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after 40 s: %d scores, %d premiums, %d dead; %.2000s", what, len(got.scores), len(got.quotes), len(got.dead), fmt.Sprintf("%+v", got.scores))
		}
		select {
		case <-t.Context().Done():
			t.Fatal("the test ends")
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// dataFile returns a file that is kept beside the repository, or skips saying so.
func dataFile(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../../shared/data", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("skipped: the data set %s is not beside the repository", name)
	}
	return path
}

func countReasons(dead map[string]string) map[string]int {
	n := map[string]int{}
	for _, reason := range dead {
		n[reason]++
	}
	return n
}

func TestReplayDrivePlotRThroughTheTopics(t *testing.T) {
	t.Parallel()
	file := dataFile(t, "driveplotr-nds/nds_data.csv.gz")
	brokers := startLog(t)
	start(t, Config{Brokers: brokers, Replay: Replay{File: file}})
	got := wait(t, brokers, "all rows in the score and a premium", func(got tables) bool {
		s := got.scores["driveplotr-1"]
		return s.Counters.Records == 23187 && s.TimeMs == 1560996164000 && got.quotes["driveplotr-1"].TimeMs == s.TimeMs
	})
	s := got.scores["driveplotr-1"]
	if s.HarshRows != 128 || s.Counters.Drives != 28 || s.Counters.Duplicates != 0 || s.Counters.Late != 0 {
		t.Errorf("%d harsh rows, %+v", s.HarshRows, s.Counters)
	}
	if km := s.Counters.GPSM / 1000; math.Abs(km/374.8-1) > 0.03 {
		t.Errorf("%.1f km from positions", km)
	}
	if len(got.dead) != 0 {
		t.Errorf("dead letters: %v", countReasons(got.dead))
	}
	if q := got.quotes["driveplotr-1"]; q.Cents <= 0 || q.Simulated != 0 {
		t.Errorf("%+v", q)
	}
}

func TestReplayNDSBRThroughTheTopics(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file, device                     string
		records, over, limited, deadRows int64
	}{
		{"nds-br/driver_A.csv.gz", "nds-br-A", 3623, 470, 3282, 0},
		{"nds-br/driver_B.csv.gz", "nds-br-B", 6425, 577, 5386, 3351},
	} {
		t.Run(c.device, func(t *testing.T) {
			file := dataFile(t, c.file)
			brokers := startLog(t)
			start(t, Config{Brokers: brokers, Replay: Replay{File: file}})
			got := wait(t, brokers, "all rows in the score", func(got tables) bool {
				s := got.scores[c.device]
				return s.Counters.Records == c.records && s.LimitRows == c.limited && int64(len(got.dead)) >= c.deadRows
			})
			if s := got.scores[c.device]; s.OverRows != c.over {
				t.Errorf("%d rows over the limit instead of %d", s.OverRows, c.over)
			}
			reasons := countReasons(got.dead)
			if int64(reasons[string(trip.ReasonInvalidTime)]) != c.deadRows || int64(len(got.dead)) != c.deadRows {
				t.Errorf("dead letters %v instead of %d", reasons, c.deadRows)
			}
		})
	}
}

func TestReplayOfLinesNeedsUnitAndZone(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "lines.txt")
	lines := "ID-203217 80 5-15-2015 00:08:13 -73.978165,40.757977\nID-203216 60 5-15-2015 00:08:13 -74.006683,40.731781\n"
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	brokers := startLog(t)
	config := Config{Brokers: brokers, Replay: Replay{File: file}}
	if err := Run(t.Context(), config); err == nil || !strings.Contains(err.Error(), "time zone") {
		t.Fatalf("without unit and zone: %v", err)
	}
	config.LineUnit, config.LineZone = "mph", "America/New_York"
	start(t, config)
	got := wait(t, brokers, "both drivers", func(got tables) bool {
		return got.scores["ID-203217"].TimeMs > 0 && got.scores["ID-203216"].TimeMs > 0
	})
	if want := time.Date(2015, 5, 15, 4, 8, 13, 0, time.UTC).UnixMilli(); got.scores["ID-203217"].TimeMs != want {
		t.Errorf("time %d instead of %d", got.scores["ID-203217"].TimeMs, want)
	}
}

// A line of the article's own program, sent without a key to the running demonstration.
func TestALineWithoutAKeyIsReKeyed(t *testing.T) {
	t.Parallel()
	brokers := startLog(t)
	start(t, Config{Brokers: brokers, Cars: 1, LineUnit: "mph", LineZone: "UTC"})
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.DefaultProduceTopic(topicRaw))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, line := range []string{"ID-203217 80 5-15-2015 00:08:13 -73.978165,40.757977", "rubbish"} {
		if err := client.ProduceSync(t.Context(), kgo.StringRecord(line)).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	got := wait(t, brokers, "the driver and the dead letter", func(got tables) bool {
		return got.scores["ID-203217"].Source == trip.SourceLine && len(got.dead) > 0
	})
	if reasons := countReasons(got.dead); reasons[string(trip.ReasonMalformed)] != 1 {
		t.Errorf("dead letters %v", reasons)
	}
}

func TestBadConfigsAreRefused(t *testing.T) {
	for name, config := range map[string]Config{
		"no broker":      {},
		"unit, no zone":  {Brokers: []string{"x"}, LineUnit: "mph"},
		"unknown unit":   {Brokers: []string{"x"}, LineUnit: "furlongs", LineZone: "UTC"},
		"unknown zone":   {Brokers: []string{"x"}, LineUnit: "mph", LineZone: "Mars"},
		"no such file":   {Brokers: []string{"x"}, Replay: Replay{File: "nowhere.csv"}},
		"negative speed": {Brokers: []string{"x"}, Replay: Replay{Speed: -1}},
	} {
		if err := Run(t.Context(), config); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// drivesFile writes a file of one device's drives, n records and as many more as the last drive has, and returns the last one.
func drivesFile(t *testing.T, device string, n int) (path string, records int, last trip.Record) {
	t.Helper()
	const harsh = 8 // of the fleet's natures
	town := fleet.New(fleet.Config{Seed: 1})
	var file []byte
	for sample, begin := 0, time.Date(2026, 5, 15, 12, 0, 0, 0, time.UTC); records < n; sample++ {
		for _, r := range town.SampleTrip(harsh, sample, begin) {
			records++
			r.Device, r.Seq = device, int64(records)
			line, err := r.AppendJSON(file)
			if err != nil {
				t.Fatal(err)
			}
			file, last = append(line, '\n'), r
		}
		begin = time.UnixMilli(last.TimeMs).Add(10 * time.Minute)
	}
	path = filepath.Join(t.TempDir(), "drives.jsonl")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, records, last
}

// wire carries a process's connections until the test cuts it: to the log, the process has been killed.
type wire struct {
	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

func (w *wire) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil && w.cut {
		conn.Close()
		err = errors.New("the wire is cut")
	}
	w.conns = append(w.conns, conn)
	return conn, err
}

func (w *wire) kill() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
	for _, conn := range w.conns {
		if conn != nil {
			conn.Close()
		}
	}
}

// The application is killed several times while it replays; what it says in the end is what one run says.
func TestKillsChangeNothing(t *testing.T) {
	t.Parallel()
	const device = "harsh-1"
	file, records, last := drivesFile(t, device, 6000)
	settled := func(got tables) bool {
		s := got.scores[device]
		return s.Counters.Records == int64(records) && s.TimeMs == last.TimeMs && got.quotes[device].TimeMs == s.TimeMs
	}
	brokers := startLog(t)
	start(t, Config{Brokers: brokers, Replay: Replay{File: file}})
	want := wait(t, brokers, "one run", settled)
	if len(want.events) < 10 {
		t.Fatalf("%d events are too few to compare", len(want.events))
	}

	brokers = startLog(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for range 6 {
		var w wire
		r := start(t, Config{Brokers: brokers, Replay: Replay{File: file, Speed: 2000}, Opts: []kgo.Opt{
			kgo.Dialer(w.dial), kgo.SessionTimeout(time.Second), kgo.HeartbeatInterval(200 * time.Millisecond),
		}})
		select {
		case <-time.After(time.Duration(rnd.IntN(900)) * time.Millisecond):
		case <-t.Context().Done():
		}
		w.kill()
		r.cancel()
	}
	start(t, Config{Brokers: brokers, Replay: Replay{File: file}})
	got := wait(t, brokers, "after six kills", settled)
	compareTables(t, got, want)
}

func compareTables(t *testing.T, got, want tables) {
	t.Helper()
	for device, w := range want.scores {
		if g := got.scores[device]; fmt.Sprintf("%+v", g) != fmt.Sprintf("%+v", w) {
			t.Errorf("score of %s:\n%+v instead of\n%+v", device, g, w)
		}
		if g, w := got.quotes[device], want.quotes[device]; fmt.Sprintf("%+v", g) != fmt.Sprintf("%+v", w) {
			t.Errorf("premium of %s:\n%+v instead of\n%+v", device, g, w)
		}
	}
	if !reflect.DeepEqual(got.events, want.events) {
		t.Errorf("%d events, not the same as the %d", len(got.events), len(want.events))
	}
	if fmt.Sprint(got.dead) != fmt.Sprint(want.dead) {
		t.Errorf("dead letters %v instead of %v", countReasons(got.dead), countReasons(want.dead))
	}
}

func TestTheFleetDrivesAndGoesOn(t *testing.T) {
	t.Parallel()
	brokers := startLog(t)
	config := Config{Brokers: brokers, Cars: 20, Seed: 1, Zone: noonHere()}
	var terminal bytes.Buffer
	config.Terminal = &terminal
	begun := time.Now()
	r := start(t, config)
	t.Logf("ready after %v", time.Since(begun).Round(time.Millisecond))
	got := wait(t, brokers, "scores of all with history, and cars that drive", func(got tables) bool {
		driven := 0
		for _, s := range got.scores {
			if s.Counters.Records > 2 {
				driven++
			}
		}
		return len(got.quotes) == 20 && driven >= 4
	})
	for device, s := range got.scores {
		if s.SimulatedDays < 80 {
			t.Errorf("%s has %d simulated days", device, s.SimulatedDays)
		}
	}
	r.stop(t)
	before := readTables(t, brokers)
	start(t, config)
	after := wait(t, brokers, "more records after the restart", func(got tables) bool {
		more := 0
		for device, s := range got.scores {
			if s.Counters.Records > before.scores[device].Counters.Records {
				more++
			}
		}
		return more >= 4
	})
	for device, s := range after.scores {
		if s.Counters.Records < before.scores[device].Counters.Records {
			t.Errorf("%s has fewer records than before", device)
		}
	}
}

// What Run starts ends with it.
func TestStopLeavesNothing(t *testing.T) {
	brokers := startLog(t)
	config := Config{Brokers: brokers, Cars: 3, Terminal: io.Discard}
	priced := func(got tables) bool { return len(got.quotes) == 3 }
	first := start(t, config) // the log makes what it needs for groups, and keeps it
	wait(t, brokers, "a premium", priced)
	first.stop(t)
	before := goleak.IgnoreCurrent()
	r := start(t, config)
	wait(t, brokers, "a premium again", priced)
	r.stop(t)
	http.DefaultClient.CloseIdleConnections()
	// A fetch that a client left behind it waits in the log for as long as it asked, and the log is not what Run starts.
	err := goleak.Find(before)
	for deadline := time.Now().Add(20 * time.Second); err != nil && time.Now().Before(deadline); {
		err = goleak.Find(before)
	}
	if err != nil {
		t.Error(err)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	r := start(t, Config{Brokers: startLog(t), Cars: 3})
	deadline := time.Now().Add(20 * time.Second)
	for {
		response, err := http.Get(r.url + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("status %d", response.StatusCode)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
