package cluster

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/logbahn/logbahn/chaos/disk"
	"github.com/logbahn/logbahn/chaos/network"
)

// Node is one node: its disk, and its process while it runs.
type Node struct {
	ID   int
	Disk *disk.Disk

	cluster *Cluster
	dir     string
	log     *os.File
	process *process
}

// process is one run of a node.
type process struct {
	cmd     *exec.Cmd
	began   int64         // where its part of the log begins
	wanted  chan struct{} // closed when it is told to end
	done    chan struct{} // closed when it has ended
	stopped bool          // by SIGSTOP
}

// Address is where clients and the other nodes reach it.
func (n *Node) Address() string { return fmt.Sprintf("%s:%d", network.Address(n.ID), port) }

// Host is the address without the port.
func (n *Node) Host() string { return network.Address(n.ID) }

// OpsAddress is where its operations endpoint is.
func (n *Node) OpsAddress() string { return fmt.Sprintf("%s:%d", network.Address(n.ID), opsPort) }

// DataDir is the node's data directory on its disk, past the mount.
func (n *Node) DataDir() string { return "/data" }

// Running tells whether the process is there, stopped ones included.
func (n *Node) Running() bool {
	if n.process == nil {
		return false
	}
	select {
	case <-n.process.done:
		return false
	default:
		return true
	}
}

// Start starts the process; it does not wait until the node is ready.
func (n *Node) Start() error {
	if n.Running() {
		return fmt.Errorf("node %d runs already", n.ID)
	}
	args := []string{"start"}
	settings := []string{"listeners=PLAINTEXT://" + n.Address(), "ops.listener=" + n.OpsAddress(),
		"log.dirs=" + n.dir + "/data", "node.id=" + strconv.Itoa(n.ID),
		"process.roles=broker,controller", "controller.quorum.voters=" + n.cluster.voters()}
	for _, s := range append(settings, n.cluster.config.Settings...) {
		args = append(args, "--override", s)
	}
	logged, err := n.log.Stat()
	if err != nil {
		return err
	}
	p := &process{began: logged.Size(), wanted: make(chan struct{}), done: make(chan struct{})}
	p.cmd = n.cluster.network.Command(context.Background(), n.ID, n.cluster.config.Binary, args...)
	p.cmd.Stdout, p.cmd.Stderr = n.log, n.log
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("node %d: %w", n.ID, err)
	}
	n.process = p
	go n.follow(p)
	return nil
}

// follow waits for the end of a run and says so when nobody wanted it.
func (n *Node) follow(p *process) {
	err := p.cmd.Wait()
	select {
	case <-p.wanted:
	default:
		n.cluster.noteDeath(fmt.Sprintf("node %d ended by itself: %v: %s", n.ID, err, n.lastLine()))
	}
	close(p.done)
}

// lastLine is the end of what the node has printed.
func (n *Node) lastLine() string {
	text := strings.TrimSpace(n.tail(4 << 10))
	return text[strings.LastIndexByte(text, '\n')+1:]
}

func (n *Node) tail(bytesMax int64) string {
	logged, err := n.log.Stat()
	if err != nil {
		return err.Error()
	}
	b := make([]byte, min(logged.Size(), bytesMax))
	got, _ := n.log.ReadAt(b, logged.Size()-int64(len(b)))
	return string(b[:got])
}

// Panicked returns what the node printed of a panic or a fatal error of the runtime in any of its runs, or "".
func (n *Node) Panicked() (string, error) {
	log, err := os.ReadFile(n.log.Name())
	if err != nil {
		return "", err
	}
	for _, start := range []string{"\npanic: ", "\nfatal error: ", "WARNING: DATA RACE"} {
		if at := bytes.Index(log, []byte(start)); at >= 0 {
			return string(log[at:min(at+2000, len(log))]), nil
		}
	}
	return "", nil
}

// AwaitReady waits until the node says that it is ready.
func (n *Node) AwaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	for {
		text := make([]byte, 1<<20)
		got, err := n.log.ReadAt(text, n.process.began)
		if err != nil && err != io.EOF {
			return err
		}
		if bytes.Contains(text[:got], []byte("msg=ready")) {
			return nil
		}
		select {
		case <-n.process.done:
			return fmt.Errorf("node %d ended before it was ready: %s", n.ID, n.lastLine())
		case <-ctx.Done():
			return fmt.Errorf("node %d is not ready: %w: %s", n.ID, ctx.Err(), n.lastLine())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// tell sends a signal after which the end of the process is no surprise.
func (p *process) tell(signal syscall.Signal) {
	select {
	case <-p.wanted:
	default:
		close(p.wanted)
	}
	_ = p.cmd.Process.Signal(signal) // it may just have ended
}

// Kill ends the process as kill -9 does.
func (n *Node) Kill() {
	if n.Running() {
		n.process.tell(syscall.SIGKILL)
		<-n.process.done
	}
}

// LosePower ends the process and takes from its disk what was not synced.
func (n *Node) LosePower(seed uint64) {
	n.Kill()
	n.Disk.PowerLoss(seed)
}

// Stop ends the process with SIGTERM, or kills it when ctx is done before it has ended, which is an error.
func (n *Node) Stop(ctx context.Context) error {
	if !n.Running() {
		return nil
	}
	n.process.tell(syscall.SIGTERM)
	select {
	case <-n.process.done:
	case <-ctx.Done():
		n.Kill()
		return fmt.Errorf("node %d did not stop: %w", n.ID, ctx.Err())
	}
	if code := n.process.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("node %d stopped with code %d: %s", n.ID, code, n.lastLine())
	}
	return nil
}

// Pause stops the process as SIGSTOP does.
func (n *Node) Pause() error {
	n.process.stopped = true
	return n.process.cmd.Process.Signal(syscall.SIGSTOP)
}

// Resume lets it go on.
func (n *Node) Resume() error {
	n.process.stopped = false
	return n.process.cmd.Process.Signal(syscall.SIGCONT)
}

// Paused tells whether the process is stopped.
func (n *Node) Paused() bool { return n.Running() && n.process.stopped }
