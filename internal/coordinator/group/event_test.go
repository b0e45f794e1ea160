package group

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// What is told of a group has a bound, whatever its clients call it and themselves.
func TestEventsAreShort(t *testing.T) {
	m := New(Config{NewID: func() string { return strings.Repeat("i", 5000) }})
	m.Loaded(time.Unix(0, 0))
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.ProtocolType, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 3, strings.Repeat("g", 5000), "consumer", 10_000, 10_000
	protocol := kmsg.NewJoinGroupRequestProtocol()
	protocol.Name = "range"
	req.Protocols = append(req.Protocols, protocol)
	r := m.Handle(time.Unix(0, 0), Call{ID: 1, Request: req})
	if len(r.Events) != 1 {
		t.Fatalf("%d events, %+v", len(r.Events), r.Replies)
	}
	if e := &r.Events[0]; len(e.Group)+len(e.Reason) > 1000 {
		t.Errorf("an event of %d bytes", len(e.Group)+len(e.Reason))
	}
}
