package coordinator

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/partition"
	"github.com/logbahn/logbahn/internal/vfs"
)

// node is what the coordinator stands on, on a file system in memory: real replicas and a real log.
type node struct {
	*fixture
	fs    *vfs.Mem
	dir   *commitlog.Dir
	set   *partition.Set
	image *cluster.Image
}

func startNode(t *testing.T, fs *vfs.Mem, image *cluster.Image) *node {
	t.Helper()
	n := &node{fs: fs, image: image}
	dir, err := commitlog.OpenDir(commitlog.DirConfig{FS: fs, Path: "data", ClusterID: image.ClusterID(), NodeID: 1})
	if err != nil {
		t.Fatal(err)
	}
	n.dir = dir
	n.set = partition.NewSet(partition.Config{NodeID: 1, Dir: dir})
	n.set.Apply(image, cluster.Diff(nil, image))
	current := func() *cluster.Image { return n.image }
	n.fixture = &fixture{Groups: New(Config{Partitions: ImagePartitions(current), Lead: LedBy(n.set), Topics: ImageTopics(n.set.Image)})}
	return n
}

func (n *node) stop(t *testing.T) {
	t.Helper()
	n.Close()
	if err := n.dir.Close(); err != nil {
		t.Fatal(err)
	}
}

// change applies changes as a node does: replicas first, then the coordinator.
func (n *node) change(t *testing.T, changes ...cluster.Change) {
	t.Helper()
	next, delta, err := n.image.Apply(changes, n.image.Offset()+1, 1)
	if err != nil {
		t.Fatal(err)
	}
	n.image = next
	n.set.Apply(next, delta)
	n.ImageApplied(DeletedTopics(delta))
}

func TestOnRealPartitions(t *testing.T) {
	ctx := t.Context()
	fs := vfs.NewMem()
	led := cluster.Partition{Replicas: []cluster.NodeID{1}, ISR: []cluster.NodeID{1}, Leader: 1}
	topic := func(name string, id byte, partitions int) cluster.CreateTopic {
		made := cluster.Topic{Name: name, ID: cluster.UUID{id}}
		for range partitions {
			made.Partitions = append(made.Partitions, led)
		}
		return cluster.CreateTopic{Topic: made}
	}
	broker := cluster.RegisterBroker{Broker: cluster.Broker{ID: 1, Epoch: 1}}
	n := startNode(t, fs, cluster.NewImage("c"))
	n.change(t, broker, topic("t", 9, 10))
	expect(t, n.commit(ctx, "t", 0, 1), "COORDINATOR_NOT_AVAILABLE")
	n.change(t, topic(OffsetsTopic, 8, 50))
	expect(t, n.commit(ctx, "t", 0, 1), "ok")
	expect(t, n.commit(ctx, "t", 1, 2), "ok")
	expect(t, n.fetch(ctx, "", 0), "ok t-0=1 ok t-1=2 ok")
	if shards := len(n.loaded()); shards != 1 {
		t.Fatalf("%d shards for one group", shards)
	}

	n.stop(t)
	n = startNode(t, fs, n.image)
	broker.Broker.Epoch = 2
	n.change(t, broker) // a new registration is a new leader epoch
	list := n.ListGroups(ctx, Client{}, kmsg.NewPtrListGroupsRequest())(ctx)
	if len(list.Groups) != 1 || list.Groups[0].Group != "g" {
		t.Fatalf("%+v", list)
	}
	expect(t, n.fetch(ctx, "t", 1), "ok t-1=2 ok")

	// A new epoch under way: the shard loads anew, and nothing is lost.
	expect(t, n.commit(ctx, "t", 1, 3), "ok")
	broker.Broker.Epoch = 3
	n.change(t, broker)
	expect(t, n.fetch(ctx, "t", 1), "ok t-1=3 ok")

	n.change(t, cluster.DeleteTopic{ID: cluster.UUID{9}}, topic("t", 10, 10))
	eventually(t, func() bool { return n.fetch(ctx, "", 0) == "ok" })
	expect(t, n.commit(ctx, "t", 1, 1), "ok")

	n.change(t, cluster.DeleteTopic{ID: cluster.UUID{8}})
	expect(t, n.fetch(ctx, "t", 1), "NOT_COORDINATOR")
	n.stop(t)
}

// TestLoadsByTheImageThatItLeadsBy: a broker that was far behind, and is sent a snapshot of the metadata, hears in one image of a
// topic and of leading the group that has committed offsets of it. It leads before that image is the one of its Metadata.
func TestLoadsByTheImageThatItLeadsBy(t *testing.T) {
	ctx := t.Context()
	led := cluster.Partition{Replicas: []cluster.NodeID{1}, ISR: []cluster.NodeID{1}, Leader: 1}
	topic := func(name string, id byte) cluster.CreateTopic {
		return cluster.CreateTopic{Topic: cluster.Topic{Name: name, ID: cluster.UUID{id}, Partitions: []cluster.Partition{led}}}
	}
	broker := cluster.RegisterBroker{Broker: cluster.Broker{ID: 1, Epoch: 1}}
	n := startNode(t, vfs.NewMem(), cluster.NewImage("c"))
	n.change(t, broker, topic(OffsetsTopic, 8))
	behind := n.image
	n.change(t, topic("t", 9))
	expect(t, n.commit(ctx, "t", 0, 3), "ok")

	broker.Broker.Epoch = 2 // a new registration is a new leader epoch
	next, delta, err := n.image.Apply([]cluster.Change{broker}, n.image.Offset()+1, 1)
	if err != nil {
		t.Fatal(err)
	}
	n.image = behind
	n.set.Apply(next, delta)
	expect(t, n.fetch(ctx, "t", 0), "ok t-0=3 ok")
	n.ImageApplied(DeletedTopics(delta))
	n.image = next
	expect(t, n.fetch(ctx, "t", 0), "ok t-0=3 ok")
	n.stop(t)
}

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it does not happen")
		}
	}
}
