package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/coordinator"
)

// Version 0 of OffsetCommit and OffsetFetch is of the time before coordinators: Kafka kept these offsets in ZooKeeper, which
// all brokers shared, and its clients send them to whichever broker they like. Here they are the group coordinator's, as all
// offsets are, so that a broker which is not that asks it, in version 1: that one is never passed on.

// elsewhere returns the group's coordinator when the request is of version 0 and that is another broker.
func (b *Broker) elsewhere(version int16, group string) (cluster.NodeID, bool) {
	if version != 0 || b.cfg.Ask == nil {
		return cluster.NoLeader, false
	}
	t, ok := b.cfg.Metadata.Image().Topic(offsetsTopic)
	if !ok {
		return cluster.NoLeader, false
	}
	leader := t.Partitions[coordinator.PartitionFor(group, int32(len(t.Partitions)))].Leader
	return leader, leader != cluster.NoLeader && leader != b.cfg.NodeID
}

// commitElsewhere passes a commit of version 0 on. False: it is this broker's to answer, with NOT_COORDINATOR if need be.
func (b *Broker) commitElsewhere(ctx context.Context, req *kmsg.OffsetCommitRequest) (*kmsg.OffsetCommitResponse, bool) {
	node, ok := b.elsewhere(req.Version, req.Group)
	if !ok {
		return nil, false
	}
	passed := *req
	passed.Version, passed.Generation, passed.MemberID = 1, -1, ""
	resp, err := b.cfg.Ask(ctx, node, &passed)
	if err != nil {
		b.log.Debug("a commit was not passed on", "group", req.Group, "node", node, "err", err)
		return nil, false
	}
	answer := resp.(*kmsg.OffsetCommitResponse)
	answer.Version = 0
	return answer, true
}

// fetchElsewhere is commitElsewhere for OffsetFetch.
func (b *Broker) fetchElsewhere(ctx context.Context, req *kmsg.OffsetFetchRequest) (*kmsg.OffsetFetchResponse, bool) {
	node, ok := b.elsewhere(req.Version, req.Group)
	if !ok {
		return nil, false
	}
	passed := *req
	passed.Version = 1
	resp, err := b.cfg.Ask(ctx, node, &passed)
	if err != nil {
		b.log.Debug("a fetch of offsets was not passed on", "group", req.Group, "node", node, "err", err)
		return nil, false
	}
	answer := resp.(*kmsg.OffsetFetchResponse)
	answer.Version = 0
	for _, t := range answer.Topics {
		for i := range t.Partitions {
			if p := &t.Partitions[i]; p.Offset == -1 && p.ErrorCode == 0 {
				p.ErrorCode = kerr.UnknownTopicOrPartition.Code // what ZooKeeper's answer became
			}
		}
	}
	return answer, true
}
