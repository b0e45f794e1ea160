package group

import (
	"bytes"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// protocol is one way to divide the work that a member offers, most wanted first in its list. The metadata is the
// clients' own.
type protocol struct {
	name     string
	metadata []byte
}

type member struct {
	id               string
	instance         *string // group.instance.id; nil for a dynamic member
	clientID         string
	clientHost       string
	sessionTimeout   time.Duration
	rebalanceTimeout time.Duration
	protocols        []protocol
	assignment       []byte // stored; only Replay sets it

	isNew    bool   // has not been told its id yet, so it cannot heartbeat
	join     uint64 // parked JoinGroup call, 0 for none
	sync     uint64 // parked SyncGroup call, 0 for none
	owesSync bool   // has not sent SyncGroup in this generation
	session  *timer
}

func (mem *member) static() bool { return mem.instance != nil }

// metadata returns what the member offers for the protocol, nil when it does not know it.
func (mem *member) metadata(name string) []byte {
	for _, p := range mem.protocols {
		if p.name == name {
			return p.metadata
		}
	}
	return nil
}

func (mem *member) knows(name string) bool {
	return slices.ContainsFunc(mem.protocols, func(p protocol) bool { return p.name == name })
}

// offers says whether the member's protocols are just these, in this order.
func (mem *member) offers(protocols []protocol) bool {
	return slices.EqualFunc(mem.protocols, protocols, func(a, b protocol) bool {
		return a.name == b.name && bytes.Equal(a.metadata, b.metadata)
	})
}

// roster is the members of a group, in the order in which they came.
type roster struct {
	members    []*member
	byID       map[string]*member
	byInstance map[string]*member
	supporters map[string]int // members per protocol name
	leader     string         // member id, empty when there are no members
	joined     int            // members with a parked JoinGroup
}

func newRoster() roster {
	return roster{
		byID:       make(map[string]*member),
		byInstance: make(map[string]*member),
		supporters: make(map[string]int),
	}
}

func (r *roster) add(mem *member) {
	r.members = append(r.members, mem)
	r.byID[mem.id] = mem
	if mem.static() {
		r.byInstance[*mem.instance] = mem
	}
	r.countProtocols(mem, 1)
	if mem.join != 0 {
		r.joined++
	}
	if r.leader == "" {
		r.leader = mem.id
	}
}

func (r *roster) remove(mem *member) {
	r.members = slices.DeleteFunc(r.members, func(other *member) bool { return other == mem })
	delete(r.byID, mem.id)
	if mem.static() && r.byInstance[*mem.instance] == mem {
		delete(r.byInstance, *mem.instance)
	}
	r.countProtocols(mem, -1)
	if mem.join != 0 {
		r.joined--
	}
	if r.leader == mem.id {
		r.leader = ""
		if len(r.members) > 0 {
			r.leader = r.members[0].id
		}
	}
}

// rename gives a static member a new id; whoever used the old one is fenced from now on.
func (r *roster) rename(mem *member, id string) {
	delete(r.byID, mem.id)
	if r.leader == mem.id {
		r.leader = id
	}
	mem.id = id
	r.byID[id] = mem
}

func (r *roster) setProtocols(mem *member, protocols []protocol) {
	r.countProtocols(mem, -1)
	mem.protocols = protocols
	r.countProtocols(mem, 1)
}

func (r *roster) countProtocols(mem *member, delta int) {
	for _, p := range mem.protocols {
		r.supporters[p.name] += delta
		if r.supporters[p.name] == 0 {
			delete(r.supporters, p.name)
		}
	}
}

// parkJoin remembers the call that the end of the join phase answers, and returns the call it replaces, 0 for none.
func (r *roster) parkJoin(mem *member, call uint64) (replaced uint64) {
	replaced, mem.join = mem.join, call
	if replaced == 0 {
		r.joined++
	}
	return replaced
}

// unparkJoin returns the parked JoinGroup call, 0 for none, and forgets it.
func (r *roster) unparkJoin(mem *member) uint64 {
	call := mem.join
	if call != 0 {
		mem.join = 0
		r.joined--
	}
	return call
}

// sharesProtocol says whether one of the protocols is known to every member.
func (r *roster) sharesProtocol(protocols []protocol) bool {
	return slices.ContainsFunc(protocols, func(p protocol) bool { return r.supporters[p.name] == len(r.members) })
}

// vote returns the protocol that most members prefer among those that all of them know; the earlier vote wins a tie.
func (r *roster) vote() string {
	votes := make(map[string]int)
	var order []string
	for _, mem := range r.members {
		i := slices.IndexFunc(mem.protocols, func(p protocol) bool { return r.supporters[p.name] == len(r.members) })
		if i < 0 {
			continue // cannot be: who shares no protocol is not let in
		}
		name := mem.protocols[i].name
		if votes[name] == 0 {
			order = append(order, name)
		}
		votes[name]++
	}
	best := ""
	for _, name := range order {
		if votes[name] > votes[best] {
			best = name
		}
	}
	return best
}

// electJoined makes a joined member the leader if the leader has not joined, and says whether the leader has joined.
func (r *roster) electJoined() bool {
	if leader := r.byID[r.leader]; leader != nil && leader.join != 0 {
		return true
	}
	for _, mem := range r.members {
		if mem.join != 0 {
			r.leader = mem.id
			return true
		}
	}
	return false
}

func (r *roster) rebalanceTimeout() time.Duration {
	var longest time.Duration
	for _, mem := range r.members {
		longest = max(longest, mem.rebalanceTimeout)
	}
	return longest
}

// withMetadata lists the members as the leader's JoinGroup reply does.
func (r *roster) withMetadata(protocolName string) []kmsg.JoinGroupResponseMember {
	list := make([]kmsg.JoinGroupResponseMember, 0, len(r.members))
	for _, mem := range r.members {
		m := kmsg.NewJoinGroupResponseMember()
		m.MemberID, m.InstanceID, m.ProtocolMetadata = mem.id, mem.instance, mem.metadata(protocolName)
		list = append(list, m)
	}
	return list
}
