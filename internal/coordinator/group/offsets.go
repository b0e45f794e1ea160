package group

import (
	"maps"
	"math"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// committed is the offset that a group has committed for one partition.
type committed struct {
	offset      int64
	leaderEpoch int32 // -1 unknown
	metadata    string
	commitMs    int64
	expireMs    int64    // -1 for the broker's retention
	topicID     [16]byte // zero in records of Kafka before 4.1
}

// OffsetCommit, versions 0 to 10. 0 has neither generation nor member: the commit of a client that uses the group only
// to keep offsets, which every later version may send as well with generation -1 and an empty member id. 1 has a commit
// timestamp per partition, 2 to 4 a retention for the whole request. The caller has resolved topic names and ids and
// taken out topics that do not exist.
func (m *Machine) offsetCommit(now time.Time, req *kmsg.OffsetCommitRequest) *kmsg.OffsetCommitResponse {
	g := m.groups[req.Group]
	if err := m.checkCommit(g, req); err != nil {
		return refuseCommit(req, err.Code)
	}
	if g != nil && (g.state == Stable || g.state == PreparingRebalance) {
		if mem := g.byID[req.MemberID]; mem != nil {
			m.renewSession(now, g, mem)
		}
	}
	resp := refuseCommit(req, 0)
	var records []Record
	size := 0
	for i := range req.Topics {
		t := &req.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			if p.Metadata != nil && (longerThan(*p.Metadata, m.cfg.OffsetMetadataMax) || tooLong(*p.Metadata)) {
				resp.Topics[i].Partitions[j].ErrorCode = kerr.OffsetMetadataTooLarge.Code
				continue
			}
			r := newCommitted(now.UnixMilli(), req, t, p).record(req.Group, t.Topic, p.Partition)
			size += len(r.Key) + len(r.Value)
			records = append(records, r)
		}
	}
	if size > m.cfg.RecordBytesMax {
		return refuseCommit(req, kerr.InvalidCommitOffsetSize.Code)
	}
	m.write(records...)
	return resp
}

func (m *Machine) checkCommit(g *group, req *kmsg.OffsetCommitRequest) *kerr.Error {
	switch {
	case tooLong(req.Group):
		return kerr.InvalidGroupID
	case g == nil && req.Generation < 0:
		return nil // a group that only holds offsets begins with its first commit
	case g == nil && req.Version >= 9:
		return kerr.GroupIDNotFound
	case g == nil:
		return kerr.IllegalGeneration
	case req.Generation < 0 && g.state == Empty:
		return nil
	case req.Generation < 0 && req.MemberID == "" && req.InstanceID == nil:
		return kerr.UnknownMemberID // someone else's group
	}
	if _, err := g.member(req.MemberID, req.InstanceID); err != nil {
		return err
	}
	if req.Generation != g.generation {
		return kerr.IllegalGeneration
	}
	if g.state == CompletingRebalance {
		return kerr.RebalanceInProgress
	}
	return nil
}

func newCommitted(nowMs int64, req *kmsg.OffsetCommitRequest, t *kmsg.OffsetCommitRequestTopic, p *kmsg.OffsetCommitRequestTopicPartition) committed {
	c := committed{
		offset:      p.Offset,
		leaderEpoch: p.LeaderEpoch,
		commitMs:    nowMs,
		expireMs:    -1,
		topicID:     t.TopicID,
	}
	if p.Metadata != nil {
		c.metadata = *p.Metadata
	}
	if req.Version == 1 && p.Timestamp > 0 {
		c.commitMs = p.Timestamp
	}
	if req.Version >= 2 && req.Version <= 4 && req.RetentionTimeMillis >= 0 {
		c.expireMs = nowMs + min(req.RetentionTimeMillis, math.MaxInt64-nowMs)
	}
	return c
}

// longerThan counts as Kafka does, in UTF-16 units, so that what Kafka takes is taken here.
func longerThan(s string, unitsMax int) bool {
	if len(s) <= unitsMax {
		return false
	}
	units := utf8.RuneCountInString(s)
	for _, c := range s {
		if c > 0xffff {
			units++
		}
	}
	return units > unitsMax
}

func refuseCommit(req *kmsg.OffsetCommitRequest, code int16) *kmsg.OffsetCommitResponse {
	resp := kmsg.NewPtrOffsetCommitResponse()
	resp.Topics = make([]kmsg.OffsetCommitResponseTopic, len(req.Topics))
	for i, t := range req.Topics {
		rt := &resp.Topics[i]
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		rt.Partitions = make([]kmsg.OffsetCommitResponseTopicPartition, len(t.Partitions))
		for j, p := range t.Partitions {
			rt.Partitions[j].Partition, rt.Partitions[j].ErrorCode = p.Partition, code
		}
	}
	return resp
}

