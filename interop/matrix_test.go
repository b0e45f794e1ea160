package interop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/logbahn/logbahn/interop/kafka"
)

// column is a client of the table.
type column struct {
	Version string          `json:"version"`
	Kafka   string          `json:"kafka"` // the release that it was compared with
	Cells   map[string]cell `json:"cells"`
}

// golden is what a client saw of real Kafka.
type golden struct {
	Version string            `json:"version"`
	Kafka   string            `json:"kafka"`
	Answers map[string]answer `json:"answers"`
}

// resultsFile is where the results of a place are kept.
func resultsFile(at place) string { return "testdata/matrix" + at.name() + ".json" }

// goldenFile is where Kafka's answers are kept; those of several brokers only where they are not those of one.
func goldenFile(library string, brokers int) string {
	if brokers == 1 {
		return filepath.Join("testdata", "golden", library+".json")
	}
	return filepath.Join("testdata", "golden", fmt.Sprintf("%d-brokers", brokers), library+".json")
}

// TestMatrix asks each client library the same questions of Logbahn and of Apache Kafka; what the two answer must be the
// same, unless differences.txt says why not. LOGBAHN_MATRIX says how much of it runs:
//
//	unset    one client of each family, against what Kafka is known to answer (testdata/golden)
//	all      every client, against Kafka brokers that run beside it; writes what the two said: testdata/matrix.json and
//	         docs/compatibility.md, and testdata/golden
//	golden   every client against those brokers only; writes testdata/golden
//
// With LOGBAHN_NODES=3 the clients are pointed at three nodes, and compared with what three brokers of Kafka are known to
// answer; with LOGBAHN_PROXY=1 each client at one node's proxy, and with one broker (readGolden). all then means every client.
//
// LOGBAHN_CLIENTS and LOGBAHN_CHECKS, comma-separated patterns, restrict it; what is written is then merged into what is
// there.
func TestMatrix(t *testing.T) {
	mode := os.Getenv("LOGBAHN_MATRIX")
	if mode != "" && mode != "all" && mode != "golden" {
		t.Fatalf("LOGBAHN_MATRIX=%q, want all, golden or nothing", mode)
	}
	client(t)
	if !slices.ContainsFunc(libraries, func(l library) bool { return selected("LOGBAHN_CLIENTS", l.name) }) ||
		!slices.ContainsFunc(checks, func(check string) bool { return selected("LOGBAHN_CHECKS", check) }) {
		t.Fatal("LOGBAHN_CLIENTS or LOGBAHN_CHECKS selects nothing")
	}
	at := placeAsked(t)
	if at.proxied && mode == "golden" {
		t.Fatal("LOGBAHN_PROXY=1: Kafka has no proxy to ask")
	}
	m := &matrix{
		mode:    mode,
		at:      at,
		run:     fmt.Sprintf("%08x", rand.Uint32()),
		kafkas:  &oracles{t: t, count: at.nodes, brokers: map[string]*kafka.Broker{}},
		listed:  readDifferences(t),
		drivers: make(chan struct{}, 2),
		columns: map[string]column{},
	}
	t.Run("clients", func(t *testing.T) {
		for _, l := range libraries {
			if (mode == "" && !l.ci && os.Getenv("LOGBAHN_CLIENTS") == "") || !selected("LOGBAHN_CLIENTS", l.name) {
				continue
			}
			t.Run(l.name, func(t *testing.T) {
				t.Parallel()
				m.client(t, l)
			})
		}
	})
	if mode == "all" {
		m.write(t)
	}
}

// matrix is one run of the suite.
type matrix struct {
	mode    string
	at      place
	run     string // makes the names of this run its own
	kafkas  *oracles
	listed  []difference
	drivers chan struct{} // a token for each driver that runs

	mu      sync.Mutex
	columns map[string]column
}

// side is a broker and the client's answers of it.
type side struct {
	*target
	answers map[string]answer
	mayLose bool // what nobody has acknowledged
}

