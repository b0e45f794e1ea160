package controller

// Elected begins a term of leadership: every broker is given a whole session, since another controller has heard them; and
// all partitions are looked at, however short the time was: another controller may have left work half done, and what this
// one had under way may be lost.
func (m *Machine) Elected() {
	m.sessions = newSessions(m.cfg.SessionTimeoutMs)
	m.sweep = sweep{running: true, dueMs: m.sweep.dueMs}
}
