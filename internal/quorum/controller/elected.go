package controller

// Elected begins a term of leadership: every broker is given a whole session, since another controller has heard them.
func (m *Machine) Elected() { m.sessions = newSessions(m.cfg.SessionTimeoutMs) }
