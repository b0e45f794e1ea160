//go:build unix

package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/vfs"
)

// processVar has the settings of a node, key=value a line, that this program is to be.
const processVar = "LOGBAHN_TEST_NODE"

// TestNodeProcess is the node of a process of its own. It ends with its standard input.
func TestNodeProcess(t *testing.T) {
	lines := os.Getenv(processVar)
	if lines == "" {
		t.Skipf("is a process that other tests start, with %s", processVar)
	}
	var all []string
	for line := range strings.Lines(lines) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		all = append(all, key, value)
	}
	n, err := Start(t.Context(), Config{FS: vfs.Disk(), Settings: settings(all...), Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("serves")
	_, _ = io.Copy(io.Discard, os.Stdin)
	stop(t, n)
}

// processes are three nodes in processes of their own, on real sockets.
type processes struct {
	t     *testing.T
	addrs []string
	cmds  []*exec.Cmd
	logs  []*logLines
	admin *kgo.Client
	ask   int32 // who is asked for metadata; 0: any node
}

// freePorts returns addresses on which nobody listens.
func freePorts(t *testing.T, count int) []string {
	t.Helper()
	var addrs []string
	for range count {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		addrs = append(addrs, l.Addr().String())
	}
	return addrs
}

// startProcesses starts three nodes with the settings and waits until all of them serve.
func startProcesses(t *testing.T, more ...string) *processes {
	t.Helper()
	p := &processes{t: t, addrs: freePorts(t, 3), cmds: make([]*exec.Cmd, 3), logs: make([]*logLines, 3)}
	var voters []string
	for i, addr := range p.addrs {
		voters = append(voters, fmt.Sprintf("%d@%s", i+1, addr))
	}
	var starting sync.WaitGroup
	for i, addr := range p.addrs {
		dir := filepath.Join(t.TempDir(), "data")
		all := append([]string{
			fmt.Sprintf("node.id=%d", i+1), "controller.quorum.voters=" + strings.Join(voters, ","), "listeners=PLAINTEXT://" + addr,
			"log.dirs=" + dir, "ops.listener=off", "offsets.topic.replication.factor=3", "default.replication.factor=3", "min.insync.replicas=2",
		}, more...)
		p.logs[i] = &logLines{}
		cmd := exec.Command(os.Args[0], "-test.run=^TestNodeProcess$", "-test.timeout=10m")
		cmd.Env = append(os.Environ(), processVar+"="+strings.Join(all, "\n"))
		cmd.Stderr = p.logs[i]
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		p.cmds[i] = cmd
		starting.Go(func() {
			for lines := bufio.NewScanner(stdout); lines.Scan(); {
				if lines.Text() == "serves" {
					return
				}
			}
			t.Errorf("node %d does not serve", i+1)
		})
		t.Cleanup(func() {
			_ = stdin.Close()
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			if t.Failed() {
				t.Logf("node %d says:\n%s", i+1, p.logs[i].String())
			}
		})
	}
	starting.Wait()
	if t.Failed() {
		t.FailNow()
	}
	p.admin = p.client()
	return p
}

func (p *processes) client(opts ...kgo.Opt) *kgo.Client {
	p.t.Helper()
	c, err := kgo.NewClient(append(patient(kgo.SeedBrokers(p.addrs...)), opts...)...)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(c.Close)
	return c
}

// metadata asks for a topic, for none without a name, until the answer satisfies.
func (p *processes) metadata(topic string, satisfies func(*kmsg.MetadataResponse) bool) *kmsg.MetadataResponse {
	p.t.Helper()
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	if topic != "" {
		rt := kmsg.NewMetadataRequestTopic()
		rt.Topic = &topic
		req.Topics = append(req.Topics, rt)
	}
	ctx := within(p.t, 30*time.Second)
	for {
		var to kmsg.Requestor = p.admin
		if p.ask > 0 {
			to = p.admin.Broker(int(p.ask))
		}
		resp, err := req.RequestWith(ctx, to)
		if err == nil && satisfies(resp) {
			return resp
		}
		if ctx.Err() != nil {
			p.t.Fatalf("%+v, %v", resp, err)
		}
	}
}

// controller returns the node id of the controller.
func (p *processes) controller() int32 {
	p.t.Helper()
	return p.metadata("", func(resp *kmsg.MetadataResponse) bool { return resp.ControllerID > 0 }).ControllerID
}

// createTopic makes a topic of one partition that the node leads, and waits until every replica of it is in sync.
func (p *processes) createTopic(name string, leader int32) {
	p.t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = name, -1, -1
	rt.ReplicaAssignment = []kmsg.CreateTopicsRequestTopicReplicaAssignment{{Replicas: []int32{leader, leader%3 + 1, (leader+1)%3 + 1}}}
	req.Topics, req.TimeoutMillis = append(req.Topics, rt), 10_000
	resp, err := req.RequestWith(within(p.t, 20*time.Second), p.admin)
	if err == nil {
		err = kerr.ErrorForCode(resp.Topics[0].ErrorCode)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.metadata(name, func(resp *kmsg.MetadataResponse) bool {
		parts := resp.Topics[0].Partitions
		return len(parts) == 1 && parts[0].Leader == leader && len(parts[0].ISR) == 3
	})
}

// writes writes to a topic without a pause, each record when the last one is acknowledged, and returns when the first one is.
// end returns the longest time between two acknowledgements, the last of which comes after its call.
func (p *processes) writes(topic string) (end func() time.Duration) {
	p.t.Helper()
	client := p.client(kgo.DefaultProduceTopic(topic), kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(0))
	ctx, cancel := context.WithCancel(within(p.t, time.Minute))
	acked, gap := make(chan struct{}), make(chan time.Duration, 1)
	write := func() bool {
		err := client.ProduceSync(ctx, kgo.StringRecord("x")).FirstErr()
		if err != nil && !errors.Is(err, context.Canceled) {
			p.t.Errorf("write: %v", err)
		}
		return err == nil
	}
	go func() {
		defer close(acked)
		longest := time.Duration(0)
		for last := time.Now(); write(); last = time.Now() {
			longest = max(longest, time.Since(last))
			select {
			case acked <- struct{}{}:
			default:
			}
		}
		gap <- longest
	}()
	<-acked
	return func() time.Duration {
		<-acked
		<-acked // which was begun after the call
		cancel()
		return <-gap
	}
}

// failoverMax is for how long a killed process may keep writes waiting on whatever machine. The session would have lasted for
// sessionMs.
const (
	failoverMax = 25 * time.Second
	sessionMs   = 10 * 60 * 1000
)

// Of a broker whose process is killed the partitions are led by others soon, however long its session would have lasted: whether
// it was the controller as well, which has to be elected first, or not.
func TestWritesResumeWhenAProcessIsKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts six processes; not with -short")
	}
	for name, victim := range map[string]func(controller int32) int32{
		"broker":     func(controller int32) int32 { return controller%3 + 1 },
		"controller": func(controller int32) int32 { return controller },
	} {
		t.Run(name, func(t *testing.T) {
			p := startProcesses(t, fmt.Sprint("broker.session.timeout.ms=", sessionMs))
			id := victim(p.controller())
			p.createTopic("orders", id)
			end := p.writes("orders")
			begin := time.Now()
			if err := p.cmds[id-1].Process.Kill(); err != nil {
				t.Fatal(err)
			}
			p.metadata("orders", func(resp *kmsg.MetadataResponse) bool { return resp.Topics[0].Partitions[0].Leader != id })
			led := time.Since(begin)
			p.metadata("orders", func(resp *kmsg.MetadataResponse) bool { return len(resp.Topics[0].Partitions[0].ISR) == 2 })
			gap := end()
			t.Logf("killed: another leads after %v, longest without a write %v", led.Round(time.Millisecond), gap.Round(time.Millisecond))
			if gap > failoverMax {
				t.Errorf("no write for %v, at most %v is allowed", gap, failoverMax)
			}
		})
	}
}

// A broker that is stopped says nothing and refuses nothing: it may go on at any moment, and has its whole session.
func TestStoppedProcessHasItsSession(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three processes; not with -short")
	}
	p := startProcesses(t, "broker.session.timeout.ms=4000", "broker.heartbeat.interval.ms=500")
	p.ask = p.controller()
	id := p.ask%3 + 1
	p.createTopic("orders", id)
	begin := time.Now()
	if err := p.cmds[id-1].Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	p.metadata("orders", func(resp *kmsg.MetadataResponse) bool { return resp.Topics[0].Partitions[0].Leader != id })
	t.Logf("stopped: another leads after %v", time.Since(begin).Round(time.Millisecond))
	if said := p.logs[p.ask-1].String(); strings.Contains(said, taken) {
		t.Error("a process that is stopped was taken for one that has ended")
	}
}
