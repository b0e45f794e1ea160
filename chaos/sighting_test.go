//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logbahn/logbahn/chaos/cluster"
	"github.com/logbahn/logbahn/chaos/procfs"
	"github.com/logbahn/logbahn/chaos/workload"
)

func TestKind(t *testing.T) {
	silent := []request{{1, 75 * time.Second, nil}, {2, 80 * time.Second, nil}, {3, -1, nil}}
	made := links{made: make([]procfs.Connection, 1)}
	for _, c := range []struct {
		asked []request
		links links
		want  string
	}{
		{silent, links{}, "the client asks nobody and makes no connection any more: no node has had a request of it for 1m15s"},
		{[]request{{1, -1, nil}}, links{}, "the client asks nobody and makes no connection any more: no node has had a request of it since it was started"},
		{silent, links{trying: 1}, "the client asks nobody, and its process makes connections: no node has had a request of it for 1m15s"},
		{silent, made, "the client asks nobody, and its process makes connections: no node has had a request of it for 1m15s"},
		{append(silent[:2:2], request{3, 2 * time.Second, nil}), links{}, "the client asks and gets nothing: it has last asked node 3 2s ago"},
		{append(silent[:2:2], request{3, -1, errors.New("refused")}), links{},
			"the client may be asking: no node has had a request of it for 1m15s, node 3 does not tell (refused)"},
		{[]request{{1, time.Second, nil}, {2, -1, errors.New("refused")}}, made,
			"the client asks and gets nothing: it has last asked node 1 1s ago, node 2 does not tell (refused)"},
	} {
		if got := kind(c.asked, c.links); got != c.want {
			t.Errorf("%v, %v: %q, want %q", c.asked, c.links, got, c.want)
		}
	}
}

func TestLinksOf(t *testing.T) {
	nodes := []*cluster.Node{{ID: 1}, {ID: 2}}
	to := func(node, port int, state string) procfs.Connection {
		return procfs.Connection{Local: netip.MustParseAddrPort(fmt.Sprintf("10.77.0.254:%d", port)), Remote: netip.MustParseAddrPort(nodes[node-1].Address()), State: state}
	}
	old, kept := to(1, 1001, procfs.Established), to(1, 1002, procfs.Established)
	fresh, trying := to(1, 1003, procfs.Established), to(2, 1004, procfs.SynSent)
	stale, half := to(2, 1005, "CLOSE-WAIT"), to(2, 1006, procfs.Established)
	stale.Unread, half.Unread = 556, 100
	later := half
	later.Unread = 20
	got := linksOf(nodes, []procfs.Connection{old, kept, stale, half}, []procfs.Connection{kept, fresh, trying, stale, later}).String()
	if want := "its process has connections to node 1: 2, node 2: 1, leaves 1 unread, tries to make 1 and has made 2 in 3s"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestLastSeen(t *testing.T) {
	var told seen
	if err := json.Unmarshal([]byte(`{"now": "2026-11-26T15:00:10.5Z", "node_id": 1, "clients": [
		{"client_id": "a", "software": "x", "last_seen": "2026-11-26T14:00:00Z", "apis": []},
		{"client_id": "b", "last_seen": "2026-11-26T15:00:09Z"},
		{"client_id": "a", "software": "y", "last_seen": "2026-11-26T15:00:00Z"}], "forgotten": 0}`), &told); err != nil {
		t.Fatal(err)
	}
	if ago, report := told.last("a"); ago != 10500*time.Millisecond || strings.Count(report, "\n") != 2 || strings.Contains(report, `"b"`) {
		t.Errorf("%v, %s", ago, report)
	}
	if ago, report := told.last("c"); ago >= 0 || report != "" {
		t.Errorf("%v, %s", ago, report)
	}
}

// stub is a client that only has a name.
type stub struct{ workload.Client }

func (stub) Name() string { return "x" }

// TestStandingReaders waits for those who get nothing, as awaitStanding does.
func TestStandingReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &run{history: workload.NewHistory(topic), clients: []workload.Client{stub{}}, silent: map[reader]bool{}}
		read := func(consumer string, partition int32, offset int64) {
			r.history.Add("x", workload.Event{Kind: workload.Read, Consumer: consumer, Partition: partition, Offset: offset})
		}
		for p := range int32(partitions) {
			read("x-assign", p, 10)
			read("x-group-0", p, 10)
		}
		before := r.readers()
		for p := range int32(partitions) {
			if p != 3 {
				read("x-assign", p, 11)
			}
			read("x-group-1", p, 11) // the group has moved over
		}
		begin := time.Now()
		got := r.awaitReaders(t.Context(), r.stands(before))
		if took := time.Since(begin); took != readPatience {
			t.Errorf("they were given %v", took)
		}
		one := reader{"x", "x-assign", 3}
		if len(got) != 1 || got[one] != 11 {
			t.Errorf("%v stand, want %v", got, one)
		}
		err := notRead("it is late", got, func(at reader, next int64) string { return fmt.Sprintf("%v stands at %d", at, next) })
		var s *silence
		if !errors.As(err, &s) || err.Error() != "it is late: x-assign in partition 3 stands at 11" || !slices.Equal(s.suspects, []suspect{{"x", "x-assign"}}) {
			t.Errorf("%v", err)
		}
		r.silent[one] = true
		if again := r.awaitReaders(t.Context(), r.stands(before)); len(again) > 0 {
			t.Errorf("who was found already is waited for: %v", again)
		}
	})
}
