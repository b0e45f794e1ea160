package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/logbahn/logbahn/chaos/network"
	"github.com/logbahn/logbahn/chaos/sandbox/sandboxtest"
)

func TestMain(m *testing.M) {
	sandboxtest.Main(m, "ip@iproute2", "nft@nftables", "nsenter@util-linux", "sh@dash")
}

// program stands for the real one: it says that it is ready, writes to its data directory, and does what it is told.
const program = `#!/bin/sh
for argument; do case $argument in log.dirs=*) data=${argument#log.dirs=};; esac; done
mkdir -p "$data" && echo x >> "$data/starts"
case $(cat "$data/what" 2>/dev/null) in
die) echo "panic: as told"; exit 3;;
deaf) trap '' TERM;;
*) trap 'exit 0' TERM;;
esac
echo "msg=ready"
while :; do sleep 0.05; done
`

func TestNodes(t *testing.T) {
	sandboxtest.Need(t)
	dir := t.TempDir()
	binary := filepath.Join(dir, "program")
	if err := os.WriteFile(binary, []byte(program), 0o755); err != nil {
		t.Fatal(err)
	}
	net, err := network.New(2)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{Binary: binary, Nodes: 2, DiskBytes: 1 << 20, LogDir: dir}, net)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := c.StartAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := c.Node(1)

	if err := n.Pause(); err != nil || !n.Paused() {
		t.Fatalf("paused: %v, %v", n.Paused(), err)
	}
	if err := n.Resume(); err != nil || n.Paused() {
		t.Fatalf("still paused: %v", err)
	}
	if err := n.Stop(t.Context()); err != nil || n.Running() {
		t.Fatalf("stop: %v, running: %v", err, n.Running())
	}
	tell(t, n, "deaf")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := n.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) || n.Running() {
		t.Fatalf("stop of one that does not listen: %v, running: %v", err, n.Running())
	}
	if died := c.Died(); len(died) > 0 {
		t.Fatalf("ended by themselves: %q", died)
	}
	tell(t, n, "die")
	select {
	case <-n.process.done:
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end")
	}
	if died := c.Died(); len(died) != 1 || !strings.Contains(died[0], "panic: as told") {
		t.Fatalf("ended by themselves: %q", died)
	}
	if text, err := n.Panicked(); err != nil || !strings.HasPrefix(text, "\npanic: as told") {
		t.Fatalf("panicked: %q, %v", text, err)
	}
	losePower(t, c.Node(2))
}

// tell starts a node, which stands still, with an order.
func tell(t *testing.T, n *Node, what string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(n.dir, "data", "what"), []byte(what), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	if err := n.AwaitReady(t.Context()); err != nil && what != "die" {
		t.Fatal(err)
	}
}

// losePower takes the power from a node until something is gone that was never synced.
func losePower(t *testing.T, n *Node) {
	t.Helper()
	for seed := range uint64(100) {
		base := fmt.Sprint("/unsynced-", seed)
		if err := os.WriteFile(n.dir+base, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		n.LosePower(seed)
		if n.Running() {
			t.Fatal("it runs without power")
		}
		if _, err := n.Disk.FS().Stat(base); err != nil {
			return
		}
	}
	t.Error("no power loss has taken anything")
}
