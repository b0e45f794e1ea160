package node

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A controller that stops hands over first: when its quorum closes it is the controller no longer, and nobody has to miss it.
func TestStoppedControllerHandsOver(t *testing.T) {
	c := newTestCluster(t, 3)
	c.start(1, 2, 3)
	first := c.nodes[c.controller()]
	c.stop(int(first.NodeID()))
	if first.quorum.Status().Leader == first.NodeID() { // as it was when the quorum closed
		t.Error("the node was the controller until its end")
	}
	if _, err := c.nodes[c.other()].metadata().Do(within(t, 20*time.Second), kmsg.NewPtrDescribeQuorumRequest()); err != nil {
		t.Fatal(err)
	}
}
