package node

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A controller that stops has been followed before anybody misses it.
func TestStoppedControllerIsFollowedAtOnce(t *testing.T) {
	c := newTestCluster(t, 3)
	c.start(1, 2, 3)
	first := c.controller()
	c.stop(first)
	stopped := time.Now()
	if _, err := c.nodes[c.other(first)].metadata().Do(within(t, 20*time.Second), kmsg.NewPtrDescribeQuorumRequest()); err != nil {
		t.Fatal(err)
	}
	const missed = 1400 * time.Millisecond // a voter stands for election 1.5 s after the last word at the earliest
	if took := time.Since(stopped); took > missed {
		t.Errorf("another controller came %v after the stop", took)
	}
}
