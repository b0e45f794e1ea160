package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

func TestHealthNamesWhatIsWrong(t *testing.T) {
	var rows []clusterPartitionRow
	for p := range int32(8) {
		rows = append(rows, clusterPartitionRow{Topic: "rides", Partition: p, Leader: -1, Replicas: []int32{1, 2}, ISR: []int32{1}})
	}
	rows[7].Leader, rows[7].ISR = 1, []int32{1, 2}
	facts := clusterFacts{controller: -1, brokers: []clusterBroker{{id: 1}, {id: 2, fenced: true}}}
	full := kadm.DescribedAllLogDirs{1: {"/a": {Broker: 1, Dir: "/a", UsableBytes: 5 << 20, TotalBytes: -1}, "/b": {Broker: 1, Dir: "/b", Err: errors.New("offline")}}}
	now := time.UnixMilli(1_800_000_000_000)
	voters := quorumObject{Nodes: []quorumMember{
		{Node: 1, Role: "leader"}, {Node: 2, Role: "voter", Lag: 7, CaughtUp: now.UnixMilli() - 61_000}, {Node: 3, Role: "voter", Lag: 9, CaughtUp: -1},
		{Node: 4, Role: "voter", Lag: 7, CaughtUp: now.UnixMilli() - 1000}, {Node: 5, Role: "observer", Lag: 7, CaughtUp: -1}, {Node: 6, Role: "voter", CaughtUp: -1},
	}}
	for _, c := range []struct {
		got  []string
		want string
	}{
		{partitionsThat(rows, "have none", func(r clusterPartitionRow) bool { return r.Leader < 0 }), "7 have none: rides/0, rides/1, rides/2, rides/3, rides/4, …"},
		{partitionsThat(rows, "have none", func(r clusterPartitionRow) bool { return r.Leader > 1 }), ""},
		{controllerWrong(facts), "there is none"},
		{fencedBrokers(facts), "broker 2 is fenced"},
		{quorumWrong(quorumObject{Leader: -1}, nil, now), "no leader"},
		{quorumWrong(quorumObject{}, errors.New("silent"), now), "silent"},
		{quorumWrong(voters, nil, now), "voter 2 is 7 entries behind; it caught up 1m1s ago; voter 3 is 9 entries behind; it has not caught up since node 0 leads"},
		{disksWrong(full, nil), "broker 1 /a: 5.0 MiB left; broker 1 /b: offline"},
		{disksWrong(nil, errors.New("silent")), "silent"},
		{disksWrong(full, &kadm.ShardErrors{Errs: []kadm.ShardError{{Err: errors.New("refused"), Broker: kadm.BrokerDetail{NodeID: 2}}}}),
			"broker 2 tells nothing: refused; broker 1 /a: 5.0 MiB left; broker 1 /b: offline"},
		{withoutSource([]moveRow{
			{Topic: "rides", Partition: 1, Leader: -1, From: []int32{2}, To: []int32{3}}, {Topic: "rides", Partition: 2, Leader: -1, From: []int32{2, 3}, To: []int32{3}},
			{Topic: "rides", Partition: 3, Leader: 2, From: []int32{2}, To: []int32{3}},
		}), "rides/1"},
		{disksWrong(kadm.DescribedAllLogDirs{1: {"/a": {UsableBytes: -1, TotalBytes: -1}}}, nil), ""},
	} {
		if got := strings.Join(c.got, "; "); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestCaughtUp(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	for behind, want := range map[time.Duration]any{
		0: "now", -time.Minute: "now", 2 * time.Second: "now", 10 * time.Second: "10s ago", time.Minute: painted{"1m0s ago", yellow},
	} {
		if got := caughtUpCell(now.Add(-behind).UnixMilli(), now); got != want {
			t.Errorf("%v behind: %v, want %v", behind, got, want)
		}
	}
	if got := caughtUpCell(-1, now); got != "-" {
		t.Errorf("unknown: %v", got)
	}
}

func TestPartitionStatesAndFilters(t *testing.T) {
	whole := clusterPartitionRow{Leader: 1, Preferred: 1, Replicas: []int32{1, 2, 3}, ISR: []int32{1, 2, 3}, MinISR: -1}
	behind := clusterPartitionRow{Leader: 1, Preferred: 1, Replicas: []int32{1, 2, 3}, ISR: []int32{1, 2}, MinISR: 2}
	refusing := clusterPartitionRow{Leader: 2, Preferred: 1, Replicas: []int32{1, 2, 3}, ISR: []int32{2}, MinISR: 2}
	offline := clusterPartitionRow{Leader: -1, Preferred: 1, Replicas: []int32{1, 2}, ISR: []int32{1}, MinISR: 2, Moving: true}
	rows := []*clusterPartitionRow{&whole, &behind, &refusing, &offline}
	for i, want := range []string{stateOK, stateUnderReplicated, stateUnderMinISR, stateLeaderless} {
		if rows[i].State = rows[i].worst(); rows[i].State != want {
			t.Errorf("state %s, want %s", rows[i].State, want)
		}
	}
	any := partitionFilter{leader: -1, broker: -1}
	for name, c := range map[string]struct {
		set  func(f *partitionFilter)
		want string // one letter for each row that is kept
	}{
		"none":             {func(*partitionFilter) {}, "wbro"},
		"under-replicated": {func(f *partitionFilter) { f.underReplicated = true }, "bro"},
		"under-min-isr":    {func(f *partitionFilter) { f.underMinISR = true }, "ro"},
		"leaderless":       {func(f *partitionFilter) { f.leaderless = true }, "o"},
		"not-preferred":    {func(f *partitionFilter) { f.notPreferred = true }, "ro"},
		"moving":           {func(f *partitionFilter) { f.moving = true }, "o"},
		"leader":           {func(f *partitionFilter) { f.leader = 1 }, "wb"},
		"broker":           {func(f *partitionFilter) { f.broker = 3 }, "wbr"},
		"two":              {func(f *partitionFilter) { f.broker, f.underReplicated = 3, true }, "br"},
	} {
		f := any
		c.set(&f)
		got := ""
		for i, r := range rows {
			if f.keeps(*r) {
				got += "wbro"[i : i+1]
			}
		}
		if got != c.want {
			t.Errorf("%s keeps %q, want %q", name, got, c.want)
		}
	}
}
