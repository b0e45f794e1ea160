package node

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A controller that stops hands over first: when it has ended another node has begun to take its place. Nobody could have
// missed it by then, for it has spoken to the others until its quorum was closed.
func TestStoppedControllerHandsOver(t *testing.T) {
	c := newTestCluster(t, 3)
	c.start(1, 2, 3)
	first := c.nodes[c.controller()]
	c.stop(int(first.NodeID()))
	heirs := 0
	for _, n := range c.nodes {
		if n.quorum.Status().Leader != first.NodeID() {
			heirs++
		}
	}
	if heirs == 0 {
		t.Error("the others wait for the controller that has ended")
	}
	if _, err := c.nodes[c.other()].metadata().Do(within(t, 20*time.Second), kmsg.NewPtrDescribeQuorumRequest()); err != nil {
		t.Fatal(err)
	}
}
