package controller

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/seeded"
	"github.com/logbahn/logbahn/internal/wire"
)

// registerBroker serves BrokerRegistration: a run of a broker begins, fenced, with a new epoch (KIP-631). The same run
// asking again is answered with the epoch it has. While the last run's session is valid, another run is refused, unless it
// shows that the last one is dead.
func (m *Machine) registerBroker(nowMs int64, img *cluster.Image, req *kmsg.BrokerRegistrationRequest) (kmsg.Response, []cluster.Change) {
	resp := req.ResponseKind().(*kmsg.BrokerRegistrationResponse)
	resp.BrokerEpoch = -1
	old, known := img.Broker(req.BrokerID)
	switch {
	case req.ClusterID != img.ClusterID():
		resp.ErrorCode = wire.InconsistentClusterID.Code()
	case req.BrokerID < 0 || req.IncarnationID == cluster.ZeroUUID:
		resp.ErrorCode = wire.InvalidRequest.Code()
	case len(req.Listeners) == 0 || m.directoryTaken(img, req):
		resp.ErrorCode = wire.InvalidRegistration.Code()
	case known && old.Incarnation == req.IncarnationID:
		resp.BrokerEpoch = old.Epoch
		m.sessions.heard(old.ID, old.Epoch, nowMs)
	case known && m.sessions.lasts(old, nowMs) && !succeeds(old, req):
		resp.ErrorCode = wire.DuplicateBrokerRegistration.Code()
	default:
		b := registration(req, img.NextBrokerEpoch())
		resp.BrokerEpoch = b.Epoch
		m.sessions.heard(b.ID, b.Epoch, nowMs)
		changes := m.resettle(img, b.ID, dead)
		changes = append(changes, m.oneMinISR(img, b.ID)...)
		return resp, append(changes, cluster.RegisterBroker{Broker: b, Lost: m.loss(img, old, known, req)})
	}
	return resp, nil
}

// The tagged fields of a registration that are ours: Kafka's controllers pass over them.
const (
	lastEpochTag = 10001 // the epoch of the last one that the broker's directory knows of, as 8 bytes
	flushOSTag   = 10002 // 1 when what the directory has acknowledged may not have been on disk (flush=os), 0 when it was
)

// SetLastEpoch says in a registration which one the broker's directory has had last.
func SetLastEpoch(req *kmsg.BrokerRegistrationRequest, epoch int64) {
	req.UnknownTags.Set(lastEpochTag, binary.BigEndian.AppendUint64(nil, uint64(epoch)))
}

// SetFlushOS says in a registration whether the broker's directory is, or was the last time, of a broker with flush=os.
func SetFlushOS(req *kmsg.BrokerRegistrationRequest, is bool) {
	value := []byte{0}
	if is {
		value[0] = 1
	}
	req.UnknownTags.Set(flushOSTag, value)
}

// flushOS tells whether a broker loses what it has acknowledged when its machine fails. The configuration of the controller's
// node says so of those that do not say it themselves: it may be another one, on a node that is no broker, and while the
// configuration is changed from node to node.
func (m *Machine) flushOS(req *kmsg.BrokerRegistrationRequest) bool {
	is := m.cfg.FlushOS
	req.UnknownTags.Each(func(tag uint32, value []byte) {
		if tag == flushOSTag && len(value) == 1 {
			is = value[0] != 0
		}
	})
	return is
}

// succeeds tells whether a run shows that the last one has ended, whatever its session says: it has the directory of the
// last run, as that has left it. A broker locks its directory before it registers and until it ends. A copy that was made
// before the last registration does not know it, nor does a request of an earlier run that was long on its way; one that
// was made since is found out by the run that it replaces, which ends when it hears of it.
func succeeds(old cluster.Broker, req *kmsg.BrokerRegistrationRequest) bool {
	last := int64(-1)
	req.UnknownTags.Each(func(tag uint32, value []byte) {
		if tag == lastEpochTag && len(value) == 8 {
			last = int64(binary.BigEndian.Uint64(value))
		}
	})
	kept := func(id cluster.UUID) bool { return slices.Contains(req.LogDirs, [16]byte(id)) }
	return last == old.Epoch && len(old.Directories) == 1 && len(req.LogDirs) == 1 && kept(old.Directories[0])
}

