package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"
)

// supervisor tells systemd how the service is: Type=notify, by the protocol of sd_notify(3). The zero value tells nobody.
type supervisor struct {
	socket   string
	watchdog time.Duration // how often a sign of life is wanted; 0: never
	log      *slog.Logger
}

// newSupervisor finds out who supervises this process, and keeps it from the processes that this one starts.
func newSupervisor(log *slog.Logger) *supervisor {
	s := &supervisor{socket: os.Getenv("NOTIFY_SOCKET"), log: log}
	if pid := os.Getenv("WATCHDOG_PID"); pid == "" || pid == strconv.Itoa(os.Getpid()) {
		if us, err := strconv.ParseUint(os.Getenv("WATCHDOG_USEC"), 10, 40); err == nil {
			s.watchdog = time.Duration(us) * time.Microsecond
		}
	}
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"} {
		_ = os.Unsetenv(name)
	}
	return s
}

// tellPatience bounds the wait for a supervisor that does not read: its node must be able to stop.
const tellPatience = time.Second

// tell sends a state, lines of the form NAME=value. Whoever supervises may have gone: that is no reason to stop.
func (s *supervisor) tell(state string) {
	if s.socket == "" {
		return
	}
	name := s.socket
	if name[0] == '@' { // a name in the abstract namespace of Linux
		name = "\x00" + name[1:]
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err == nil {
		_ = c.SetWriteDeadline(time.Now().Add(tellPatience))
		_, err = c.Write([]byte(state))
		_ = c.Close()
	}
	if err != nil {
		s.log.Debug("systemd is not told", "state", state, "err", err)
	}
}

// watch gives signs of life until the context ends, as long as alive says so.
func (s *supervisor) watch(ctx context.Context, alive func() bool) {
	if s.socket == "" || s.watchdog == 0 {
		return
	}
	t := time.NewTicker(max(s.watchdog/2, time.Millisecond))
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if alive() {
				s.tell("WATCHDOG=1")
			}
		}
	}
}