func (m *matrix) client(t *testing.T, l library) {
	version, err := l.version(t.Context())
	if err != nil {
		missing(t, err.Error())
	}
	ours, kafkas, err := m.sides(t, l)
	if err != nil {
		t.Fatal(err)
	}
	result := column{Version: version, Kafka: l.oracle, Cells: map[string]cell{}}
	for _, check := range checks {
		if !selected("LOGBAHN_CHECKS", check) {
			continue
		}
		var asked sync.WaitGroup
		for _, s := range []*side{ours, kafkas} {
			if s.target != nil {
				asked.Go(func() { s.answers[check] = m.settled(t, l, check, s) })
			}
		}
		asked.Wait()
		if ours.target == nil {
			t.Logf("%s: %s", check, jsonText(kafkas.answers[check]))
			continue
		}
		var theirs *answer
		if a, known := kafkas.answers[check]; known {
			theirs = &a
		} else {
			t.Errorf("%s %s: nobody knows what Kafka answers: make interop-golden asks it", l.name, check)
		}
		c := newCell(check, ours.answers[check], theirs)
		result.Cells[check] = c
		m.report(t, l, check, c, ours.answers[check].stderr)
	}
	if kafkas.target != nil {
		m.writeGolden(t, l, version, kafkas.answers)
	}
	if m.mode == "all" {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.columns[l.name] = result
	}
}

// sides returns what the client is run against. A side without a target is not run: Logbahn's where goldens are written,
// Kafka's where they are read.
func (m *matrix) sides(t *testing.T, l library) (ours, kafkas *side, err error) {
	ours, kafkas = &side{answers: map[string]answer{}}, &side{answers: map[string]answer{}, mayLose: true}
	if m.mode == "" || m.mode == "all" && m.at != (place{nodes: 1}) {
		g, err := readGolden(l.name, m.at)
		if err != nil {
			return nil, nil, err
		}
		kafkas.answers = maps.Clone(g.Answers)
	} else {
		b, err := m.kafkas.broker(l.oracle)
		if err != nil {
			return nil, nil, err
		}
		kafkas.target = &target{addr: b.Addr, replicas: m.at.nodes, quotas: &m.kafkas.quotas}
		if err := kafkas.makeTopics(t.Context(), b, l.name+"-"+m.run); err != nil {
			return nil, nil, err
		}
	}
	if m.mode != "golden" {
		ours.target = logbahn(t)
		if err := ours.makeTopics(t.Context(), nil, l.name+"-"+m.run); err != nil {
			return nil, nil, err
		}
	}
	return ours, kafkas, nil
}

// attempts is how often Kafka is asked for an answer that it need not always give.
const attempts = 3

// settled asks a side. With acks=0 Kafka drops records when it is slow to make a new topic's log, which is no answer to compare
// with: it is asked again. Logbahn is asked once, and has to keep them all.
func (m *matrix) settled(t *testing.T, l library, check string, s *side) answer {
	a := m.ask(t, l, check, "", s.target)
	for n := 2; s.mayLose && check == "produce.acks0" && a.Status == "failed" && n <= attempts; n++ {
		t.Logf("kafka %s: %s: asked again", check, a.Detail)
		a = m.ask(t, l, check, fmt.Sprint("-", n), s.target)
	}
	return a
}

// ask runs one check on one broker; again makes the names of a further attempt. A group is resumed where it was committed, after
// a restart of the broker where that can be had.
func (m *matrix) ask(t *testing.T, l library, check, again string, x *target) answer {
	m.drivers <- struct{}{}
	defer func() { <-m.drivers }()
	name := fmt.Sprintf("%s-%s-%s%s", l.name, strings.ReplaceAll(check, ".", "-"), m.run, again)
	if check == "group.resume" {
		name = fmt.Sprintf("%s-group-commit-%s", l.name, m.run)
		if x.restart != nil {
			x.restart(t)
		}
	}
	if check == "later.quotas" && x.quotas != nil && l.oracle == kafka.V43 {
		x.quotas.Lock()
		defer x.quotas.Unlock()
		defer func() {
			if err := x.dropQuota(context.WithoutCancel(t.Context()), name); err != nil {
				t.Error(err)
			}
		}()
	}
	return l.ask(context.WithoutCancel(t.Context()), check, params{
		Bootstrap: x.addr, Topic: name, Group: name + "-g", Replicas: x.replicas, TopicSmall: x.smallTopic, TopicLogAppend: x.logAppendTopic,
	})
}

