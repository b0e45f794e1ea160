package interop

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// What a cell of the table can be.
const (
	same        = "same"        // it works, and every fact is Kafka's
	alone       = "alone"       // it works; there was no Kafka to compare with
	differs     = "differs"     // every difference from Kafka is listed in differences.txt
	red         = "red"         // it fails, or differs in a way that is not listed
	unsupported = "unsupported" // the client has no such feature
)

// cell is what came of one client's check.
type cell struct {
	Status      string         `json:"status"`
	Detail      string         `json:"detail,omitempty"`
	KafkaDetail string         `json:"kafka_detail,omitempty"`
	Compared    bool           `json:"compared,omitempty"` // whether Kafka was asked too
	Mismatches  []mismatch     `json:"mismatches,omitempty"`
	Facts       map[string]any `json:"facts,omitempty"` // of the features that Logbahn may not have
}

// difference is one line of differences.txt.
type difference struct {
	check, client, fact string // patterns
	logbahn, kafka      string // JSON, or *
	reason              string
}

// mismatch is a fact that is not the same on both.
type mismatch struct {
	Fact    string `json:"fact"`
	Logbahn string `json:"logbahn"` // JSON
	Kafka   string `json:"kafka"`
}

func (m mismatch) String() string {
	return fmt.Sprintf("%s: logbahn %s, kafka %s", m.Fact, m.Logbahn, m.Kafka)
}

// newCell is made of what both answered; kafkas is nil when none could be asked. What the client cannot do is no difference, as
// long as it cannot do it with Kafka either.
func newCell(check string, ours answer, kafkas *answer) cell {
	c := cell{Status: ours.Status, Detail: ours.Detail}
	if strings.HasPrefix(check, "later.") {
		c.Facts = ours.Facts
	}
	if kafkas != nil && (ours.Status != unsupported || kafkas.Status != unsupported) {
		c.Compared, c.Mismatches = true, compare(ours, *kafkas)
		if kafkas.Status != "ok" {
			c.KafkaDetail = kafkas.Detail
		}
	}
	return c
}

// outcome judges a cell, and names the listed differences that it needs.
func (c cell) outcome(check, client string, listed []difference) (outcome string, needs []int, unlisted []mismatch) {
	switch {
	case c.Status == unsupported && !c.Compared:
		return unsupported, nil, nil
	case !c.Compared && c.Status == "ok":
		return alone, nil, nil
	case !c.Compared:
		return red, nil, nil
	}
	for _, m := range c.Mismatches {
		i := slices.IndexFunc(listed, func(d difference) bool { return d.matches(check, client, m) })
		if i < 0 {
			unlisted = append(unlisted, m)
		} else if !slices.Contains(needs, i) {
			needs = append(needs, i)
		}
	}
	switch {
	case len(unlisted) > 0:
		return red, needs, unlisted
	case len(needs) > 0:
		return differs, needs, nil
	}
	return same, nil, nil
}

// compare lists what differs, sorted by fact. A check that fails is a mismatch even where it fails on Kafka too.
func compare(ours, kafkas answer) []mismatch {
	var out []mismatch
	if ours.Status != "ok" || kafkas.Status != "ok" {
		out = append(out, mismatch{"status", jsonText(ours.Status), jsonText(kafkas.Status)})
	}
	a, b := map[string]any{}, map[string]any{}
	flatten("", ours.Facts, a)
	flatten("", kafkas.Facts, b)
	for fact, value := range a {
		if other := b[fact]; !reflect.DeepEqual(value, other) {
			out = append(out, mismatch{fact, jsonText(value), jsonText(other)})
		}
	}
	for fact, other := range b {
		if _, there := a[fact]; !there {
			out = append(out, mismatch{fact, "null", jsonText(other)})
		}
	}
	slices.SortFunc(out, func(x, y mismatch) int { return strings.Compare(x.Fact, y.Fact) })
	return out
}

// flatten names each fact by its way through the objects that it is in: after/retention.ms/value.
func flatten(prefix string, facts map[string]any, into map[string]any) {
	for name, value := range facts {
		if inner, ok := value.(map[string]any); ok {
			flatten(prefix+name+"/", inner, into)
			continue
		}
		into[prefix+name] = value
	}
}

func jsonText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (d difference) matches(check, client string, m mismatch) bool {
	for pattern, name := range map[string]string{d.check: check, d.client: client} {
		if ok, _ := path.Match(pattern, name); !ok {
			return false
		}
	}
	fact := slices.ContainsFunc(strings.Split(d.fact, ","), func(one string) bool {
		before, wild := strings.CutSuffix(one, "*")
		return one == m.Fact || wild && strings.HasPrefix(m.Fact, before)
	})
	return fact && (d.logbahn == "*" || d.logbahn == m.Logbahn) && (d.kafka == "*" || d.kafka == m.Kafka)
}

// readDifferences reads differences.txt, whose head says what its lines are.
func readDifferences(t testing.TB) []difference {
	t.Helper()
	f, err := os.Open("differences.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []difference
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		fields := strings.SplitN(text, "|", 6)
		if len(fields) != 6 {
			t.Fatalf("differences.txt:%d: %d fields, want 6: check | client | fact | logbahn | kafka | reason", n, len(fields))
		}
		for i := range fields {
			if fields[i] = strings.TrimSpace(fields[i]); fields[i] == "" {
				t.Fatalf("differences.txt:%d: field %d is empty", n, i+1)
			}
		}
		out = append(out, difference{fields[0], fields[1], fields[2], fields[3], fields[4], fields[5]})
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestNewCell(t *testing.T) {
	ok, cannot, failed := answer{Status: "ok"}, answer{Status: unsupported}, answer{Status: "failed"}
	for name, c := range map[string]struct {
		ours   answer
		kafkas *answer
		want   string
	}{
		"both can":         {ok, &ok, same},
		"neither can":      {cannot, &cannot, unsupported},
		"only Kafka can":   {cannot, &ok, red},
		"only Logbahn can": {ok, &cannot, red},
		"both fail":        {failed, &failed, red},
		"Kafka not asked":  {ok, nil, alone},
		"nobody can tell":  {cannot, nil, unsupported},
	} {
		if got, _, _ := newCell("metadata", c.ours, c.kafkas).outcome("metadata", "franz-go", nil); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
