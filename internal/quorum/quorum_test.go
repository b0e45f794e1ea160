package quorum

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// configurer is a machine that sets a broker default per request: enough of a controller to see what is committed.
type configurer struct{}

func (configurer) Elected() {}

func (configurer) Tick(int64, *cluster.Image) ([]cluster.Change, bool) { return nil, false }

func (configurer) Lost(int64, *cluster.Image, cluster.NodeID, int64, int64) {}

func (configurer) Handle(_ int64, img *cluster.Image, req kmsg.Request) (kmsg.Response, []cluster.Change) {
	create := req.(*kmsg.CreateTopicsRequest)
	resp := create.ResponseKind().(*kmsg.CreateTopicsResponse)
	var changes []cluster.Change
	for _, t := range create.Topics {
		value := t.Topic
		changes = append(changes, cluster.SetConfig{Resource: cluster.Resource{Type: cluster.BrokerDefaultResource}, Key: t.Topic, Value: &value})
	}
	resp.ThrottleMillis = int32(len(img.Config(cluster.Resource{Type: cluster.BrokerDefaultResource})))
	return resp, changes
}

func set(keys ...string) *kmsg.CreateTopicsRequest {
	req := kmsg.NewPtrCreateTopicsRequest()
	for _, k := range keys {
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic = k
		req.Topics = append(req.Topics, t)
	}
	return req
}

func keys(img *cluster.Image) []string {
	return slices.Sorted(maps.Keys(img.Config(cluster.Resource{Type: cluster.BrokerDefaultResource})))
}

// voterNode is a quorum with the directory that it lives on.
type voterNode struct {
	t    *testing.T
	fs   vfs.FS
	dir  *commitlog.Dir
	log  *commitlog.Log
	q    *Quorum
	self Voter
}

func openVoter(t *testing.T, fsys vfs.FS, id cluster.NodeID, change func(*Config)) (*voterNode, error) {
	t.Helper()
	dir, err := commitlog.OpenDir(commitlog.DirConfig{FS: fsys, Path: "data", ClusterID: "c", NodeID: id})
	if err != nil {
		return nil, err
	}
	v := &voterNode{t: t, fs: fsys, dir: dir, self: Voter{NodeID: id, DirectoryID: dir.DirectoryID()}}
	cfg := commitlog.DefaultConfig()
	cfg.Delete = false
	if v.log, err = dir.Open(commitlog.TopicPartition{Topic: "__cluster_metadata"}, [16]byte{15: 1}, cfg, commitlog.Hooks{}); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	c := Config{FS: fsys, Dir: path.Join("data", "__cluster_metadata-0"), Log: v.log, ClusterID: "c", Self: v.self, Voters: []Voter{v.self}, Machine: configurer{}}
	if change != nil {
		change(&c)
	}
	if v.q, err = Open(c); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return v, nil
}

func (v *voterNode) close() {
	v.q.Close()
	if err := v.dir.Close(); err != nil {
		v.t.Error(err)
	}
}

func mustOpen(t *testing.T, fsys vfs.FS, change func(*Config)) *voterNode {
	t.Helper()
	v, err := openVoter(t, fsys, 1, change)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func do(t *testing.T, q *Quorum, keys ...string) *kmsg.CreateTopicsResponse {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	resp, err := q.Do(ctx, set(keys...))
	if err != nil {
		t.Fatal(err)
	}
	return resp.(*kmsg.CreateTopicsResponse)
}

func TestSoleVoterLeadsAndRemembers(t *testing.T) {
	fsys := vfs.NewMem()
	v := mustOpen(t, fsys, nil)
	do(t, v.q, "a")
	if seen := do(t, v.q, "b", "c").ThrottleMillis; seen != 1 {
		t.Errorf("the second request saw %d keys, want 1", seen)
	}
	if got := keys(v.q.Image()); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("the image has %v right after Do", got)
	}
	if s := v.q.Status(); s.Leader != 1 || len(s.Members) != 1 || s.Members[0].NodeID != 1 || s.HighWatermark != s.EndOffset {
		t.Errorf("status %+v", s)
	}
	if c := v.q.Image().ControllerID(); c != 1 {
		t.Errorf("controller %d", c)
	}
	epoch := v.q.Status().Epoch
	v.close()

	v = mustOpen(t, fsys, nil)
	defer v.close()
	do(t, v.q)
	if got := keys(v.q.Image()); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("after a restart the image has %v", got)
	}
	if again := v.q.Status().Epoch; again <= epoch {
		t.Errorf("epoch %d after a restart, %d before", again, epoch)
	}
}

