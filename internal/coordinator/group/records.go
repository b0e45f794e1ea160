package group

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The records are Kafka's, see docs/formats/consumer-offsets.md. kmsg writes them; they are read by a reader of our own,
// because the allocation and the time that a record costs must be bounded by its length (kmsg believes any number of
// tagged fields).
const (
	offsetKeyVersion    = 1 // 0 is the same, written by Kafka 0.8.1
	groupKeyVersion     = 2
	offsetValueVersion  = 3
	offsetValueExpiring = 1 // the one version with an expiry of its own
	offsetValueWithID   = 4 // with the topic's id as a tagged field
	groupValueVersion   = 3
)

// textBytesMax is what the 16-bit lengths of the records can say. Requests with compact strings can hold longer texts,
// which kmsg would write with a wrong length.
const textBytesMax = math.MaxInt16

func tooLong(s string) bool { return len(s) > textBytesMax }

var errMalformed = errors.New("malformed record")

// Replay takes one record of the partition, the machine's own and those of the log alike. It is the only way in which
// durable state changes. A record that cannot be decoded changes nothing and is an error; a key of a kind that is not of
// the classic protocol (version 3 and above) is ignored.
func (m *Machine) Replay(key, value []byte) error {
	k, err := parseKey(key)
	if err != nil {
		return err
	}
	switch {
	case k.version > groupKeyVersion:
		return nil
	case k.version == groupKeyVersion && value == nil:
		m.replayGroupRemoved(k.group)
	case k.version == groupKeyVersion:
		v, err := parseGroupValue(value)
		if err != nil {
			return fmt.Errorf("group %q: %w", k.group, err)
		}
		m.replayGroup(k.group, v)
	case value == nil:
		m.replayOffsetRemoved(k.group, k.topic, k.partition)
	default:
		c, err := parseOffsetValue(value)
		if err != nil {
			return fmt.Errorf("offset of group %q for %s-%d: %w", k.group, k.topic, k.partition, err)
		}
		m.replayOffset(k.group, k.topic, k.partition, c)
	}
	return nil
}

// replayGroup makes the group what its record says. Members that are in the group already keep what is volatile.
func (m *Machine) replayGroup(id string, v groupValue) {
	g := m.groups[id]
	if g == nil {
		g = newGroup(id)
		m.groups[id] = g
	}
	g.stored = true
	g.generation, g.protocolType, g.protocol, g.stateMs = v.generation, v.protocolType, v.protocol, v.stateMs
	m.replayMembers(g, v.members)
	g.leader = v.leader
	g.initial = false
	g.state = Stable
	if len(g.members) == 0 {
		g.state = Empty
	}
	m.timers.cancel(g.join)
	g.computeSubscription()
}

func (m *Machine) replayMembers(g *group, stored []*member) {
	before := g.roster
	g.roster = newRoster()
	for _, mem := range stored {
		if live := before.byID[mem.id]; live != nil {
			live.takeStored(mem, g.protocol)
			mem = live
		}
		g.add(mem)
	}
	for _, mem := range before.members {
		if g.byID[mem.id] == nil {
			m.timers.cancel(mem.session)
		}
	}
}

// takeStored makes the member what its record says. A record names only the chosen protocol: the others that a live
// member offers are kept, but not those of an earlier generation, which the log of a loading coordinator still shows.
func (mem *member) takeStored(stored *member, protocolName string) {
	mem.clientID, mem.clientHost = stored.clientID, stored.clientHost
	mem.sessionTimeout, mem.rebalanceTimeout = stored.sessionTimeout, stored.rebalanceTimeout
	mem.assignment = stored.assignment
	if !mem.knows(protocolName) || !bytes.Equal(mem.metadata(protocolName), stored.metadata(protocolName)) {
		mem.protocols = stored.protocols
	}
}

func (m *Machine) replayGroupRemoved(id string) {
	g := m.groups[id]
	if g == nil {
		return
	}
	m.replayMembers(g, nil)
	m.timers.cancel(g.join)
	m.timers.cancel(g.sync)
	offsets := g.offsets
	pending := g.pending
	*g = *newGroup(id)
	g.offsets, g.pending = offsets, pending
	m.forgetIfBlank(g)
}

// assignments returns the stored assignment of every member.
func (g *group) assignments() map[string][]byte {
	all := make(map[string][]byte, len(g.members))
	for _, mem := range g.members {
		all[mem.id] = mem.assignment
	}
	return all
}

// stableRecord stores the group's generation with the given assignments; members without one get an empty one.
func (g *group) stableRecord(stateMs int64, assignments map[string][]byte) Record {
	v := kmsg.NewGroupMetadataValue()
	v.Version = groupValueVersion
	v.ProtocolType, v.Generation = g.protocolType, g.generation
	v.Protocol, v.Leader = &g.protocol, &g.leader
	v.CurrentStateTimestamp = stateMs
	for _, mem := range g.members {
		mv := kmsg.NewGroupMetadataValueMember()
		mv.MemberID, mv.InstanceID = mem.id, mem.instance
		mv.ClientID, mv.ClientHost = mem.clientID, mem.clientHost
		mv.RebalanceTimeoutMillis = int32(mem.rebalanceTimeout.Milliseconds())
		mv.SessionTimeoutMillis = int32(mem.sessionTimeout.Milliseconds())
		mv.Subscription = mem.metadata(g.protocol)
		mv.Assignment = assignments[mem.id]
		v.Members = append(v.Members, mv)
	}
	return Record{Key: groupKey(g.id), Value: v.AppendTo(nil)}
}

