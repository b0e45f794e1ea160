package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/config"
	"github.com/logbahn/logbahn/internal/quorum"
	"github.com/logbahn/logbahn/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// settings are those of a small node in the directory data, with keys and values behind them. Of a key that comes twice the
// last value counts.
func settings(more ...string) config.Settings {
	all := append([]string{
		"log.dirs", "data", "offsets.topic.num.partitions", "1", "group.initial.rebalance.delay.ms", "0",
	}, more...)
	var s config.Settings
	for i := 0; i+1 < len(all); i += 2 {
		one := config.Setting{Name: all[i], Value: all[i+1], Origin: "test"}
		if at := slices.IndexFunc(s, func(o config.Setting) bool { return o.Name == one.Name }); at >= 0 {
			s[at] = one
		} else {
			s = append(s, one)
		}
	}
	return s
}

// start starts a node without sockets, stopped with the test if not before.
func start(t *testing.T, fsys vfs.FS) *Node {
	t.Helper()
	n := mustStart(t, fsys)
	t.Cleanup(func() { stop(t, n) })
	return n
}

func mustStart(t *testing.T, fsys vfs.FS) *Node {
	t.Helper()
	n, err := Start(t.Context(), Config{FS: fsys, InProcess: true, Settings: settings()})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func stop(t *testing.T, n *Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := n.Stop(ctx); err != nil && n.Err() == nil {
		t.Errorf("stop: %v", err)
	}
}

// client is a client of n that is closed with the test, or before.
func client(t *testing.T, n *Node, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return n.Dial(ctx) }
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers("in-process:9092"), kgo.Dialer(dial), kgo.AllowAutoTopicCreation()}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func produce(t *testing.T, n *Node, topic string, values ...string) {
	t.Helper()
	c := client(t, n)
	defer c.Close()
	for _, v := range values {
		if err := c.ProduceSync(within(t, 10*time.Second), &kgo.Record{Topic: topic, Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// consume reads count records as a member of the group g, and commits what it has read.
func consume(t *testing.T, n *Node, topic string, count int) (values []string) {
	t.Helper()
	c := client(t, n, kgo.ConsumerGroup("g"), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())
	defer c.Close()
	ctx := within(t, 10*time.Second)
	for len(values) < count {
		fetches := c.PollRecords(ctx, count-len(values))
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %v: %v", values, err)
		}
		fetches.EachRecord(func(r *kgo.Record) { values = append(values, string(r.Value)) })
	}
	if err := c.CommitUncommittedOffsets(ctx); err != nil {
		t.Fatal(err)
	}
	return values
}

func TestRestartKeepsTopicsRecordsAndOffsets(t *testing.T) {
	fsys := vfs.NewMem()
	n := start(t, fsys)
	produce(t, n, "orders", "a", "b", "c", "d")
	if got := consume(t, n, "orders", 2); fmt.Sprint(got) != "[a b]" {
		t.Fatalf("consumed %v", got)
	}
	cluster := n.ClusterID()
	before, ok := n.quorum.Image().Topic("orders")
	if !ok {
		t.Fatal("no topic")
	}
	stop(t, n)

	n = start(t, fsys)
	if n.ClusterID() != cluster {
		t.Errorf("cluster %s, was %s", n.ClusterID(), cluster)
	}
	after, ok := n.quorum.Image().Topic("orders")
	if !ok || after.ID != before.ID {
		t.Fatalf("topic %+v after the restart, %+v before", after, before)
	}
	if a, b := after.Partitions[0], before.Partitions[0]; a.LeaderEpoch <= b.LeaderEpoch || a.Leader != n.NodeID() {
		t.Errorf("the partition is led by %d in epoch %d, before the restart in epoch %d", a.Leader, a.LeaderEpoch, b.LeaderEpoch)
	}
	if got := consume(t, n, "orders", 2); fmt.Sprint(got) != "[c d]" {
		t.Errorf("the group goes on with %v", got)
	}
}

// TestPowerLossKeepsWhatWasAcknowledged takes the power away behind a producer's and a consumer's back.
func TestPowerLossKeepsWhatWasAcknowledged(t *testing.T) {
	for seed := range uint64(10) {
		fsys := vfs.NewMem()
		n := mustStart(t, fsys)
		produce(t, n, "orders", "a", "b", "c", "d")
		consume(t, n, "orders", 2)
		fsys = fsys.Crash(seed)
		_ = n.Stop(t.Context()) // its disk is gone
		n = mustStart(t, fsys)
		if got := consume(t, n, "orders", 2); fmt.Sprint(got) != "[c d]" {
			t.Errorf("seed %d: the group goes on with %v", seed, got)
		}
		stop(t, n)
	}
}

// TestLostMetadataLogIsRefused takes the metadata log away from under the topics. They must not be set aside as unknown.
func TestLostMetadataLogIsRefused(t *testing.T) {
	mem := vfs.NewMem()
	n := mustStart(t, mem)
	produce(t, n, "kept", "x")
	stop(t, n)
	if err := mem.RemoveAll("data/__cluster_metadata-0"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		n, err := Start(t.Context(), Config{FS: mem, InProcess: true, Settings: settings()})
		if err == nil {
			stop(t, n)
			t.Fatal("it has started without metadata")
		}
		if !strings.Contains(err.Error(), "kept-0") || !strings.Contains(err.Error(), "__cluster_metadata-0") {
			t.Fatal(err)
		}
	}
	if _, err := mem.Stat("data/kept-0"); err != nil {
		t.Fatal(err)
	}
}

// TestMetadataLogOfAnotherTopic changes the id that the metadata log's folder has: it must not be set aside as another topic's,
// with the vote in it.
func TestMetadataLogOfAnotherTopic(t *testing.T) {
	mem := vfs.NewMem()
	n := mustStart(t, mem)
	produce(t, n, "kept", "x")
	stop(t, n)
	const file = "data/__cluster_metadata-0/partition.metadata"
	if err := vfs.WriteFileAtomic(mem, file, []byte("version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAEAQ\n")); err != nil {
		t.Fatal(err)
	}
	n, err := Start(t.Context(), Config{FS: mem, InProcess: true, Settings: settings()})
	if err == nil {
		stop(t, n)
		t.Fatal("it has started without its metadata")
	}
	if !strings.Contains(err.Error(), "backup") {
		t.Error(err)
	}
	if _, err := mem.Stat(file); err != nil {
		t.Error(err)
	}
}

func TestPortTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	fsys := vfs.NewMem()
	_, err = Start(t.Context(), Config{FS: fsys, Settings: settings("listeners", "A://127.0.0.1:0,B://"+taken.Addr().String(),
		"listener.security.protocol.map", "A:PLAINTEXT,B:PLAINTEXT", "inter.broker.listener.name", "A")})
	if !errors.Is(err, ErrPortTaken) || !strings.Contains(err.Error(), taken.Addr().String()) {
		t.Errorf("err %v, want ErrPortTaken with the address", err)
	}
	if names, _ := fsys.List("data"); len(names) > 0 {
		t.Errorf("a taken port has cost %v", names)
	}
}

func TestDirectoryOfAnotherNode(t *testing.T) {
	fsys := vfs.NewMem()
	n := start(t, fsys)
	if _, err := Start(t.Context(), Config{FS: fsys, InProcess: true, Settings: settings()}); !errors.Is(err, commitlog.ErrLocked) {
		t.Errorf("a second node in the directory: %v, want ErrLocked", err)
	}
	produce(t, n, "still", "alive")
	stop(t, n)
	if m, err := Start(t.Context(), Config{FS: fsys, InProcess: true, Settings: settings("node.id", "7")}); err == nil {
		stop(t, m)
		t.Error("node 7 starts in the directory of another")
	} else if !strings.Contains(err.Error(), "7") {
		t.Errorf("err %v does not say which node it is", err)
	}
}

// TestHalfStartedLeavesNothing lets one call on the disk fail, another one in each start. Whatever the start has begun
// has ended with its error: goleak and the directory's lock tell. A later start succeeds.
func TestHalfStartedLeavesNothing(t *testing.T) {
	disk := vfs.NewMem()
	n := mustStart(t, disk)
	produce(t, n, "orders", "a")
	stop(t, n)
	failed := 0
	for call := 1; call <= 60; call++ {
		faults := vfs.Inject(disk, vfs.Rule{From: call, Times: 1, Fault: vfs.Fault{Err: syscall.EIO}})
		n, err := Start(t.Context(), Config{FS: faults, InProcess: true, Settings: settings()})
		faults.Clear()
		if err != nil {
			failed++
		} else {
			_ = n.Stop(t.Context()) // the fault may have hit what is noticed later
		}
		stop(t, mustStart(t, disk))
	}
	if failed < 5 {
		t.Errorf("only %d starts failed", failed)
	}
}

// TestMetadataDiskFails ends the node: a voter that cannot write must not go on.
func TestMetadataDiskFails(t *testing.T) {
	faults := vfs.Inject(vfs.NewMem())
	n := start(t, faults)
	produce(t, n, "before", "a")
	faults.Add(vfs.Rule{
		Match: func(op vfs.Op, name string) bool {
			return op == vfs.OpSync && strings.Contains(name, metadataPartition.String()) && strings.HasSuffix(name, ".log")
		},
		Fault: vfs.Fault{Err: syscall.EIO},
	})
	_, err := kadm.NewClient(client(t, n, kgo.RetryTimeout(time.Millisecond))).CreateTopic(within(t, 10*time.Second), 1, 1, nil, "after")
	if err == nil {
		t.Error("a topic was made on a disk that does not take it")
	}
	select {
	case <-n.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the node goes on")
	}
	if err := n.Err(); !errors.Is(err, quorum.ErrFailed) || !errors.Is(err, syscall.EIO) {
		t.Errorf("err %v, want ErrFailed and EIO", err)
	}
}

// TestConnectionsEndWithTheirClients leaves none behind when the clients have gone.
func TestConnectionsEndWithTheirClients(t *testing.T) {
	n := start(t, vfs.NewMem())
	produce(t, n, "orders", "a", "b")
	consume(t, n, "orders", 2)
	server := n.serving[0].server.Load()
	for deadline := time.Now().Add(10 * time.Second); server.Stats().ConnectionsOpen > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", server.Stats())
		}
		time.Sleep(time.Millisecond)
	}
}

func TestStopMayBeCalledByMany(t *testing.T) {
	n := start(t, vfs.NewMem())
	done := make(chan error)
	for range 4 {
		go func() { done <- n.Stop(context.Background()) }()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if err := n.Err(); err != nil {
		t.Error(err)
	}
	if _, err := n.Dial(t.Context()); err == nil {
		t.Error("a connection to a node that has stopped")
	}
}