// TestPowerLoss loses power after every acknowledged change: what Do has answered is there afterwards.
func TestPowerLoss(t *testing.T) {
	for seed := range uint64(30) {
		fsys := vfs.NewMem()
		for round := range 4 {
			v, err := openVoter(t, fsys, 1, func(c *Config) { c.SnapshotBytes = 400 })
			if err != nil {
				t.Fatalf("seed %d round %d: %v", seed, round, err)
			}
			do(t, v.q)
			for i := range 5 * round {
				if got := keys(v.q.Image()); !slices.Contains(got, fmt.Sprint(i)) {
					t.Fatalf("seed %d round %d: %d is lost: %v", seed, round, i, got)
				}
			}
			for i := range 5 {
				do(t, v.q, fmt.Sprint(5*round+i))
			}
			after := fsys.Crash(seed ^ uint64(round)<<32)
			v.q.Close()
			_ = v.dir.Close() // its file system is gone
			fsys = after
		}
	}
}

func TestSubscribersSeeEveryImageInOrder(t *testing.T) {
	v := mustOpen(t, vfs.NewMem(), nil)
	defer v.close()
	do(t, v.q, "before")
	var seen [][]string
	v.q.Subscribe(func(img *cluster.Image, _ cluster.Delta) { seen = append(seen, keys(img)) })
	do(t, v.q, "x")
	do(t, v.q, "y")
	// The publisher has called the subscriber before it answered.
	want := [][]string{{"before"}, {"before", "x"}, {"before", "x", "y"}}
	if !slices.EqualFunc(seen, want, slices.Equal) {
		t.Errorf("seen %v, want %v", seen, want)
	}
}

func TestSnapshotReplacesTheLog(t *testing.T) {
	fsys := vfs.NewMem()
	small := func(c *Config) { c.SnapshotBytes = 2000 }
	v := mustOpen(t, fsys, small)
	for i := range 1500 {
		do(t, v.q, fmt.Sprint(i%20))
	}
	want := keys(v.q.Image())
	v.close() // waits for the snapshot that is being written
	if start := v.log.StartOffset(); start == 0 {
		t.Error("nothing was dropped from the log")
	}
	names, err := fsys.List("data/__cluster_metadata-0")
	if err != nil || len(slices.DeleteFunc(names, func(n string) bool { return path.Ext(n) != snapshotSuffix })) != 1 {
		t.Errorf("snapshots %v, %v", names, err)
	}
	v = mustOpen(t, fsys, small)
	defer v.close()
	do(t, v.q)
	if got := keys(v.q.Image()); !slices.Equal(got, want) {
		t.Errorf("from snapshot and log: %v, want %v", got, want)
	}
}

func TestDamageIsRefused(t *testing.T) {
	for _, file := range []string{stateFile, "snapshot"} {
		fsys := vfs.NewMem()
		small := func(c *Config) { c.SnapshotBytes = 500 }
		v := mustOpen(t, fsys, small)
		for i := range 30 {
			do(t, v.q, fmt.Sprint(i))
		}
		v.close()
		name := path.Join("data/__cluster_metadata-0", file)
		if file == "snapshot" {
			names, err := v.q.storage.snapshots()
			if err != nil {
				t.Fatal(err)
			}
			name = path.Join("data/__cluster_metadata-0", names[len(names)-1])
		}
		flip(t, fsys, name)
		if v, err := openVoter(t, fsys, 1, small); !errors.Is(err, errDamaged) {
			if err == nil {
				v.close()
			}
			t.Errorf("%s with a flipped bit: %v, want errDamaged", file, err)
		}
	}
}

func flip(t *testing.T, fsys vfs.FS, name string) {
	t.Helper()
	b, err := vfs.ReadFile(fsys, name, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-3] ^= 4
	if err := vfs.WriteFileAtomic(fsys, name, b); err != nil {
		t.Fatal(err)
	}
}

