package proxy

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/coordinator"
	"github.com/logbahn/logbahn/internal/wire"
)

// withOffsets adds the topic of the groups: its partition i is led by node i%3+1 too.
func (c *fakeCluster) withOffsets() {
	topic := cluster.Topic{Name: coordinator.OffsetsTopic, ID: cluster.UUID{8}, Internal: true}
	for i := range int32(partitions) {
		topic.Partitions = append(topic.Partitions, ledBy(i%3+1, 0))
	}
	c.img, _, _ = apply(c.t, c.img, cluster.CreateTopic{Topic: topic})
}

// Groups are asked of their coordinators, and answered in the request's order.
func TestGroupsByCoordinator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCluster(t, func(n *fakeNode, r kmsg.Request) kmsg.Response {
			switch req := r.(type) {
			case *kmsg.OffsetFetchRequest:
				resp := kmsg.NewPtrOffsetFetchResponse()
				for _, g := range req.Groups {
					rg := kmsg.NewOffsetFetchResponseGroup()
					rg.Group, rg.ErrorCode = g.Group, int16(n.id)
					resp.Groups = append(resp.Groups, rg)
				}
				return resp
			case *kmsg.DescribeGroupsRequest:
				resp := kmsg.NewPtrDescribeGroupsResponse()
				for _, g := range req.Groups {
					rg := kmsg.NewDescribeGroupsResponseGroup()
					rg.Group, rg.State = g, fmt.Sprint(n.id)
					resp.Groups = append(resp.Groups, rg)
				}
				return resp
			case *kmsg.HeartbeatRequest:
				resp := kmsg.NewPtrHeartbeatResponse()
				resp.ThrottleMillis = n.id
				return resp
			case *kmsg.ListGroupsRequest:
				resp := kmsg.NewPtrListGroupsResponse()
				g := kmsg.NewListGroupsResponseGroup()
				g.Group = fmt.Sprint("of-", n.id)
				resp.Groups = append(resp.Groups, g)
				return resp
			}
			return nil
		})
		c.withOffsets()
		conn, ctx := c.connect()
		var groups []string
		var want, described, fetched strings.Builder
		for i := range 12 {
			g := fmt.Sprint("group-", i)
			groups = append(groups, g)
			fmt.Fprintf(&want, "%s@%d ", g, coordinator.PartitionFor(g, partitions)%3+1)
			beat := kmsg.NewPtrHeartbeatRequest()
			beat.Version, beat.Group = 1, g
			resp, err := reply[*kmsg.HeartbeatResponse](ctx, begin(t, conn, ctx, beat), beat)
			if err != nil || resp.ThrottleMillis != coordinator.PartitionFor(g, partitions)%3+1 {
				t.Errorf("the heartbeat of %s: %+v, %v", g, resp, err)
			}
		}
		describe := kmsg.NewPtrDescribeGroupsRequest()
		describe.Groups = groups
		d, err := reply[*kmsg.DescribeGroupsResponse](ctx, begin(t, conn, ctx, describe), describe)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range d.Groups {
			fmt.Fprintf(&described, "%s@%s ", g.Group, g.State)
		}
		fetch := kmsg.NewPtrOffsetFetchRequest()
		fetch.Version = 8
		for _, g := range groups {
			rg := kmsg.NewOffsetFetchRequestGroup()
			rg.Group = g
			fetch.Groups = append(fetch.Groups, rg)
		}
		f, err := reply[*kmsg.OffsetFetchResponse](ctx, begin(t, conn, ctx, fetch), fetch)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range f.Groups {
			fmt.Fprintf(&fetched, "%s@%d ", g.Group, g.ErrorCode)
		}
		if described.String() != want.String() || fetched.String() != want.String() {
			t.Errorf("described\n%s, fetched\n%s, want\n%s", described.String(), fetched.String(), want.String())
		}
		if got := c.listed(t); got != "of-1 of-2 of-3 error 0" {
			t.Errorf("listed %s", got)
		}
		c.stop(3) // and not yet fenced: what it has is missing, and the client is told so
		if got := c.listed(t); got != "of-1 of-2 error 15" {
			t.Errorf("listed without a node: %s", got)
		}
	})
}

