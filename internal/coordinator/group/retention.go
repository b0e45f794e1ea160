package group

import "time"

// expireOffsets removes what offsets.retention.minutes has passed for, by KIP-211: the offsets of an Empty group count
// from when it became empty or from their commit, whichever is later; those of a group without members ever from their
// commit; in a Stable consumer group, those of topics nobody subscribes from their commit. A commit that asked for its
// own retention keeps to that, once no member reads the topic. An Empty group of which nothing is left is removed.
func (m *Machine) expireOffsets(now time.Time) {
	nowMs := m.retentionClock(now)
	for _, id := range m.groupIDs() {
		g := m.groups[id]
		if !g.mayExpire() {
			continue
		}
		kept := false
		g.eachOffset(func(topic string, partition int32, c committed) {
			if g.subscribes(topic) || !m.expired(g, c, nowMs) {
				kept = true
				return
			}
			m.write(offsetTombstone(id, topic, partition))
		})
		if !kept && g.state == Empty && g.stored && len(g.pending) == 0 {
			m.write(groupTombstone(id))
		}
	}
}

func (g *group) mayExpire() bool {
	return g.state == Empty || g.state == Stable && g.protocolType == consumerProtocolType && g.known
}

func (m *Machine) expired(g *group, c committed, nowMs int64) bool {
	if c.expireMs >= 0 {
		return nowMs >= c.expireMs
	}
	since := c.commitMs
	if g.state == Empty && g.protocolType != "" {
		since = max(since, g.stateMs)
	}
	return nowMs-since >= m.cfg.OffsetsRetention.Milliseconds()
}

// retentionClock is the wall clock, except that it never runs ahead of the time since loading: a wall clock that jumps
// forward must not expire anything early, nor one that was ahead and is set right.
func (m *Machine) retentionClock(now time.Time) int64 {
	return min(now.UnixMilli(), m.loaded.UnixMilli()+now.Sub(m.loaded).Milliseconds())
}

// DropTopics removes the offsets of the topics that gone names, in all groups. gone is asked with the id that the offset
// was committed for, zero when the record has none.
func (m *Machine) DropTopics(gone func(name string, id [16]byte) bool) Result {
	for _, id := range m.groupIDs() {
		m.groups[id].eachOffset(func(topic string, partition int32, c committed) {
			if gone(topic, c.topicID) {
				m.write(offsetTombstone(id, topic, partition))
			}
		})
	}
	return m.endStep()
}
