package controller

import "github.com/logbahn/logbahn/internal/cluster"

// sessions remembers when each broker was last heard of. It is forgotten with the controller.
type sessions struct {
	timeoutMs int64
	lastMs    int64 // when anything happened
	heardMs   map[cluster.NodeID]heard
}

type heard struct {
	epoch int64 // of the registration
	atMs  int64
}

func newSessions(timeoutMs int64) sessions {
	return sessions{timeoutMs: timeoutMs, heardMs: make(map[cluster.NodeID]heard)}
}

// pass notes the time. When the controller itself has been away (stopped, suspended, not the leader) for half a session
// or more, or the clock has jumped, that time does not count against the brokers: it could not have heard them.
func (s *sessions) pass(nowMs int64) {
	away := nowMs - s.lastMs
	if away >= s.timeoutMs/2 || away < 0 {
		for id, h := range s.heardMs {
			h.atMs += away
			s.heardMs[id] = h
		}
	}
	s.lastMs = nowMs
}

func (s *sessions) heard(id cluster.NodeID, epoch, nowMs int64) { s.heardMs[id] = heard{epoch, nowMs} }

func (s *sessions) forget(id cluster.NodeID) { delete(s.heardMs, id) }

// valid tells whether a registration was heard of within the timeout.
func (s *sessions) valid(b cluster.Broker, nowMs int64) bool {
	h, ok := s.heardMs[b.ID]
	return ok && h.epoch == b.Epoch && nowMs-h.atMs < s.timeoutMs
}

// expired tells whether a broker has been silent for too long. One that was never heard of begins its session now.
func (s *sessions) expired(b cluster.Broker, nowMs int64) bool {
	if h, ok := s.heardMs[b.ID]; !ok || h.epoch != b.Epoch {
		s.heard(b.ID, b.Epoch, nowMs)
	}
	return !s.valid(b, nowMs)
}

// Tick returns the changes that fence the brokers that have been silent for too long: call it a few times in a session,
// with the time and the image as for Handle. A call changes at most one broker's state, so that the changes fit img;
// more is true when there may be another, to be asked for with the image that includes the first.
func (m *Machine) Tick(nowMs int64, img *cluster.Image) (changes []cluster.Change, more bool) {
	m.sessions.pass(nowMs)
	for _, b := range img.Brokers() {
		if !b.Fenced && m.sessions.expired(b, nowMs) {
			return m.fence(img, b), true
		}
	}
	return nil, false
}

func (m *Machine) fence(img *cluster.Image, b cluster.Broker) []cluster.Change {
	return append(electLeaders(img, b.ID, false), cluster.SetBrokerState{ID: b.ID, Epoch: b.Epoch, Fenced: true})
}
