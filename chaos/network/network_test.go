package network

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/logbahn/logbahn/chaos/sandbox/sandboxtest"
)

// echo is the argument with which this test's program answers every datagram, as a node does.
const echo = "echo"

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == echo {
		fmt.Fprintln(os.Stderr, serve(os.Args[2]))
		os.Exit(1)
	}
	sandboxtest.Main(m, "ip@iproute2", "nft@nftables", "nsenter@util-linux")
}

// serve sends datagrams back, and one on to whom it names: "to ADDRESS" asks ADDRESS and answers what that answers.
func serve(address string) error {
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for b := make([]byte, 100); ; {
		n, from, err := conn.ReadFrom(b)
		if err != nil {
			return err
		}
		answer := "here"
		if to, ok := strings.CutPrefix(string(b[:n]), "to "); ok && !reaches(to) {
			answer = "silence"
		}
		if _, err := conn.WriteTo([]byte(answer), from); err != nil {
			return err
		}
	}
}

// reaches sends a datagram and waits for an answer.
func reaches(address string) bool { return ask(address, "are you there") == "here" }

func ask(address, what string) string {
	conn, err := net.Dial("udp", address)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	patience := 200 * time.Millisecond
	if what != "are you there" {
		patience *= 3
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write([]byte(what)); err != nil {
		return err.Error()
	}
	b := make([]byte, 100)
	n, err := conn.Read(b)
	if err != nil {
		return err.Error()
	}
	return string(b[:n])
}

// TestCuts goes through the shapes of partitions among three nodes and the clients.
func TestCuts(t *testing.T) {
	sandboxtest.Need(t)
	n, err := New(3)
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 3; i++ {
		startEcho(t, n, i)
	}
	everything := map[string]bool{"01": true, "02": true, "03": true, "12": true, "13": true, "23": true, "21": true, "31": true, "32": true}
	without := func(cut ...string) map[string]bool {
		left := map[string]bool{}
		for link := range everything {
			left[link] = true
		}
		for _, link := range cut {
			left[link] = false
		}
		return left
	}
	check(t, "whole", everything)
	for _, shape := range []struct {
		name string
		cut  func() error
		want map[string]bool
	}{
		{"two nodes", func() error { return n.Cut(1, 2) }, without("12", "21")},
		{"clients", func() error { return n.CutClients(3) }, without("03")},
		// A datagram without an answer: neither direction is of use to who asks.
		{"one way", func() error { return n.Drop(2, Address(1)) }, without("12", "21")},
		{"all of a node", func() error { return n.Isolate(1) }, without("01", "12", "13", "21", "31")},
		{"everything lost", func() error { return n.Lose(1, 100) }, without("01", "12", "13", "21", "31")},
	} {
		if err := shape.cut(); err != nil {
			t.Fatal(err)
		}
		check(t, shape.name, shape.want)
		if err := n.Heal(); err != nil {
			t.Fatal(err)
		}
		check(t, shape.name+", healed", everything)
	}
}

// check asks every node for every other one. The clients' side, which asks, has to reach the node for that, so a node
// that is cut from it is asked only for itself.
func check(t *testing.T, shape string, want map[string]bool) {
	t.Helper()
	for link, should := range want {
		from, to := int(link[0]-'0'), int(link[1]-'0')
		target := Address(to) + ":7"
		if from != 0 && !want[fmt.Sprintf("0%d", from)] {
			continue
		}
		does := false
		// Silence may be a busy machine's; where it is expected once is enough.
		for try := 0; try == 0 || try < 20 && should && !does; try++ {
			if from == 0 {
				does = reaches(target)
			} else {
				does = ask(Address(from)+":7", "to "+target) == "here"
			}
		}
		if does != should {
			t.Errorf("%s: %d reaches %d: %v, want %v", shape, from, to, does, should)
		}
	}
}

func startEcho(t *testing.T, n *Network, i int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := n.Command(context.Background(), i, self, echo, Address(i)+":7")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(cmd) })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("node %d says %q, %v", i, line, err)
	}
}

func stop(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}
