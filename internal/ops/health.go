package ops

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/logbahn/logbahn/internal/cluster"
)

// FreeBytesMin is how much room the data directory should have: below it the node is degraded, and warns.
const FreeBytesMin = 1 << 30

// check is one thing that has to be right.
type check struct {
	name string
	err  error // nil: it is
	// Which endpoints fail with it, beside /healthz.
	live, ready bool
}

func (s *Server) serveLive(w http.ResponseWriter, r *http.Request) {
	s.answer(w, r, func(c check) bool { return c.live })
}

func (s *Server) serveReady(w http.ResponseWriter, r *http.Request) {
	s.answer(w, r, func(c check) bool { return c.ready })
}

func (s *Server) serveHealth(w http.ResponseWriter, r *http.Request) {
	s.answer(w, r, func(check) bool { return true })
}

// answer writes "ok", or what is wrong; with ?verbose every check.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, concerns func(check) bool) {
	verbose := r.URL.Query().Has("verbose")
	var text strings.Builder
	failed := false
	for _, c := range s.checks() {
		switch {
		case !concerns(c):
		case c.err != nil:
			failed = true
			fmt.Fprintf(&text, "[-] %s: %v\n", c.name, c.err)
		case verbose:
			fmt.Fprintf(&text, "[+] %s ok\n", c.name)
		}
	}
	status := http.StatusOK
	if failed {
		status = http.StatusServiceUnavailable
	}
	if text.Len() == 0 {
		text.WriteString("ok\n")
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text.String()))
}

func (s *Server) checks() []check {
	state := State(s.state.Load())
	checks := []check{
		{name: "process", err: failedState(state), live: true, ready: true},
		{name: "started", err: notReady(state), ready: true},
	}
	src := s.sources.Load()
	if src == nil {
		return checks
	}
	return append(checks,
		check{name: "controller", err: src.controller(), ready: true},
		check{name: "registered", err: src.registered(), ready: true},
		check{name: "replicas", err: src.replicas()},
		check{name: "disk space", err: src.space()},
	)
}

func failedState(s State) error {
	if s == Failed {
		return errors.New("the node cannot go on and ends; its log says why")
	}
	return nil
}

func notReady(s State) error {
	if s != Ready {
		return fmt.Errorf("the node is %s", s)
	}
	return nil
}

func (src *Sources) controller() error {
	if src.Quorum().Leader == cluster.NoLeader {
		return errors.New("no controller is known")
	}
	return nil
}

// registered tells whether the cluster counts on this broker, which has then caught up with the metadata.
func (src *Sources) registered() error {
	b, ok := src.Image().Broker(src.NodeID)
	switch {
	case !ok:
		return fmt.Errorf("broker %d is not registered", src.NodeID)
	case b.Fenced:
		return fmt.Errorf("broker %d is fenced: it has not caught up, or was silent", src.NodeID)
	}
	return nil
}

func (src *Sources) replicas() error {
	offline, first := 0, error(nil)
	for _, p := range src.Partitions.All() {
		if err := p.Offline(); err != nil {
			if offline++; first == nil {
				first = fmt.Errorf("%s-%d: %w", p.Topic(), p.Index(), err)
			}
		}
	}
	if offline == 0 {
		return nil
	}
	return fmt.Errorf("%d offline, the first is %w", offline, first)
}

func (src *Sources) space() error {
	free, err := src.Free()
	switch {
	case err != nil:
		return err
	case free < FreeBytesMin:
		return fmt.Errorf("%d MiB are left in %s, less than %d", free>>20, src.Dir, FreeBytesMin>>20)
	}
	return nil
}