// listed lists the groups as a new client sees them.
func (c *fakeCluster) listed(t *testing.T) string {
	t.Helper()
	conn, ctx := c.connect()
	req := kmsg.NewPtrListGroupsRequest()
	resp, err := reply[*kmsg.ListGroupsResponse](ctx, begin(t, conn, ctx, req), req)
	if err != nil {
		t.Fatal(err)
	}
	var s strings.Builder
	for _, g := range resp.Groups {
		s.WriteString(g.Group + " ")
	}
	return fmt.Sprint(s.String(), "error ", resp.ErrorCode)
}

// One directory shows every partition once: as the one who has most of it has it.
func TestLogDirsOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCluster(t, func(n *fakeNode, _ kmsg.Request) kmsg.Response {
			resp := kmsg.NewPtrDescribeLogDirsResponse()
			dir := kmsg.NewDescribeLogDirsResponseDir()
			dir.Dir, dir.UsableBytes = fmt.Sprint("/data/", n.id), 100
			topic := kmsg.NewDescribeLogDirsResponseDirTopic()
			topic.Topic = "orders"
			for i := range int32(2) {
				p := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
				p.Partition, p.Size, p.OffsetLag = 1-i, 10*int64(n.id), int64(i)*int64(3-n.id) // of partition 0 only node 3 has all
				topic.Partitions = append(topic.Partitions, p)
			}
			dir.Topics = append(dir.Topics, topic)
			resp.Dirs = append(resp.Dirs, dir)
			return resp
		})
		c.proxy.cfg.LogDir = "/data/here"
		conn, ctx := c.connect()
		req := kmsg.NewPtrDescribeLogDirsRequest()
		req.Version = 4
		resp, err := reply[*kmsg.DescribeLogDirsResponse](ctx, begin(t, conn, ctx, req), req)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, d := range resp.Dirs {
			got += fmt.Sprint(d.Dir, " ", d.TotalBytes, " ", d.UsableBytes)
			for _, topic := range d.Topics {
				for _, p := range topic.Partitions {
					got += fmt.Sprintf(" %s-%d:%d", topic.Topic, p.Partition, p.Size)
				}
			}
		}
		if got != "/data/here -1 300 orders-0:30 orders-1:30" {
			t.Errorf("described %s", got)
		}
	})
}

// What tells of nodes tells of this one; what has no leader has none here either.
func TestNodesInAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCluster(t, func(n *fakeNode, r kmsg.Request) kmsg.Response {
			if n.id != self {
				t.Errorf("node %d is asked for what this one knows", n.id)
			}
			switch req := r.(type) {
			case *kmsg.MetadataRequest:
				resp := kmsg.NewPtrMetadataResponse()
				resp.ControllerID = 3
				for id := range int32(3) {
					b := kmsg.NewMetadataResponseBroker()
					b.NodeID, b.Host = id+1, "elsewhere"
					resp.Brokers = append(resp.Brokers, b)
				}
				topic := kmsg.NewMetadataResponseTopic()
				topic.Topic = kmsg.StringPtr("orders")
				for i, leader := range []int32{2, -1} {
					p := kmsg.NewMetadataResponseTopicPartition()
					p.Partition, p.Leader, p.LeaderEpoch, p.Replicas, p.ISR = int32(i), leader, 5, []int32{2, 3}, []int32{2}
					topic.Partitions = append(topic.Partitions, p)
				}
				resp.Topics = append(resp.Topics, topic)
				return resp
			case *kmsg.FindCoordinatorRequest:
				resp := kmsg.NewPtrFindCoordinatorResponse()
				for i, key := range req.CoordinatorKeys {
					k := kmsg.NewFindCoordinatorResponseCoordinator()
					k.Key, k.NodeID, k.Host, k.Port = key, int32(2-3*i), "elsewhere", 1
					resp.Coordinators = append(resp.Coordinators, k)
				}
				return resp
			}
			return nil
		})
		conn, ctx := c.connect()
		req := kmsg.NewPtrMetadataRequest()
		req.Version = 12
		m, err := reply[*kmsg.MetadataResponse](ctx, begin(t, conn, ctx, req), req)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Brokers) != 1 || m.Brokers[0].NodeID != self || m.Brokers[0].Host != "reached" || m.Brokers[0].Port != 9094 || m.ControllerID != self {
			t.Errorf("brokers %+v, controller %d", m.Brokers, m.ControllerID)
		}
		var got []string
		for _, p := range m.Topics[0].Partitions {
			got = append(got, fmt.Sprint(p.Leader, p.LeaderEpoch, p.Replicas, p.ISR, p.OfflineReplicas))
		}
		if want := "1 5 [1] [1] [], -1 5 [1] [] [1]"; strings.Join(got, ", ") != want {
			t.Errorf("partitions %s, want %s", strings.Join(got, ", "), want)
		}
		find := kmsg.NewPtrFindCoordinatorRequest()
		find.Version, find.CoordinatorKeys = 4, []string{"there", "nowhere"}
		f, err := reply[*kmsg.FindCoordinatorResponse](ctx, begin(t, conn, ctx, find), find)
		if err != nil || f.Coordinators[0].NodeID != self || f.Coordinators[0].Host != "reached" || f.Coordinators[1].NodeID != -1 || f.Coordinators[1].Host != "elsewhere" {
			t.Errorf("coordinators %+v, %v", f, err)
		}
	})
}

