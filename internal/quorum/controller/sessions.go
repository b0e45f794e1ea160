package controller

import "github.com/logbahn/logbahn/internal/cluster"

// sessions remembers when each broker was last heard of. It is forgotten with the controller.
type sessions struct {
	timeoutMs int64
	lastMs    int64 // when anything happened
	heardMs   map[cluster.NodeID]heard
}

type heard struct {
	epoch  int64 // of the registration
	atMs   int64
	offset int64 // of the metadata, as the broker says; -1 until it has
	// drained is the metadata offset of the first image in which nothing waited for the broker any more, -1 until then.
	drained int64
	// granted: the broker has not spoken to this controller. Its session began with the term.
	granted bool
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

// heard begins or prolongs a session.
func (s *sessions) heard(id cluster.NodeID, epoch, nowMs int64) {
	h, ok := s.heardMs[id]
	if !ok || h.epoch != epoch {
		h = heard{epoch: epoch, offset: -1, drained: -1}
	}
	h.atMs, h.granted = nowMs, false
	s.heardMs[id] = h
}

// grant begins the session of a broker that has not spoken yet.
func (s *sessions) grant(id cluster.NodeID, epoch, nowMs int64) {
	s.heardMs[id] = heard{epoch: epoch, atMs: nowMs, offset: -1, drained: -1, granted: true}
}

// end ends the session of a broker, unless it has spoken within the last silentMs.
func (s *sessions) end(id cluster.NodeID, epoch, nowMs, silentMs int64) {
	h, ok := s.heardMs[id]
	switch {
	case !ok || h.epoch != epoch:
		h = heard{epoch: epoch, offset: -1, drained: -1, granted: true}
	case !h.granted && nowMs-h.atMs < silentMs:
		return
	}
	h.atMs = nowMs - s.timeoutMs
	s.heardMs[id] = h
}

// reached notes the metadata offset that a broker that was heard has got to.
func (s *sessions) reached(id cluster.NodeID, offset int64) {
	h := s.heardMs[id]
	h.offset = max(h.offset, offset)
	s.heardMs[id] = h
}

// drainedAt notes that nothing waits for a broker in the image at offset, or that something does again (-1), and returns
// since which offset that has been so.
func (s *sessions) drainedAt(id cluster.NodeID, offset int64) int64 {
	h := s.heardMs[id]
	if offset < 0 || h.drained < 0 {
		h.drained = offset
	}
	s.heardMs[id] = h
	return h.drained
}

// allReached tells whether every live broker but one has got to a metadata offset. One that is silent is fenced before long.
func (s *sessions) allReached(img *cluster.Image, but cluster.NodeID, offset int64) bool {
	for _, b := range img.Brokers() {
		if b.ID == but || b.Fenced {
			continue
		}
		if h, ok := s.heardMs[b.ID]; !ok || h.epoch != b.Epoch || h.offset < offset {
			return false
		}
	}
	return true
}

func (s *sessions) forget(id cluster.NodeID) { delete(s.heardMs, id) }

// valid tells whether a registration was heard of within the timeout.
func (s *sessions) valid(b cluster.Broker, nowMs int64) bool {
	h, ok := s.heardMs[b.ID]
	return ok && h.epoch == b.Epoch && nowMs-h.atMs < s.timeoutMs
}

// lasts tells whether a broker may live, so that another run has to wait: also one that has not spoken to this controller, before
// which others may have asked for its place for long. One that is fenced has lost its session to an earlier controller, or has
// registered with it and not begun: it leads nothing yet, and its place goes to whoever asks.
func (s *sessions) lasts(b cluster.Broker, nowMs int64) bool {
	if b.Fenced {
		return s.valid(b, nowMs)
	}
	return !s.expired(b, nowMs)
}

// expired tells whether a broker has been silent for too long. One that was never heard of begins its session now.
func (s *sessions) expired(b cluster.Broker, nowMs int64) bool {
	if h, ok := s.heardMs[b.ID]; !ok || h.epoch != b.Epoch {
		s.grant(b.ID, b.Epoch, nowMs)
	}
	return !s.valid(b, nowMs)
}
