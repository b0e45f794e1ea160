package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
)

func TestHealthNamesWhatIsWrong(t *testing.T) {
	partitions := kadm.PartitionDetails{}
	for p := range int32(8) {
		partitions[p] = kadm.PartitionDetail{Topic: "rides", Partition: p, Leader: -1, Replicas: []int32{1, 2}, ISR: []int32{1}}
	}
	partitions[7] = kadm.PartitionDetail{Topic: "rides", Partition: 7, Leader: 1, Replicas: []int32{1, 2}, ISR: []int32{1, 2}}
	facts := clusterFacts{controller: -1, topics: kadm.TopicDetails{"rides": {Topic: "rides", Partitions: partitions}},
		brokers: []clusterBroker{{id: 1}, {id: 2, fenced: true}}}
	total, leaderless, behind := partitionsWrong(facts)
	if total != 8 {
		t.Errorf("%d partitions", total)
	}
	full := kadm.DescribedAllLogDirs{1: {"/a": {Broker: 1, Dir: "/a", UsableBytes: 5 << 20, TotalBytes: -1}, "/b": {Broker: 1, Dir: "/b", Err: errors.New("offline")}}}
	for _, c := range []struct {
		got  []string
		want string
	}{
		{leaderless, "7 have none: rides/0, rides/1, rides/2, rides/3, rides/4, …"},
		{behind, "7 have replicas out of sync: rides/0, rides/1, rides/2, rides/3, rides/4, …"},
		{controllerWrong(facts), "there is none"},
		{fencedBrokers(facts), "broker 2 is fenced"},
		{quorumWrong(quorumObject{Leader: -1}, nil), "no leader"},
		{quorumWrong(quorumObject{}, errors.New("silent")), "silent"},
		{disksWrong(full, nil), "broker 1 /a: 5.0 MiB left; broker 1 /b: offline"},
		{disksWrong(nil, errors.New("silent")), "silent"},
		{disksWrong(kadm.DescribedAllLogDirs{1: {"/a": {UsableBytes: -1, TotalBytes: -1}}}, nil), ""},
	} {
		if got := strings.Join(c.got, "; "); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