func (m *Machine) replayOffset(id, topic string, partition int32, c committed) {
	g := m.groups[id]
	if g == nil {
		g = newGroup(id)
		m.groups[id] = g
	}
	if g.offsets[topic] == nil {
		g.offsets[topic] = make(map[int32]committed)
	}
	g.offsets[topic][partition] = c
}

func (m *Machine) replayOffsetRemoved(id, topic string, partition int32) {
	g := m.groups[id]
	if g == nil {
		return
	}
	delete(g.offsets[topic], partition)
	if len(g.offsets[topic]) == 0 {
		delete(g.offsets, topic)
	}
	m.forgetIfBlank(g)
}

// eachOffset calls visit for the group's offsets in order of topic and partition.
func (g *group) eachOffset(visit func(topic string, partition int32, c committed)) {
	for _, topic := range slices.Sorted(maps.Keys(g.offsets)) {
		partitions := g.offsets[topic]
		for _, partition := range slices.Sorted(maps.Keys(partitions)) {
			visit(topic, partition, partitions[partition])
		}
	}
}

// OffsetFetch in the form of version 8: groups, each with its topics, nil for all. A group or offset that does not exist
// is offset -1 without an error. Where the request names a topic's id, an offset committed for another topic of that
// name, since deleted, counts as none. An offset that is named again and again is INVALID_REQUEST in the end.
func (m *Machine) offsetFetch(req *kmsg.OffsetFetchRequest) *kmsg.OffsetFetchResponse {
	resp := kmsg.NewPtrOffsetFetchResponse()
	for _, rg := range req.Groups {
		one := kmsg.NewOffsetFetchResponseGroup()
		one.Group = rg.Group
		one.Topics = m.groups[rg.Group].fetch(rg.Topics)
		resp.Groups = append(resp.Groups, one)
	}
	return resp
}

func (g *group) fetch(asked []kmsg.OffsetFetchRequestGroupTopic) []kmsg.OffsetFetchResponseGroupTopic {
	if asked == nil {
		return g.fetchAll()
	}
	topics := make([]kmsg.OffsetFetchResponseGroupTopic, 0, len(asked))
	var told wire.Repeats[offsetName] // of what there is, so that it is no larger than that
	for _, t := range asked {
		rt := kmsg.OffsetFetchResponseGroupTopic{Topic: t.Topic, TopicID: t.TopicID}
		for _, partition := range t.Partitions {
			c, code := committed{offset: -1, leaderEpoch: -1}, int16(0)
			switch found, ok := g.offset(t.Topic, partition); {
			case !ok, found.ofAnother(t.TopicID):
			case told.TooMany(offsetName{t.Topic, partition}):
				code = kerr.InvalidRequest.Code
			default:
				c = found
			}
			rp := c.response(partition)
			rp.ErrorCode = code
			rt.Partitions = append(rt.Partitions, rp)
		}
		topics = append(topics, rt)
	}
	return topics
}

// offsetName names an offset of a group.
type offsetName struct {
	topic     string
	partition int32
}

// offset returns what was committed for a partition; a nil group has nothing.
func (g *group) offset(topic string, partition int32) (c committed, ok bool) {
	if g == nil {
		return c, false
	}
	c, ok = g.offsets[topic][partition]
	return c, ok
}

// fetchAll lists each offset under the topic id it was committed for, zero when unknown.
func (g *group) fetchAll() []kmsg.OffsetFetchResponseGroupTopic {
	topics := []kmsg.OffsetFetchResponseGroupTopic{}
	if g == nil {
		return topics
	}
	g.eachOffset(func(topic string, partition int32, c committed) {
		last := len(topics) - 1
		if last < 0 || topics[last].Topic != topic || topics[last].TopicID != c.topicID {
			topics = append(topics, kmsg.OffsetFetchResponseGroupTopic{Topic: topic, TopicID: c.topicID})
			last++
		}
		topics[last].Partitions = append(topics[last].Partitions, c.response(partition))
	})
	return topics
}

func (c committed) ofAnother(topicID [16]byte) bool {
	var unknown [16]byte
	return c.topicID != unknown && topicID != unknown && c.topicID != topicID
}

func (c committed) response(partition int32) kmsg.OffsetFetchResponseGroupTopicPartition {
	p := kmsg.NewOffsetFetchResponseGroupTopicPartition()
	p.Partition, p.Offset, p.LeaderEpoch = partition, c.offset, c.leaderEpoch
	p.Metadata = &c.metadata
	return p
}
