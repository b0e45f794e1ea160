package broker

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/quorum"
	"github.com/logbahn/logbahn/internal/wire"
)

// groupCoordinator finds a group's coordinator, which makes the offsets topic.
func (n *node) groupCoordinator(group string) {
	n.t.Helper()
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.Version, req.CoordinatorKey = 3, group
	resp := call[*kmsg.FindCoordinatorResponse](n, req)
	if resp.ErrorCode != 0 || resp.NodeID != 1 || resp.Host != "localhost" || resp.Port != 9092 {
		n.t.Fatalf("coordinator: %+v", resp)
	}
}

func (n *node) initProducerID() int64 {
	n.t.Helper()
	req := kmsg.NewPtrInitProducerIDRequest()
	req.Version = 4
	resp := call[*kmsg.InitProducerIDResponse](n, req)
	if resp.ErrorCode != 0 || resp.ProducerEpoch != 0 {
		n.t.Fatalf("producer id: %+v", resp)
	}
	return resp.ProducerID
}

// deltaWithout is a delta that takes a topic's replicas away from the broker.
func deltaWithout(n *node, topic string) cluster.Delta {
	n.t.Helper()
	t, ok := n.quorum.Image().Topic(topic)
	if !ok {
		n.t.Fatalf("no topic %s", topic)
	}
	return cluster.Delta{Deleted: []*cluster.Topic{t}}
}

func TestFindCoordinatorMakesTheOffsetsTopic(t *testing.T) {
	n := start(t)
	n.groupCoordinator("g")
	topic, ok := n.quorum.Image().Topic(offsetsTopic)
	if !ok || len(topic.Partitions) != 4 || !topic.Internal {
		t.Fatalf("offsets topic %+v", topic)
	}
	if s := n.partition(offsetsTopic, 0).Settings(); !s.Log.Compact || s.Log.Delete {
		t.Error("the offsets topic is not compacted only")
	}
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.Version, req.CoordinatorKeys = 6, []string{"a", "b"}
	resp := call[*kmsg.FindCoordinatorResponse](n, req)
	if len(resp.Coordinators) != 2 || resp.Coordinators[1].Key != "b" || resp.Coordinators[1].NodeID != 1 {
		t.Errorf("coordinators %+v", resp.Coordinators)
	}
}

// refuser is a controller that refuses, and counts how often it is asked.
type refuser struct {
	Metadata
	asked int
}

func (r *refuser) Do(context.Context, kmsg.Request) (kmsg.Response, error) {
	r.asked++
	return nil, &quorum.NotControllerError{Controller: cluster.NoLeader}
}

// Without the offsets topic each request for a coordinator waits for the controller to make it: once, however many groups it names.
func TestFindCoordinatorAsksTheControllerOnce(t *testing.T) {
	n := start(t)
	controller := &refuser{Metadata: n.broker.cfg.Metadata}
	n.broker.cfg.Metadata = controller
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.Version, req.CoordinatorKeys = 4, []string{"a", "b", "c"}
	for _, c := range call[*kmsg.FindCoordinatorResponse](n, req).Coordinators {
		wantCode(t, c.Key, c.ErrorCode, wire.CoordinatorNotAvailable)
	}
	if controller.asked != 1 {
		t.Errorf("the controller was asked %d times", controller.asked)
	}
}

// librdkafka retries every error but two, and asks for ever.
func TestTransactionsAreRefusedForGood(t *testing.T) {
	n := start(t)
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.Version, find.CoordinatorKey, find.CoordinatorType = 2, "tx", 1
	wantCode(t, "FindCoordinator", call[*kmsg.FindCoordinatorResponse](n, find).ErrorCode, wire.TransactionalIDAuthorizationFailed)
	find.CoordinatorType = 2
	wantCode(t, "FindCoordinator of a share group", call[*kmsg.FindCoordinatorResponse](n, find).ErrorCode, wire.InvalidRequest)
	init := kmsg.NewPtrInitProducerIDRequest()
	init.Version, init.TransactionalID = 3, kmsg.StringPtr("tx")
	wantCode(t, "InitProducerId", call[*kmsg.InitProducerIDResponse](n, init).ErrorCode, wire.TransactionalIDAuthorizationFailed)
	init.TransactionalID = kmsg.StringPtr("")
	wantCode(t, "InitProducerId with an empty id", call[*kmsg.InitProducerIDResponse](n, init).ErrorCode, wire.InvalidRequest)
}

func TestProducerIDsAreNeverGivenTwice(t *testing.T) {
	n := start(t)
	seen := make(map[int64]bool)
	for range 3 {
		for range 400 {
			id := n.initProducerID()
			if seen[id] {
				t.Fatalf("producer id %d twice", id)
			}
			seen[id] = true
		}
		n.restart()
	}
}

func commit(group, topic string, version int16, offset int64) *kmsg.OffsetCommitRequest {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.Generation = version, group, -1
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic = topic
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Offset, p.Metadata = offset, kmsg.StringPtr("note")
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

func fetchOffset(n *node, group, topic string, version int16) kmsg.OffsetFetchResponseTopicPartition {
	n.t.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version, req.Group = version, group
	req.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: topic, Partitions: []int32{0}}}
	return call[*kmsg.OffsetFetchResponse](n, req).Topics[0].Partitions[0]
}

