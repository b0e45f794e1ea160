package explore

import (
	"fmt"
	"slices"

	"github.com/logbahn/logbahn/internal/cluster"
)

// broken returns which invariant does not hold after a step from before to s, "" when all do.
func (x *explorer) broken(before, s *state) string {
	if s.given() && x.options.FlushOS {
		return ""
	}
	for _, check := range []func(*explorer, *state, *state) string{noneGiven, liveMembers, durableAck, inSyncComplete, leaderCompleteness, logMatching, oneLeader} {
		if what := check(x, before, s); what != "" {
			return what
		}
	}
	return ""
}

// given tells that records were given up by an election that says so: nothing is promised of what was committed before. It
// takes two brokers that were not stopped, one after the other, and that there is no flush.
func (s *state) given() bool { return partitionOf(s.newest()).UncleanEpoch > 0 }

// noneGiven: with a flush there never is a reason to.
func noneGiven(x *explorer, _, s *state) string {
	if s.given() && !x.options.FlushOS {
		return "an unclean election was held that nobody had allowed"
	}
	return ""
}

// liveMembers: who is let into the in-sync set is alive (KIP-841).
func liveMembers(_ *explorer, before, s *state) string {
	had := partitionOf(before.newest()).ISR
	for _, id := range partitionOf(s.newest()).ISR {
		if b, _ := s.newest().Broker(id); b.Fenced && !slices.Contains(had, id) {
			return fmt.Sprintf("broker %d was let into the in-sync set, and is fenced", id)
		}
	}
	return ""
}

// durableAck: what has just been committed is on the disks of all that are in sync, and of at least min.insync.replicas
// brokers. Without a flush there is no such promise: one that loses power is in sync until the controller hears of it.
func durableAck(x *explorer, before, s *state) string {
	if x.options.FlushOS {
		return ""
	}
	isr := partitionOf(s.newest()).ISR
	for offset := int64(len(before.committed)); offset < int64(len(s.committed)); offset++ {
		holders := 0
		for i := range s.nodes {
			l := &s.nodes[i].log
			holds := l.synced > offset && l.entries[offset] == s.committed[offset]
			if holds {
				holders++
			} else if slices.Contains(isr, cluster.NodeID(i+1)) {
				return fmt.Sprintf("offset %d was committed, and broker %d, which is in sync, does not hold it", offset, i+1)
			}
		}
		if holders < minISR {
			return fmt.Sprintf("offset %d was committed with %d brokers that hold it", offset, holders)
		}
	}
	return ""
}

// inSyncComplete: who is in sync can be elected, and has all that was ever committed on its disk.
func inSyncComplete(x *explorer, _, s *state) string {
	if x.options.FlushOS {
		return ""
	}
	for _, id := range partitionOf(s.newest()).ISR {
		l := &s.node(id).log
		for offset, e := range s.committed {
			if l.synced <= int64(offset) || l.entries[offset] != e {
				return fmt.Sprintf("broker %d is in sync and lacks committed offset %d", id, offset)
			}
		}
	}
	return ""
}

// leaderCompleteness: whom the controller holds for the leader has all that was ever committed, and nothing else in its
// place. Without a flush that is so when it leads indeed: one that loses power is the leader until it comes back.
func leaderCompleteness(x *explorer, _, s *state) string {
	p := partitionOf(s.newest())
	leader := p.Leader
	if leader == cluster.NoLeader {
		return ""
	}
	n := s.node(leader)
	if x.options.FlushOS && !(n.up && n.machine.IsLeader() && n.machine.LeaderEpoch() == p.LeaderEpoch) {
		return ""
	}
	for offset, e := range s.committed {
		if n.log.end() <= int64(offset) {
			return fmt.Sprintf("broker %d leads and has lost committed offset %d", leader, offset)
		}
		if n.log.entries[offset] != e {
			return fmt.Sprintf("broker %d leads and has another record at committed offset %d", leader, offset)
		}
	}
	return ""
}

// logMatching: records of equal offset and epoch are equal, and so are those that two brokers hold for committed.
func logMatching(_ *explorer, _, s *state) string {
	for i := range s.nodes {
		for j := range i {
			a, b := &s.nodes[i], &s.nodes[j]
			committed := int64(0)
			if a.up && b.up {
				committed = min(a.machine.HighWatermark(), b.machine.HighWatermark())
			}
			for offset := range min(a.log.end(), b.log.end()) {
				ea, eb := a.log.entries[offset], b.log.entries[offset]
				if ea != eb && (ea.epoch == eb.epoch || offset < committed) {
					return fmt.Sprintf("brokers %d and %d differ at offset %d: epochs %d and %d", j+1, i+1, offset, eb.epoch, ea.epoch)
				}
			}
		}
	}
	return ""
}

// oneLeader: an epoch has one leader, and nobody's high watermark is beyond its log.
func oneLeader(_ *explorer, _, s *state) string {
	var epochs []int32
	for i := range s.nodes {
		n := &s.nodes[i]
		if !n.up {
			continue
		}
		if n.machine.HighWatermark() > n.log.end() {
			return fmt.Sprintf("broker %d has high watermark %d and log end %d", i+1, n.machine.HighWatermark(), n.log.end())
		}
		if n.machine.IsLeader() {
			if slices.Contains(epochs, n.machine.LeaderEpoch()) {
				return fmt.Sprintf("two brokers lead in epoch %d", n.machine.LeaderEpoch())
			}
			epochs = append(epochs, n.machine.LeaderEpoch())
		}
	}
	return ""
}
