package replica

import "github.com/logbahn/logbahn/internal/seeded"

// EpochEnd is a leader epoch and the offset where it ends, as OffsetForLeaderEpoch has it. Both are -1 when the epoch is
// unknown.
type EpochEnd struct {
	Epoch     int32
	EndOffset int64
}

// Follows reports whether this replica follows a leader in the epoch, so that an answer to a fetch that was sent in it may
// be taken.
func (m *Machine) Follows(leaderEpoch int32) bool {
	return m.leader >= 0 && !m.IsLeader() && m.leaderEpoch == leaderEpoch
}

// FetchFrom returns the offset that a follower asks for next, and whether it names the epoch of the record before it.
func (m *Machine) FetchFrom() (offset int64, namesEpoch bool) {
	return m.end, m.end != m.unchecked
}

// LeaderAnswered is what a follower learns from an answer of the leader's: its high watermark, of which counts what the
// follower has.
func (m *Machine) LeaderAnswered(highWatermark int64) Effects {
	e := None
	if !m.IsLeader() {
		if seeded.Is(seeded.HighWatermarkBeyondEnd) {
			m.raise(&e, highWatermark)
		}
		m.raise(&e, min(highWatermark, m.end))
	}
	return e
}

// Diverged says that the leader's log and this follower's differ below the follower's end. leader is the largest epoch
// that the leader has up to the one that was named, own the largest one that this log has up to leader.Epoch, each with
// its end; committed is the epoch of the last record below the high watermark, -1 when there is none.
func (m *Machine) Diverged(leader, own EpochEnd, committed int32) Effects {
	e := None
	if m.IsLeader() {
		return e
	}
	to := min(leader.EndOffset, m.end)
	if own.EndOffset >= 0 {
		to = min(to, own.EndOffset)
	}
	switch {
	case to >= m.highWatermark:
	case m.unclean(committed):
		m.highWatermark, e.Moved, e.Wake = to, true, true
	default:
		to = m.highWatermark
		m.unchecked = to
	}
	if seeded.Is(seeded.KeepDiverging) {
		m.unchecked = m.end
		return None
	}
	if to < m.end {
		e.TruncateTo = to
		m.end, m.flushed = to, min(m.flushed, to)
	}
	return e
}

// OutOfRange says that the leader's log, which begins at start, does not have the offset that this follower asks for: it
// begins later, or it ends before a follower that has nothing whose epoch could be named. Where nothing can be done the
// effects are none; the follower asks again.
func (m *Machine) OutOfRange(start int64, committed int32) Effects {
	e := None
	switch {
	case m.IsLeader() || start < 0:
		return e
	case start > m.end:
		m.raise(&e, start)
	case m.unclean(committed):
		m.highWatermark, e.Moved, e.Wake = start, true, true
	default:
		return e
	}
	e.ResetTo = start
	m.end, m.flushed, m.unchecked = start, start, -1
	return e
}

// unclean reports whether a leader that was elected without having all committed records came after they were written,
// the last one of them in the epoch committed.
func (m *Machine) unclean(committed int32) bool { return m.uncleanEpoch > max(committed, 0) }

// Truncated says where the log ends, after what Diverged or OutOfRange have asked for: a log is cut between batches, which
// may be lower.
func (m *Machine) Truncated(end, flushed int64) {
	m.end, m.flushed = end, min(flushed, end)
	if m.unchecked > end {
		m.unchecked = end
	}
}
