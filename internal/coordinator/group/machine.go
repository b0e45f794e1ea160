package group

import (
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Config holds the broker settings that the machine obeys. The zero value of a field means its default.
type Config struct {
	InitialRebalanceDelay  time.Duration // group.initial.rebalance.delay.ms; default 3 s, negative for none
	SessionTimeoutMin      time.Duration // group.min.session.timeout.ms; default 6 s
	SessionTimeoutMax      time.Duration // group.max.session.timeout.ms; default 30 min
	SizeMax                int           // group.max.size, members; default no limit
	OffsetMetadataMax      int           // offset.metadata.max.bytes; counted as Kafka does, in UTF-16 units; default 4096
	OffsetsRetention       time.Duration // offsets.retention.minutes; default 7 days
	RetentionCheckInterval time.Duration // offsets.retention.check.interval.ms; default 10 min
	RecordBytesMax         int           // what one request may write, keys and values; default 1,000,000

	// NewID returns a fresh unique text, a UUID, from which member ids are made. Required.
	NewID func() string
}

// newMemberTimeout bounds how long a member that never knew its id may stay in a parked JoinGroup: it cannot send
// heartbeats, and its client may be gone.
const newMemberTimeout = 5 * time.Minute

func (c Config) withDefaults() Config {
	defaultTo(&c.InitialRebalanceDelay, 3*time.Second)
	c.InitialRebalanceDelay = max(c.InitialRebalanceDelay, 0)
	defaultTo(&c.SessionTimeoutMin, 6*time.Second)
	defaultTo(&c.SessionTimeoutMax, 30*time.Minute)
	defaultTo(&c.SizeMax, math.MaxInt32)
	defaultTo(&c.OffsetMetadataMax, 4096)
	defaultTo(&c.OffsetsRetention, 7*24*time.Hour)
	defaultTo(&c.RetentionCheckInterval, 10*time.Minute)
	defaultTo(&c.RecordBytesMax, 1_000_000)
	return c
}

func defaultTo[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Client is who sent a request.
type Client struct {
	ID   string // client.id, may be empty
	Host string // address without port
}

// Call is one request on its way through the machine.
type Call struct {
	ID      uint64 // names the reply; not 0, and unique among the calls not yet answered
	Client  Client
	Request kmsg.Request
}

// Reply answers the call with the same ID. The response's Version is not set.
type Reply struct {
	ID       uint64
	Response kmsg.Response
}

// Record is a record for the machine's partition. A nil value is a tombstone.
type Record struct {
	Key, Value []byte
}

// Result is what one step of the machine decided: replies, which may answer earlier calls, and records to replay and
// append; and what there is to tell of groups.
type Result struct {
	Replies []Reply
	Records []Record
	Events  []Event
}

// Event is a step of a group that its operator may want to know of: it begins to rebalance, for a reason, or has a new
// generation.
type Event struct {
	Group      string // shortened, as clients may call it what they like
	State      State  // before
	Generation int32  // before a rebalance the old one
	Members    int    // the new generation's; 0 with a Reason
	Reason     string // empty: a new generation has begun
}

// Machine is the groups of one partition of __consumer_offsets; see the package documentation for its contract.
type Machine struct {
	cfg    Config
	groups map[string]*group
	timers timers
	loaded time.Time
	step   Result // of the call under way
}

// New returns a machine without groups.
func New(cfg Config) *Machine {
	return &Machine{cfg: cfg.withDefaults(), groups: make(map[string]*group)}
}

// Loaded tells the machine that the log is replayed: sessions of the stored members start now. Groups larger than
// group.max.size has become meanwhile rebalance.
func (m *Machine) Loaded(now time.Time) {
	m.loaded = now
	for _, id := range m.groupIDs() {
		g := m.groups[id]
		for _, mem := range g.members {
			m.renewSession(now, g, mem)
		}
		if len(g.members) > m.cfg.SizeMax {
			m.prepareRebalance(now, g, "the group is larger than group.max.size")
		}
	}
	m.schedule(now, m.cfg.RetentionCheckInterval, &timer{kind: retentionCheck})
}

// Deadline returns when Expire is next due; ok is false when nothing is awaited.
func (m *Machine) Deadline() (at time.Time, ok bool) {
	if len(m.timers.heap) == 0 {
		return time.Time{}, false
	}
	return m.timers.heap[0].at, true
}

// Expire handles the first deadline that has passed, and only that: its records must be replayed before the next.
func (m *Machine) Expire(now time.Time) Result {
	t := m.timers.pop(now)
	if t == nil {
		return Result{}
	}
	switch t.kind {
	case sessionTimeout:
		m.sessionExpired(now, t.group, t.memberID)
	case joinTimeout:
		m.joinTimeout(now, t.group)
	case syncTimeout:
		m.syncTimeout(now, t.group)
	case retentionCheck:
		m.expireOffsets(now)
		m.schedule(now, m.cfg.RetentionCheckInterval, &timer{kind: retentionCheck})
	}
	return m.endStep()
}

// Handle takes one request. Requests of another kind than the package serves are answered by nothing: the caller's
// table decides which requests come here. OffsetFetch is asked in the form of version 8 (Groups) whatever its version.
func (m *Machine) Handle(now time.Time, c Call) Result {
	switch req := c.Request.(type) {
	case *kmsg.JoinGroupRequest:
		m.joinGroup(now, c, req)
	case *kmsg.SyncGroupRequest:
		m.syncGroup(now, c, req)
	case *kmsg.HeartbeatRequest:
		m.reply(c.ID, m.heartbeat(now, req))
	case *kmsg.LeaveGroupRequest:
		m.reply(c.ID, m.leaveGroup(now, req))
	case *kmsg.OffsetCommitRequest:
		m.reply(c.ID, m.offsetCommit(now, req))
	case *kmsg.OffsetFetchRequest:
		m.reply(c.ID, m.offsetFetch(req))
	case *kmsg.OffsetDeleteRequest:
		m.reply(c.ID, m.offsetDelete(req))
	case *kmsg.DescribeGroupsRequest:
		m.reply(c.ID, m.describeGroups(req))
	case *kmsg.ListGroupsRequest:
		m.reply(c.ID, m.listGroups(req))
	case *kmsg.DeleteGroupsRequest:
		m.reply(c.ID, m.deleteGroups(req))
	}
	return m.endStep()
}

func (m *Machine) reply(id uint64, resp kmsg.Response) {
	m.step.Replies = append(m.step.Replies, Reply{ID: id, Response: resp})
}

func (m *Machine) write(r ...Record) {
	m.step.Records = append(m.step.Records, r...)
}

func (m *Machine) endStep() Result {
	r := m.step
	m.step = Result{}
	return r
}

// forgetIfBlank drops a group of which nothing is left, in memory or in the log.
func (m *Machine) forgetIfBlank(g *group) {
	if g.blank() && m.groups[g.id] == g {
		delete(m.groups, g.id)
	}
}