// report fails the test for a red cell, and keeps what Logbahn's driver has written to standard error.
func (m *matrix) report(t *testing.T, l library, check string, c cell, stderr string) {
	outcome, _, unlisted := c.outcome(check, l.name, m.listed)
	if outcome != red {
		t.Logf("%s %s: %s %s", l.name, check, outcome, c.Detail)
		return
	}
	text := make([]string, 0, len(unlisted))
	for _, u := range unlisted {
		text = append(text, u.String())
	}
	t.Errorf("%s %s: %s\n\tlogbahn's driver said: %s %s\n\tkafka's driver said: %s", l.name, check, strings.Join(text, "\n\t"), c.Status, c.Detail, c.KafkaDetail)
	if stderr != "" {
		t.Logf("what %s said beside that is in %s", l.name, keep(t, check, stderr))
	}
}

// write merges the run into the stored results and renders the document.
func (m *matrix) write(t *testing.T) {
	if os.Getenv("LOGBAHN_BOOTSTRAP") != "" {
		return // the document is about nodes of this tree
	}
	all := readResults(t, m.at)
	for name, c := range m.columns {
		merged := all[name].Cells
		if merged == nil {
			merged = map[string]cell{}
		}
		maps.Copy(merged, c.Cells)
		c.Cells = merged
		all[name] = c
	}
	writeJSON(t, resultsFile(m.at), all)
	if err := os.WriteFile(documentFile, []byte(renderDocument(allResults(t), m.listed)), 0o644); err != nil {
		t.Error(err)
	}
}

func readResults(t testing.TB, at place) map[string]column {
	t.Helper()
	file := resultsFile(at)
	all := map[string]column{}
	text, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return all
	}
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return all
}

// readGolden is what Kafka is known to answer in a place. So many brokers answer as one does, unless their own file says something
// else. A client behind a proxy sees one broker, and what it creates is the cluster's.
func readGolden(library string, at place) (golden, error) {
	g, err := readGoldenFile(goldenFile(library, 1))
	if err != nil {
		return g, fmt.Errorf("what make interop-golden writes: %w", err)
	}
	if at.nodes == 1 {
		return g, nil
	}
	several, err := readGoldenFile(goldenFile(library, at.nodes))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return g, err
	}
	for check, a := range several.Answers {
		if !at.proxied || check == "topic.create" {
			g.Answers[check] = a
		}
	}
	return g, nil
}

func readGoldenFile(path string) (golden, error) {
	g := golden{Answers: map[string]answer{}}
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &g)
	}
	if err != nil {
		return g, fmt.Errorf("%s: %w", path, err)
	}
	return g, nil
}

// writeGolden merges what Kafka has answered into the client's file.
func (m *matrix) writeGolden(t *testing.T, l library, version string, answers map[string]answer) {
	path := goldenFile(l.name, m.at.nodes)
	g, err := readGoldenFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
		return
	}
	g.Version, g.Kafka = version, l.oracle
	maps.Copy(g.Answers, answers)
	if m.at.nodes > 1 {
		one, err := readGolden(l.name, place{nodes: 1})
		if err != nil {
			t.Error(err)
			return
		}
		maps.DeleteFunc(g.Answers, func(check string, a answer) bool { return jsonText(a) == jsonText(one.Answers[check]) })
	}
	writeJSON(t, path, g)
}

func writeJSON(t testing.TB, path string, v any) {
	t.Helper()
	text, err := json.MarshalIndent(v, "", " ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o755)
	}
	if err == nil {
		err = os.WriteFile(path, append(text, '\n'), 0o644)
	}
	if err != nil {
		t.Error(err)
	}
}
