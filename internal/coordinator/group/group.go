package group

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
)

// State is a group's place in the rebalance protocol.
type State uint8

const (
	Empty State = iota
	PreparingRebalance
	CompletingRebalance
	Stable
	Dead
)

// String returns the state as Kafka's tools print it.
func (s State) String() string {
	return [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"}[s]
}

const consumerProtocolType = "consumer"

type group struct {
	id           string
	state        State
	stateMs      int64  // wall clock at the last stored change of state; -1 unknown
	protocolType string // empty for a group that only holds offsets
	protocol     string // chosen by vote; empty when there are no members
	generation   int32
	stored       bool // its GroupMetadataValue is in the log
	roster
	rebalance
	subscription
	offsets map[string]map[int32]committed
}

// rebalance is what a group waits for between two generations.
type rebalance struct {
	pending   map[string]*timer // member ids handed out and not used yet, each with its session
	initial   bool              // the first of the group: waits for company, whoever has joined
	newcomers bool              // someone joined since the initial delay was last extended
	extension int64             // ms by which the initial delay can still grow
	join      *timer
	sync      *timer
}

func newGroup(id string) *group {
	return &group{
		id:        id,
		stateMs:   -1,
		roster:    newRoster(),
		rebalance: rebalance{pending: make(map[string]*timer)},
		offsets:   make(map[string]map[int32]committed),
	}
}

func (g *group) blank() bool {
	return g.state == Empty && len(g.members) == 0 && len(g.pending) == 0 && !g.stored && len(g.offsets) == 0
}

// size returns the number of members; a nil group has none.
func (g *group) size() int {
	if g == nil {
		return 0
	}
	return len(g.members)
}

func (g *group) allJoined() bool {
	return g.joined == len(g.members) && len(g.pending) == 0
}

// supports says whether a member with these protocols can be in the group.
func (g *group) supports(protocolType string, protocols []protocol) bool {
	if len(g.members) == 0 { // Empty, or the last member left while the group was preparing
		return protocolType != "" && len(protocols) > 0
	}
	return g.protocolType == protocolType && g.sharesProtocol(protocols)
}

// member finds who sent a request; the error is UNKNOWN_MEMBER_ID, or FENCED_INSTANCE_ID when another process has taken
// the static member's place.
func (g *group) member(id string, instance *string) (*member, *kerr.Error) {
	if instance != nil {
		holder := g.byInstance[*instance]
		if holder == nil {
			return nil, kerr.UnknownMemberID
		}
		if holder.id != id {
			return nil, kerr.FencedInstanceID
		}
	}
	mem := g.byID[id]
	if mem == nil {
		return nil, kerr.UnknownMemberID
	}
	return mem, nil
}

// groupIDs returns the ids of all groups in order.
func (m *Machine) groupIDs() []string {
	return slices.Sorted(maps.Keys(m.groups))
}

// subscription is the topics that the members of a stable consumer group read; offsets of other topics may expire or be
// deleted.
type subscription struct {
	topics map[string]bool
	known  bool // false when a member's metadata could not be read
}

// subscribes says whether offsets of the topic must be kept because someone may read it.
func (g *group) subscribes(topic string) bool {
	if g.protocolType != consumerProtocolType {
		return false
	}
	return !g.known || g.topics[topic]
}

func (g *group) computeSubscription() {
	g.subscription = subscription{topics: make(map[string]bool), known: true}
	if g.protocolType != consumerProtocolType {
		return
	}
	for _, mem := range g.members {
		topics, ok := subscribedTopics(mem.metadata(g.protocol))
		if !ok {
			g.known = false
		}
		for _, topic := range topics {
			g.topics[topic] = true
		}
	}
}

// subscribedTopicsMax bounds what is made of a subscription: a name can be as short as its length. A member that has more
// counts as one that cannot be read.
const subscribedTopicsMax = 20_000

// subscribedTopics reads the part that all versions of the consumer protocol's subscription begin with: version, topics.
func subscribedTopics(metadata []byte) (topics []string, ok bool) {
	if len(metadata) < 6 {
		return nil, false
	}
	count := binary.BigEndian.Uint32(metadata[2:])
	rest := metadata[6:]
	if count > subscribedTopicsMax || uint64(count)*2 > uint64(len(rest)) {
		return nil, false
	}
	for range count {
		if len(rest) < 2 {
			return nil, false
		}
		size := int(int16(binary.BigEndian.Uint16(rest)))
		if size < 0 || len(rest) < 2+size {
			return nil, false
		}
		topics = append(topics, string(rest[2:2+size]))
		rest = rest[2+size:]
	}
	return topics, true
}
