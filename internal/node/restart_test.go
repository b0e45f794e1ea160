package node

import (
	"errors"
	"path"
	"slices"
	"testing"
	"time"

	"github.com/logbahn/logbahn/internal/vfs"
)

// A broker that was killed is back at once, however long its session would have lasted.
func TestKilledBrokerNeedNotWaitForItsSession(t *testing.T) {
	c := newTestCluster(t, 3)
	for id := 1; id <= 3; id++ {
		c.more[id] = []string{"broker.session.timeout.ms", "120000"} // more than any patience of this test
	}
	c.start(1, 2, 3)
	id := c.other(c.controller())
	before := c.nodes[id].brokerEpoch.Load()
	c.kill(id)
	c.start(id)
	if after := c.nodes[id].brokerEpoch.Load(); after <= before {
		t.Errorf("epoch %d after %d", after, before)
	}
}

// copyFiles copies a directory as an operator does who does not stop its node before.
func copyFiles(t *testing.T, to, from *vfs.Mem, dir string) {
	t.Helper()
	names, err := from.List(dir)
	if err == nil {
		err = to.MkdirAll(dir)
	}
	for _, name := range names {
		name = path.Join(dir, name)
		info, statErr := from.Stat(name)
		if statErr == nil && info.Dir {
			copyFiles(t, to, from, name)
			continue
		}
		b, readErr := vfs.ReadFile(from, name, 64<<20)
		err = errors.Join(err, statErr, readErr, vfs.WriteFileAtomic(to, name, b))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Of two processes with one broker's directory and its copy, the one that was there before ends and says why.
func TestCopiedDirectoryEndsWhoWasReplaced(t *testing.T) {
	c := newTestCluster(t, 2)
	c.voters = "1@node-1:9093"
	c.more[1] = []string{"process.roles", "controller", "listeners", "CONTROLLER://node-1:9093"}
	c.more[2] = []string{"process.roles", "broker"}
	c.start(1, 2)
	first := c.nodes[2]
	copied := vfs.NewMem()
	copyFiles(t, copied, c.disks[2], "data")
	c.disks[2] = copied
	c.more[2] = slices.Concat(c.more[2], []string{"listeners", "PLAINTEXT://node-2-copied:9092"})
	c.start(2)
	select {
	case <-first.Done():
		if !errors.Is(first.Err(), ErrReplaced) {
			t.Errorf("it ended with %v", first.Err())
		}
	case <-time.After(20 * time.Second):
		t.Error("both go on")
	}
	if c.nodes[2].stopping() {
		t.Error("the copy ended as well")
	}
}