func registration(req *kmsg.BrokerRegistrationRequest, epoch int64) cluster.Broker {
	b := cluster.Broker{ID: req.BrokerID, Epoch: epoch, Incarnation: req.IncarnationID, Fenced: true}
	if req.Rack != nil {
		b.Rack = *req.Rack
	}
	for i := range req.Listeners {
		l := &req.Listeners[i]
		b.Listeners = append(b.Listeners, cluster.Endpoint{
			Name: l.Name, Host: l.Host, Port: l.Port, Security: l.SecurityProtocol,
		})
	}
	for _, id := range req.LogDirs {
		b.Directories = append(b.Directories, id)
	}
	return b
}

// directoryTaken tells whether a broker comes with the directory of another one: it is a copy.
func (m *Machine) directoryTaken(img *cluster.Image, req *kmsg.BrokerRegistrationRequest) bool {
	for _, b := range img.Brokers() {
		shared := slices.ContainsFunc(b.Directories, func(id cluster.UUID) bool { return slices.Contains(req.LogDirs, [16]byte(id)) })
		if b.ID != req.BrokerID && shared {
			return true
		}
	}
	return false
}

// loss is what a broker no longer has of what it had in its last run. One that was unregistered in between is not known
// to have the directory that it had.
func (m *Machine) loss(img *cluster.Image, old cluster.Broker, known bool, req *kmsg.BrokerRegistrationRequest) cluster.Loss {
	gone := func(id cluster.UUID) bool { return !slices.Contains(req.LogDirs, [16]byte(id)) }
	switch {
	case seeded.Is(seeded.PassOverDirectory):
	case !known && holds(img, req.BrokerID), known && len(req.LogDirs) > 0 && slices.ContainsFunc(old.Directories, gone):
		return cluster.LostAll
	case !known:
		return cluster.LostNothing
	case seeded.Is(seeded.BelieveEveryStop):
	case m.flushOS(req) && req.PreviousBrokerEpoch != old.Epoch:
		return cluster.LostUnflushed
	}
	return cluster.LostNothing
}

// holds tells whether a broker is named as a replica of anything.
func holds(img *cluster.Image, id cluster.NodeID) bool {
	for range img.TopicsOf(id) {
		return true
	}
	return false
}

// The configs that elections depend on.
const (
	minISRKey  = "min.insync.replicas"
	uncleanKey = "unclean.leader.election.enable"
)

// oneMinISR fixes min.insync.replicas for all brokers when a second one joins, unless that was done: leaders judge by it
// what is committed, and the controller who is eligible to lead. If each had its own, a leader with the lower one would
// commit what the controller believes not to be (as Kafka does when it switches KIP-966 on).
func (m *Machine) oneMinISR(img *cluster.Image, joins cluster.NodeID) []cluster.Change {
	all := cluster.Resource{Type: cluster.BrokerDefaultResource}
	_, set := img.Config(all)[minISRKey]
	alone := !slices.ContainsFunc(img.Brokers(), func(b cluster.Broker) bool { return b.ID != joins })
	if set || alone {
		return nil
	}
	value := fmt.Sprint(m.layers(img).Election(nil).MinInsyncReplicas)
	changes := []cluster.Change{cluster.SetConfig{Resource: all, Key: minISRKey, Value: &value}}
	for _, r := range img.ConfiguredResources() {
		if _, own := img.Config(r)[minISRKey]; own && r.Type == cluster.BrokerResource {
			changes = append(changes, cluster.SetConfig{Resource: r, Key: minISRKey})
		}
	}
	return append(changes, cluster.ClearELR{})
}

// brokerHeartbeat serves BrokerHeartbeat. A broker asks to be unfenced by not wanting to be fenced. It is when the
// metadata offset that it has reached shows that its image holds its registration: then it knows all that it led before.
// One that wants to shut down drains first.
func (m *Machine) brokerHeartbeat(nowMs int64, img *cluster.Image, req *kmsg.BrokerHeartbeatRequest) (kmsg.Response, []cluster.Change) {
	resp := req.ResponseKind().(*kmsg.BrokerHeartbeatResponse)
	b, why := registered(img, req.BrokerID, req.BrokerEpoch)
	if why != nil {
		resp.ErrorCode = why.code.Code()
		return resp, nil
	}
	m.sessions.heard(b.ID, b.Epoch, nowMs)
	m.sessions.reached(b.ID, req.CurrentMetadataOffset)
	resp.IsCaughtUp = req.CurrentMetadataOffset >= b.RegisteredAt
	next := b
	next.Cordoned = m.cordoned(b, req)
	switch {
	case req.WantShutdown:
		resp.ShouldShutdown = b.Fenced || m.mayStop(img, b.ID)
		next.Fenced, next.Draining = resp.ShouldShutdown, !resp.ShouldShutdown
	case b.Fenced:
		next.Fenced, next.Draining = req.WantFence || !resp.IsCaughtUp, false
	default:
		next.Fenced, next.Draining = req.WantFence, false
	}
	if resp.ShouldShutdown {
		m.sessions.forget(b.ID) // its next run need not wait for the session's end
	}
	resp.IsFenced = next.Fenced
	var changes []cluster.Change
	if standingOf(&next) != standingOf(&b) {
		changes = m.resettle(img, b.ID, standingOf(&next))
	}
	if next.Fenced != b.Fenced || next.Draining != b.Draining || next.Cordoned != b.Cordoned {
		changes = append(changes, cluster.SetBrokerState{
			ID: b.ID, Epoch: b.Epoch, Fenced: next.Fenced, Draining: next.Draining, Cordoned: next.Cordoned,
		})
	}
	return resp, changes
}

