package node

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
)

// way is what a node speaks to a controller about, each by a connection of its own.
type way int

const (
	asBroker way = iota // its registration and heartbeats
	asMember            // the quorum's messages
	wayCount
)

// sighting is what was heard of a node.
type sighting struct {
	count int // how often it has spoken
	lines [wayCount]line
	// proven is the epoch of the registration whose process was taken for ended, immune of one that spoke all the same; -1.
	proven, immune int64
}

// line is a connection by which a node speaks.
type line struct {
	done  <-chan struct{} // closed at its end; nil: there is none
	leave func() bool     // ends the wait for its end
	endAt time.Time       // zero while it stands
}

// cutAt returns when a connection has ended behind which the node has not spoken, zero when none has.
func (s *sighting) cutAt() time.Time {
	at := time.Time{}
	for _, l := range s.lines {
		if !l.endAt.IsZero() && (at.IsZero() || l.endAt.Before(at)) {
			at = l.endAt
		}
	}
	return at
}

// drop forgets a connection.
func (s *sighting) drop(by way) {
	if leave := s.lines[by].leave; leave != nil {
		leave()
	}
	s.lines[by] = line{}
}

// spoke notes that a node has said something by a connection, whose context ends with it.
func (l *lookout) spoke(ctx context.Context, id cluster.NodeID, by way, brokerEpoch int64) {
	if l == nil || id == l.self {
		return
	}
	if _, known := l.image().Broker(id); !known {
		return
	}
	if l.sight(ctx, id, by, brokerEpoch) {
		l.log.Warn("a broker lives whose listeners refuse connections: its end will be noticed by its silence only; are its advertised.listeners right?",
			"broker", id)
	}
}

// sight is spoke for a broker of the image. It tells whether that was taken for dead.
func (l *lookout) sight(ctx context.Context, id cluster.NodeID, by way, brokerEpoch int64) (revived bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.mu.nodes[id]
	if s == nil {
		s = &sighting{proven: -1, immune: -1}
		l.mu.nodes[id] = s
	}
	s.count++
	for i := range s.lines {
		if !s.lines[i].endAt.IsZero() {
			s.drop(way(i))
		}
	}
	if s.proven >= 0 && by == asBroker && brokerEpoch == s.proven {
		s.proven, s.immune, revived = -1, brokerEpoch, true
	}
	if done := ctx.Done(); s.lines[by].done != done {
		s.drop(by)
		s.lines[by] = line{done: done, leave: context.AfterFunc(ctx, func() { l.ended(id, by, done) })}
	}
	return revived
}

// ended notes the end of a connection, unless another one has taken its place.
func (l *lookout) ended(id cluster.NodeID, by way, done <-chan struct{}) {
	l.mu.Lock()
	if s := l.mu.nodes[id]; s != nil && s.lines[by].done == done {
		s.lines[by].endAt = time.Now()
	}
	l.mu.Unlock()
	l.look()
}

// remembers tells whether anybody's connection has ended, and forgets what has been too long ago, or is of no broker.
func (l *lookout) remembers() bool {
	img, now, some := l.image(), time.Now(), false
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, s := range l.mu.nodes {
		_, known := img.Broker(id)
		for i := range s.lines {
			if at := s.lines[i].endAt; !known || !at.IsZero() && l.epoch == 0 && now.Sub(at) > cutKept {
				s.drop(way(i))
			}
		}
		if !known {
			delete(l.mu.nodes, id)
		}
		some = some || l.epoch == 0 && !s.cutAt().IsZero()
	}
	return some
}

// silent tells whether a broker has not spoken since it was suspected, and notes that it is taken for dead.
func (l *lookout) silent(p *probe) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.mu.nodes[p.broker.ID]
	if s == nil || s.count != p.count {
		return false
	}
	s.proven = p.broker.Epoch
	return true
}

// spokeOf notes what another node's request says of its life.
func (l *lookout) spokeOf(ctx context.Context, req kmsg.Request) {
	switch req := req.(type) {
	case *kmsg.BrokerRegistrationRequest:
		l.spoke(ctx, req.BrokerID, asBroker, -1)
	case *kmsg.BrokerHeartbeatRequest:
		l.spoke(ctx, req.BrokerID, asBroker, req.BrokerEpoch)
	}
}