// threeVoters opens three voters over an in-memory transport, closed with the test.
func threeVoters(t *testing.T, snapshotBytes int64) (*network, []*voterNode) {
	t.Helper()
	net := &network{nodes: map[uint64]*voterNode{}, cut: map[uint64]bool{}}
	var nodes []*voterNode
	fss := []vfs.FS{vfs.NewMem(), vfs.NewMem(), vfs.NewMem()}
	var voters []Voter
	for i, fsys := range fss {
		dir, err := commitlog.OpenDir(commitlog.DirConfig{FS: fsys, Path: "data", ClusterID: "c", NodeID: int32(i)})
		if err != nil {
			t.Fatal(err)
		}
		voters = append(voters, Voter{NodeID: int32(i), DirectoryID: dir.DirectoryID()})
		if err := dir.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for i, fsys := range fss {
		v, err := openVoter(t, fsys, int32(i), func(c *Config) {
			c.Voters, c.Transport, c.TickInterval = voters, net, 2*time.Millisecond
			c.SnapshotBytes = snapshotBytes
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(v.close)
		net.add(v)
		nodes = append(nodes, v)
	}
	return net, nodes
}

// TestThreeVoters elects, replicates, fails over and heals.
func TestThreeVoters(t *testing.T) {
	net, nodes := threeVoters(t, 0)
	first := anywhere(t, nodes, "a")
	net.isolate(first.self, true)
	rest := slices.DeleteFunc(slices.Clone(nodes), func(v *voterNode) bool { return v == first })
	second := anywhere(t, rest, "b")
	if second == first {
		t.Fatal("the voter that is cut off still commits")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := first.q.Do(ctx, set("lost")); err == nil {
		t.Error("a cut off leader has committed")
	}
	net.isolate(first.self, false)
	anywhere(t, nodes, "c")
	for _, v := range nodes {
		eventually(t, func() bool { return slices.Equal(keys(v.q.Image()), []string{"a", "b", "c"}) },
			func() string { return fmt.Sprintf("node %d has %v", v.self.NodeID, keys(v.q.Image())) })
	}
}

// anywhere commits key at whichever node leads, and returns that.
func anywhere(t *testing.T, nodes []*voterNode, key string) *voterNode {
	t.Helper()
	var leader *voterNode
	eventually(t, func() bool {
		for _, v := range nodes {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			_, err := v.q.Do(ctx, set(key))
			cancel()
			if err == nil {
				leader = v
				return true
			}
		}
		return false
	}, func() string { return "nobody leads" })
	return leader
}

func eventually(t *testing.T, ok func() bool, why func() string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal(why())
		}
		time.Sleep(time.Millisecond)
	}
}

// network hands messages over, but for nodes that are cut off.
type network struct {
	mu    sync.Mutex
	nodes map[uint64]*voterNode
	cut   map[uint64]bool
	lose  int // so many snapshots to come
}

func (n *network) add(v *voterNode) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nodes[v.self.RaftID()] = v
}

func (n *network) isolate(v Voter, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[v.RaftID()] = cut
}

func (n *network) Send(messages []*pb.Message) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, m := range messages {
		if m.GetType() == pb.MsgSnap && n.lose > 0 {
			n.lose--
			continue
		}
		if to, ok := n.nodes[m.GetTo()]; ok && !n.cut[m.GetTo()] && !n.cut[m.GetFrom()] {
			to.q.Step(proto.Clone(m).(*pb.Message))
		}
	}
}

func FuzzDecodeFiles(f *testing.F) {
	b, err := encodeState(state{hard: &pb.HardState{Term: new(uint64(3))}, conf: &pb.ConfState{Voters: []uint64{1}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(seal(snapshotMagic, snapshotVersion, appendPart(appendPart(nil, nil), encodeImage(map[uint64]Voter{7: {NodeID: 1}}, cluster.NewImage("c")))))
	img := cluster.NewImage("c")
	if img, _, err = img.Apply([]cluster.Change{cluster.RegisterBroker{Broker: cluster.Broker{ID: 1, Fenced: true}}}, 5, 1); err != nil {
		f.Fatal(err)
	}
	f.Add(encodeImage(map[uint64]Voter{7: {NodeID: 1}}, img))
	f.Fuzz(func(t *testing.T, b []byte) {
		if voters, img, err := decodeImage("c", b); err == nil { // no checksum in the way
			again := encodeImage(voters, img)
			if _, _, err := decodeImage("c", again); err != nil {
				t.Error(err)
			}
		}
		if s, err := decodeState(b); err == nil {
			if _, err := encodeState(s); err != nil {
				t.Error(err)
			}
		}
		if snap, err := decodeSnapshot(b); err == nil {
			_, _, _ = decodeImage("c", snap.GetData())
		}
		_, _ = readEntry(b)
	})
}