// cordoned tells whether none of a broker's directories takes replicas. A heartbeat that does not say leaves it as it is.
func (m *Machine) cordoned(b cluster.Broker, req *kmsg.BrokerHeartbeatRequest) bool {
	if req.Version < 2 || req.CordonedLogDirs == nil {
		return b.Cordoned
	}
	open := func(id cluster.UUID) bool { return !slices.Contains(req.CordonedLogDirs, [16]byte(id)) }
	return len(b.Directories) > 0 && !slices.ContainsFunc(b.Directories, open)
}

// mayStop tells whether a broker that drains is not needed any more, and every other one knows that: whoever leads in its
// stead has begun to.
func (m *Machine) mayStop(img *cluster.Image, id cluster.NodeID) bool {
	if m.needed(img, id) {
		m.sessions.drainedAt(id, -1)
		return false
	}
	return m.sessions.allReached(img, id, m.sessions.drainedAt(id, img.Offset()))
}

// needed tells whether a partition loses something with a broker that another one could give it if it waited: its leader,
// or a member of an in-sync set that would be too small, while a replica that lives has still to catch up. What cannot get
// better by waiting is not waited for. A drain of which the partitions have not all been settled goes on.
func (m *Machine) needed(img *cluster.Image, id cluster.NodeID) bool {
	b := m.with(img, id, draining)
	for t := range img.TopicsOf(id) {
		r := b.rules(t)
		for i := range t.Partitions {
			p := &t.Partitions[i]
			if !slices.Contains(p.ISR, id) {
				continue
			}
			if next, _ := r.settle(p, *p); next.Leader != p.Leader || r.waits(&next, id) {
				return true
			}
		}
	}
	return false
}

// waits tells whether a live replica outside of the in-sync set would do what the broker does in it.
func (r rules) waits(p *cluster.Partition, id cluster.NodeID) bool {
	others, catchingUp := 0, false
	for _, replica := range p.Replicas {
		switch in := slices.Contains(p.ISR, replica); {
		case replica == id || r.standing(replica) == dead:
		case in:
			others++
		default:
			catchingUp = catchingUp || r.standing(replica) == live
		}
	}
	return catchingUp && slices.Contains(p.ISR, id) && others < r.minISR(len(p.Replicas))
}

// registered returns a broker if the epoch is that of its registration.
func registered(img *cluster.Image, id cluster.NodeID, epoch int64) (cluster.Broker, *refusal) {
	b, ok := img.Broker(id)
	switch {
	case !ok:
		return b, &refusal{wire.BrokerIDNotRegistered, fmt.Sprintf("No broker with id %d found.", id)}
	case b.Epoch != epoch:
		return b, &refusal{
			wire.StaleBrokerEpoch, fmt.Sprintf("Expected broker epoch %d, but got broker epoch %d", b.Epoch, epoch),
		}
	}
	return b, nil
}

// unregisterBroker serves UnregisterBroker. What nobody else can lead is left without a leader until the broker returns.
func (m *Machine) unregisterBroker(img *cluster.Image, req *kmsg.UnregisterBrokerRequest) (kmsg.Response, []cluster.Change) {
	resp := req.ResponseKind().(*kmsg.UnregisterBrokerResponse)
	b, ok := img.Broker(req.BrokerID)
	if !ok {
		text := fmt.Sprintf("Broker ID %d is not currently registered", req.BrokerID)
		resp.ErrorCode, resp.ErrorMessage = wire.BrokerIDNotRegistered.Code(), &text
		return resp, nil
	}
	m.sessions.forget(b.ID)
	return resp, append(m.resettle(img, b.ID, dead), cluster.UnregisterBroker{ID: b.ID, Epoch: b.Epoch})
}