// kafka-python 0.9.5 commits and fetches with version 0 at the partition's leader, without a coordinator.
func TestOffsetsOfA2015Client(t *testing.T) {
	n := start(t)
	n.create("telematics", 1)
	n.groupCoordinator("analytics")
	if p := fetchOffset(n, "analytics", "telematics", 0); p.Offset != -1 || wire.Error(p.ErrorCode) != wire.UnknownTopicOrPartition || p.Metadata == nil || *p.Metadata != "" {
		t.Errorf("nothing committed: %+v", p)
	}
	resp := call[*kmsg.OffsetCommitResponse](n, commit("analytics", "telematics", 0, 7))
	wantCode(t, "commit", resp.Topics[0].Partitions[0].ErrorCode, wire.None)
	n.restart()
	for _, version := range []int16{0, 1} {
		if p := fetchOffset(n, "analytics", "telematics", version); p.Offset != 7 || p.ErrorCode != 0 || *p.Metadata != "note" {
			t.Errorf("version %d: %+v", version, p)
		}
	}
	if p := fetchOffset(n, "nobody", "telematics", 5); p.Offset != -1 || p.ErrorCode != 0 {
		t.Errorf("a group that does not exist: %+v", p)
	}
}

func join(n *node, group string) *kmsg.JoinGroupResponse {
	n.t.Helper()
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 5, group, 10_000, 10_000
	req.ProtocolType = "consumer"
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: []byte{1}}}
	resp := call[*kmsg.JoinGroupResponse](n, req)
	if wire.Error(resp.ErrorCode) == wire.MemberIDRequired {
		req.MemberID = resp.MemberID
		resp = call[*kmsg.JoinGroupResponse](n, req)
	}
	if resp.ErrorCode != 0 {
		n.t.Fatalf("join: %v", wire.Error(resp.ErrorCode))
	}
	return resp
}

func TestAGroupsLife(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	n.groupCoordinator("g")
	joined := join(n, "g")
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Version, sync.Group, sync.Generation, sync.MemberID = 3, "g", joined.Generation, joined.MemberID
	sync.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: joined.MemberID, MemberAssignment: []byte("mine")}}
	synced := call[*kmsg.SyncGroupResponse](n, sync)
	if synced.ErrorCode != 0 || string(synced.MemberAssignment) != "mine" {
		t.Fatalf("sync: %+v", synced)
	}
	beat := kmsg.NewPtrHeartbeatRequest()
	beat.Version, beat.Group, beat.Generation, beat.MemberID = 3, "g", joined.Generation, joined.MemberID
	wantCode(t, "heartbeat", call[*kmsg.HeartbeatResponse](n, beat).ErrorCode, wire.None)

	describe := kmsg.NewPtrDescribeGroupsRequest()
	describe.Version, describe.Groups, describe.IncludeAuthorizedOperations = 5, []string{"g"}, true
	d := call[*kmsg.DescribeGroupsResponse](n, describe).Groups[0]
	if d.State != "Stable" || len(d.Members) != 1 || d.Members[0].ClientID != "test" || d.Members[0].ClientHost != "/10.0.0.9" || d.AuthorizedOperations != groupOperations {
		t.Errorf("described as %+v", d)
	}
	list := kmsg.NewPtrListGroupsRequest()
	list.Version = 4
	if l := call[*kmsg.ListGroupsResponse](n, list); len(l.Groups) != 1 || l.Groups[0].Group != "g" {
		t.Errorf("listed %+v", l.Groups)
	}
	del := kmsg.NewPtrDeleteGroupsRequest()
	del.Version, del.Groups = 2, []string{"g"}
	wantCode(t, "delete with a member", call[*kmsg.DeleteGroupsResponse](n, del).Groups[0].ErrorCode, wire.NonEmptyGroup)
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Version, leave.Group = 3, "g"
	leave.Members = []kmsg.LeaveGroupRequestMember{{MemberID: joined.MemberID}}
	wantCode(t, "leave", call[*kmsg.LeaveGroupResponse](n, leave).Members[0].ErrorCode, wire.None)
	wantCode(t, "commit without membership", call[*kmsg.OffsetCommitResponse](n, commit("g", "t", 8, 3)).Topics[0].Partitions[0].ErrorCode, wire.None)

	drop := kmsg.NewPtrOffsetDeleteRequest()
	drop.Group = "g"
	drop.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}}}}
	wantCode(t, "offset delete", call[*kmsg.OffsetDeleteResponse](n, drop).ErrorCode, wire.None)
	if p := fetchOffset(n, "g", "t", 5); p.Offset != -1 {
		t.Errorf("deleted offset is still %d", p.Offset)
	}
	call[*kmsg.OffsetCommitResponse](n, commit("g", "t", 8, 3))
	wantCode(t, "delete", call[*kmsg.DeleteGroupsResponse](n, del).Groups[0].ErrorCode, wire.None)
	n.restart() // RP#4900
	if l := call[*kmsg.ListGroupsResponse](n, list); len(l.Groups) != 0 {
		t.Errorf("deleted groups after a restart: %+v", l.Groups)
	}
}

// Offsets of a deleted topic do not count for another one of its name.
func TestRecreatedTopicHasNoOffsets(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	n.groupCoordinator("g")
	call[*kmsg.OffsetCommitResponse](n, commit("g", "t", 8, 42))
	n.remove("t")
	n.create("t", 1)
	eventually(t, "the offset is gone", func() bool { return fetchOffset(n, "g", "t", 5).Offset == -1 })
}

// AutoMQ#163, kafka-python#2428: right after a restart there is the committed offset or an error, never none.
func TestNoGroupIsForgottenWhileItLoads(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	n.groupCoordinator("g")
	for i := range int64(5) {
		call[*kmsg.OffsetCommitResponse](n, commit("g", "t", 8, i))
		n.restart()
		if p := fetchOffset(n, "g", "t", 7); p.ErrorCode == 0 && p.Offset != i {
			t.Fatalf("offset %d after a restart, want %d", p.Offset, i)
		}
	}
}