// Resources of brokers are those brokers' to describe, all others this node's.
func TestResourcesByBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCluster(t, func(n *fakeNode, r kmsg.Request) kmsg.Response {
			resp := kmsg.NewPtrIncrementalAlterConfigsResponse()
			for _, q := range r.(*kmsg.IncrementalAlterConfigsRequest).Resources {
				a := kmsg.NewIncrementalAlterConfigsResponseResource()
				a.ResourceType, a.ResourceName, a.ErrorCode = q.ResourceType, q.ResourceName, int16(n.id)
				resp.Resources = append(resp.Resources, a)
			}
			return resp
		})
		conn, ctx := c.connect()
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		for _, name := range []string{"3", "orders", "2", "", "99", "1"} {
			q := kmsg.NewIncrementalAlterConfigsRequestResource()
			q.ResourceType, q.ResourceName = kmsg.ConfigResourceTypeBroker, name
			if name == "orders" {
				q.ResourceType = kmsg.ConfigResourceTypeTopic
			}
			req.Resources = append(req.Resources, q)
		}
		resp, err := reply[*kmsg.IncrementalAlterConfigsResponse](ctx, begin(t, conn, ctx, req), req)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, a := range resp.Resources {
			got += fmt.Sprintf("%q@%d ", a.ResourceName, a.ErrorCode)
		}
		if want := `"3"@3 "orders"@1 "2"@2 ""@1 "99"@1 "1"@1 `; got != want {
			t.Errorf("answered %s, want %s", got, want)
		}
	})
}

// A node that answers too little closes the client's connection: nobody knows what belongs to what.
func TestAnswersThatDoNotFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCluster(t, func(n *fakeNode, r kmsg.Request) kmsg.Response {
			switch req := r.(type) {
			case *kmsg.ProduceRequest:
				resp := n.produced(req, wire.None)
				resp.Topics[0].Partitions = resp.Topics[0].Partitions[1:]
				return resp
			case *kmsg.DescribeGroupsRequest:
				return kmsg.NewPtrDescribeGroupsResponse()
			}
			return nil
		})
		conn, ctx := c.connect()
		req := produceOf(-1, nil, 0, 3)
		if _, err := reply[*kmsg.ProduceResponse](ctx, begin(t, conn, ctx, req), req); err == nil || !strings.Contains(err.Error(), "node 1: an answer about 1 partitions") {
			t.Errorf("a produce: %v", err)
		}
		describe := kmsg.NewPtrDescribeGroupsRequest()
		describe.Groups = []string{"a"}
		if _, err := reply[*kmsg.DescribeGroupsResponse](ctx, begin(t, conn, ctx, describe), describe); err == nil || !strings.Contains(err.Error(), "0 answers to 1 questions") {
			t.Errorf("groups: %v", err)
		}
	})
}