// emptyRecord stores the next generation, which has no members.
func (g *group) emptyRecord(stateMs int64) Record {
	v := kmsg.NewGroupMetadataValue()
	v.Version = groupValueVersion
	v.ProtocolType, v.Generation = g.protocolType, g.generation+1
	v.CurrentStateTimestamp = stateMs
	return Record{Key: groupKey(g.id), Value: v.AppendTo(nil)}
}

func groupTombstone(id string) Record { return Record{Key: groupKey(id)} }

func groupKey(id string) []byte {
	k := kmsg.GroupMetadataKey{Version: groupKeyVersion, Group: id}
	return k.AppendTo(nil)
}

func offsetKey(id, topic string, partition int32) []byte {
	k := kmsg.OffsetCommitKey{Version: offsetKeyVersion, Group: id, Topic: topic, Partition: partition}
	return k.AppendTo(nil)
}

func offsetTombstone(id, topic string, partition int32) Record {
	return Record{Key: offsetKey(id, topic, partition)}
}

// record stores the commit in the oldest version that holds all of it, so that as many Kafka versions as possible read
// it; as in Kafka, a commit that asks for its own expiry loses its leader epoch.
func (c committed) record(id, topic string, partition int32) Record {
	v := kmsg.NewOffsetCommitValue()
	v.Version = offsetValueVersion
	v.Offset, v.LeaderEpoch, v.Metadata, v.CommitTimestamp = c.offset, c.leaderEpoch, c.metadata, c.commitMs
	switch {
	case c.expireMs >= 0:
		v.Version, v.ExpireTimestamp = offsetValueExpiring, c.expireMs
	case c.topicID != [16]byte{}:
		v.Version, v.TopicID = offsetValueWithID, c.topicID
	}
	return Record{Key: offsetKey(id, topic, partition), Value: v.AppendTo(nil)}
}

type recordKey struct {
	version   int16
	group     string
	topic     string // of an offset
	partition int32
}

func parseKey(b []byte) (recordKey, error) {
	r := reader{b: b}
	k := recordKey{version: r.int16()}
	if r.bad || k.version < 0 {
		return k, fmt.Errorf("key: %w", errMalformed)
	}
	if k.version > groupKeyVersion {
		return k, nil
	}
	k.group = r.string()
	if k.version < groupKeyVersion {
		k.topic, k.partition = r.string(), r.int32()
	}
	if r.bad {
		return k, fmt.Errorf("key of version %d: %w", k.version, errMalformed)
	}
	return k, nil
}

func parseOffsetValue(b []byte) (committed, error) {
	r := reader{b: b}
	version := r.int16()
	r.flexible = version >= 4
	c := committed{leaderEpoch: -1, expireMs: -1}
	c.offset = r.int64()
	if version >= 3 {
		c.leaderEpoch = r.int32()
	}
	c.metadata = r.string()
	c.commitMs = r.int64()
	if version == offsetValueExpiring {
		c.expireMs = r.int64()
	}
	if r.flexible {
		r.tags(func(tag uint64, value []byte) {
			if tag == 0 && len(value) == len(c.topicID) {
				c.topicID = [16]byte(value)
			}
		})
	}
	if r.bad || version < 0 {
		return committed{}, fmt.Errorf("value of version %d: %w", version, errMalformed)
	}
	return c, nil
}

// groupValue is a decoded GroupMetadataValue.
type groupValue struct {
	protocolType string
	protocol     string
	leader       string
	generation   int32
	stateMs      int64
	members      []*member
}

// memberBytesMin is the least that a member takes in a record: compact lengths and two numbers.
const memberBytesMin = 15

func parseGroupValue(b []byte) (groupValue, error) {
	r := reader{b: b}
	version := r.int16()
	r.flexible = version >= 4
	v := groupValue{protocolType: r.string(), generation: r.int32(), stateMs: -1}
	v.protocol, _ = r.nullableString()
	v.leader, _ = r.nullableString()
	if version >= 2 {
		v.stateMs = r.int64()
	}
	for range r.count(memberBytesMin) {
		v.members = append(v.members, r.member(version, v.protocol))
		if r.bad {
			break
		}
	}
	if r.flexible {
		r.tags(nil)
	}
	if r.bad || version < 0 {
		return groupValue{}, fmt.Errorf("value of version %d: %w", version, errMalformed)
	}
	return v, nil
}

func (r *reader) member(version int16, protocolName string) *member {
	mem := &member{id: r.string()}
	if version >= 3 {
		if instance, ok := r.nullableString(); ok {
			mem.instance = &instance
		}
	}
	mem.clientID, mem.clientHost = r.string(), r.string()
	rebalance := int32(-1)
	if version >= 1 {
		rebalance = r.int32()
	}
	mem.sessionTimeout = time.Duration(r.int32()) * time.Millisecond
	mem.rebalanceTimeout = time.Duration(rebalance) * time.Millisecond
	if rebalance < 0 {
		mem.rebalanceTimeout = mem.sessionTimeout
	}
	mem.protocols = []protocol{{name: protocolName, metadata: r.bytes()}}
	mem.assignment = r.bytes()
	if r.flexible {
		r.tags(nil)
	}
	return mem
}
