//go:build linux

package system

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"testing"
)

// serveAt has this test's binary stand for a node: it answers whoever asks at the address.
const serveAt = "BENCH_TEST_SERVE"

func TestMain(m *testing.M) {
	if addr := os.Getenv(serveAt); addr != "" {
		serveAnswers(addr)
	}
	os.Exit(m.Run())
}

func serveAnswers(addr string) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		os.Exit(1)
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			os.Exit(1)
		}
		_, _ = conn.Write(make([]byte, 4))
		_, _ = conn.Read(make([]byte, 100)) // so that the end is no reset
		conn.Close()
	}
}

// TestNodesEndAndStartAgain kills and stops nodes of a cluster one by one.
func TestNodesEndAndStartAgain(t *testing.T) {
	s := System{Key: "answers", Size: 3, command: func(_ *Env, at seat) *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), serveAt+"="+at.addr(at.id))
		return cmd
	}}
	c, err := s.Start(t.Context(), &Env{Scratch: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	n := c.Node(2)
	if others := c.Addrs(2); len(others) != 2 || others[0] != c.Node(1).Addr || others[1] != c.Node(3).Addr {
		t.Errorf("without node 2: %v", others)
	}
	for _, end := range []func(){n.Kill, func() {
		if err := n.Terminate(t.Context()); err != nil {
			t.Error(err)
		}
	}} {
		end()
		if err := n.Protocol.ask(n.Addr); err == nil {
			t.Error("it answers after its end")
		}
		if err := c.Node(3).AwaitAnswer(t.Context()); err != nil {
			t.Error(err)
		}
		before := n.PID
		if err := n.Launch(); err != nil {
			t.Fatal(err)
		}
		if err := n.AwaitAnswer(t.Context()); err != nil || n.PID == before {
			t.Errorf("started again as %d after %d: %v", n.PID, before, err)
		}
	}
	if rss, err := c.ResidentBytes(); err != nil || rss == 0 {
		t.Errorf("resident %d, %v", rss, err)
	}
	c.Stop()
	for _, n := range c.Nodes {
		if _, err := os.Stat(n.Dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", n.Dir, err)
		}
	}
}

// TestAProcessThatEndsIsAnError has nodes that cannot listen.
func TestAProcessThatEndsIsAnError(t *testing.T) {
	dir := t.TempDir()
	s := System{Key: "deaf", Size: 2, command: func(*Env, seat) *exec.Cmd { return exec.Command("false") }}
	if c, err := s.Start(t.Context(), &Env{Scratch: dir}); err == nil {
		c.Stop()
		t.Fatal("it has started")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}
