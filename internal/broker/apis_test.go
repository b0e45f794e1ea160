package broker

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

func TestVersionsServed(t *testing.T) {
	served := map[string][2]int16{
		"Produce": {0, 13}, "Fetch": {0, 18}, "ListOffsets": {0, 11}, "Metadata": {0, 13}, "OffsetCommit": {0, 10},
		"OffsetFetch": {0, 10}, "FindCoordinator": {0, 6}, "JoinGroup": {0, 9}, "Heartbeat": {0, 4}, "LeaveGroup": {0, 5},
		"SyncGroup": {0, 5}, "DescribeGroups": {0, 6}, "ListGroups": {0, 5}, "ApiVersions": {0, 4}, "CreateTopics": {0, 7},
		"DeleteTopics": {0, 6}, "DeleteRecords": {0, 2}, "InitProducerId": {0, 5}, "OffsetForLeaderEpoch": {0, 4},
		"DescribeConfigs": {0, 4}, "AlterConfigs": {0, 2}, "IncrementalAlterConfigs": {0, 1}, "CreatePartitions": {0, 3},
		"DeleteGroups": {0, 2}, "OffsetDelete": {0, 0}, "DescribeCluster": {0, 2}, "DescribeLogDirs": {0, 5},
		"DescribeProducers": {0, 0}, "DescribeTopicPartitions": {0, 0}, "DescribeQuorum": {0, 2},
		"SaslHandshake": {0, 1}, "DescribeAcls": {0, 3}, "CreateAcls": {0, 3}, "DeleteAcls": {0, 3},
		"AlterReplicaLogDirs": {0, 2}, "SaslAuthenticate": {0, 2}, "CreateDelegationToken": {0, 3}, "RenewDelegationToken": {0, 2},
		"ExpireDelegationToken": {0, 2}, "DescribeDelegationToken": {0, 3}, "ElectLeaders": {0, 2}, "AlterPartitionReassignments": {0, 1},
		"ListPartitionReassignments": {0, 0}, "DescribeClientQuotas": {0, 1}, "AlterClientQuotas": {0, 1}, "DescribeUserScramCredentials": {0, 0},
		"AlterUserScramCredentials": {0, 0}, "UpdateFeatures": {0, 2}, "UnregisterBroker": {0, 0}, "DescribeTransactions": {0, 0},
		"ListTransactions": {0, 2}, "ListConfigResources": {0, 1},
		"AddRaftVoter": {0, 1}, "RemoveRaftVoter": {0, 0},
	}
	for _, api := range apis {
		want, ok := served[api.Name]
		if !ok || want != [2]int16{api.Min, api.Max} {
			t.Errorf("%s %d to %d is served, want %v", api.Name, api.Min, api.Max, want)
		}
		delete(served, api.Name)
		if newest, ok := wire.MaxVersion(api.Key); !ok || newest < api.Max {
			t.Errorf("%s %d cannot be decoded", api.Name, api.Max)
		}
		if name := wire.APIName(api.Key); !strings.EqualFold(name, api.Name) && name != "AlterPartitionAssignments" { // kmsg's name for it
			t.Errorf("key %d is %s, not %s", api.Key, wire.APIName(api.Key), api.Name)
		}
	}
	for name := range served {
		t.Errorf("%s is not served", name)
	}
	if !slices.IsSortedFunc(apis[:], func(a, b API) int { return int(a.Key) - int(b.Key) }) {
		t.Error("the table is not sorted by key")
	}
}

// Every version of every API answers a request without content, and its reply can be decoded.
func TestEveryVersionAnswers(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	for _, api := range apis {
		for version := api.Min; version <= api.Max; version++ {
			req := kmsg.RequestForKey(api.Key)
			req.SetVersion(version)
			if v, ok := req.(*kmsg.ApiVersionsRequest); ok {
				v.ClientSoftwareName, v.ClientSoftwareVersion = "test", "1"
			}
			if p, ok := req.(*kmsg.ProduceRequest); ok {
				p.Acks = 1
			}
			decode[kmsg.Response](n, req, n.start(req)())
		}
	}
}

// KIP-511: a version that is too new is answered in v0 with what is served.
func TestApiVersionsTooNew(t *testing.T) {
	n := start(t)
	finish, err := n.broker.Start(t.Context(), &Request{Header: wire.RequestHeader{Key: 18, Version: 127}, Conn: n.conn})
	must(t, finish, err)
	b, err := finish(t.Context()).AppendTo(nil)
	must(t, b, err)
	resp := kmsg.NewPtrApiVersionsResponse()
	must(t, resp, resp.ReadFrom(b))
	wantCode(t, "ApiVersions 127", resp.ErrorCode, wire.UnsupportedVersion)
	if len(resp.ApiKeys) != 1 || resp.ApiKeys[0].ApiKey != 18 || resp.ApiKeys[0].MaxVersion != 4 {
		t.Errorf("keys %+v, want the own range of ApiVersions", resp.ApiKeys)
	}
}

func TestApiVersionsListsTheTable(t *testing.T) {
	n := start(t)
	req := kmsg.NewPtrApiVersionsRequest()
	req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = 4, "apache-kafka-java", "4.3.0"
	resp := call[*kmsg.ApiVersionsResponse](n, req)
	if len(resp.ApiKeys) != len(apis) || resp.ErrorCode != 0 {
		t.Fatalf("%d keys, error %d", len(resp.ApiKeys), resp.ErrorCode)
	}
	// librdkafka drops compression unless Produce 0 is offered (librdkafka#4956).
	if k := resp.ApiKeys[0]; k.ApiKey != 0 || k.MinVersion != 0 {
		t.Errorf("Produce from %d", k.MinVersion)
	}
	if n.conn.ClientSoftware != "apache-kafka-java" {
		t.Errorf("client software %q", n.conn.ClientSoftware)
	}
	req.ClientSoftwareName = strings.Repeat("x", 30_000)
	if code := call[*kmsg.ApiVersionsResponse](n, req).ErrorCode; code != 0 || len(n.conn.ClientSoftware) > 1000 {
		t.Errorf("error %d, and %d bytes kept of a long name", code, len(n.conn.ClientSoftware))
	}
	req.ClientSoftwareName = "-bad name-"
	wantCode(t, "bad software name", call[*kmsg.ApiVersionsResponse](n, req).ErrorCode, wire.InvalidRequest)
}

func TestUnknownKeysAndVersionsAreNotServed(t *testing.T) {
	n := start(t)
	for _, h := range []wire.RequestHeader{{Key: 9999}, {Key: -1}, {Key: 3, Version: 14}, {Key: 3, Version: -1}, {Key: 4}} {
		if _, err := n.broker.Start(t.Context(), &Request{Header: h, Conn: n.conn}); !errors.Is(err, ErrNotServed) {
			t.Errorf("key %d version %d: %v, want ErrNotServed", h.Key, h.Version, err)
		}
	}
}
