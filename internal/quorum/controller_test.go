package quorum

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/quorum/controller"
	"github.com/logbahn/logbahn/internal/vfs"
)

// controlled opens the only voter with the controller that brokers have, and registers its broker.
func controlled(t *testing.T, fsys vfs.FS, run byte, snapshotBytes int64) *voterNode {
	t.Helper()
	v := mustOpen(t, fsys, func(c *Config) {
		c.Machine = controller.New(controller.Config{})
		c.SnapshotBytes = snapshotBytes
	})
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.BrokerID, req.ClusterID, req.IncarnationID = 1, "c", [16]byte{run}
	req.LogDirs = [][16]byte{v.self.DirectoryID}
	if last, ran := v.q.Image().Broker(1); ran {
		controller.SetLastEpoch(req, last.Epoch)
	}
	l := kmsg.NewBrokerRegistrationRequestListener()
	l.Name, l.Host, l.Port = "PLAINTEXT", "localhost", 9092
	req.Listeners = append(req.Listeners, l)
	beat := kmsg.NewPtrBrokerHeartbeatRequest()
	beat.BrokerID, beat.BrokerEpoch = 1, ask[*kmsg.BrokerRegistrationResponse](t, v, req).BrokerEpoch
	beat.CurrentMetadataOffset = v.q.Image().Offset()
	if code := ask[*kmsg.BrokerHeartbeatResponse](t, v, beat).ErrorCode; code != 0 {
		t.Fatalf("heartbeat: %d", code)
	}
	return v
}

func ask[R kmsg.Response](t *testing.T, v *voterNode, req kmsg.Request) R {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	resp, err := v.q.Do(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	return resp.(R)
}

func createTopic(name string, partitions int32) *kmsg.CreateTopicsRequest {
	req := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, partitions, 1
	req.Topics = append(req.Topics, topic)
	return req
}

func deleteTopic(name string) *kmsg.DeleteTopicsRequest {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TopicNames = []string{name}
	return req
}

func alterTopic(name, value string) *kmsg.AlterConfigsRequest {
	req := kmsg.NewPtrAlterConfigsRequest()
	r := kmsg.NewAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, name
	c := kmsg.NewAlterConfigsRequestResourceConfig()
	c.Name, c.Value = "retention.ms", &value
	r.Configs = append(r.Configs, c)
	req.Resources = append(req.Resources, r)
	return req
}

// encoded is an image as a snapshot holds it.
func encoded(img *cluster.Image) (all []byte) {
	for list := range img.Snapshot() {
		all = cluster.AppendChanges(all, list)
	}
	return all
}

// TestImageIsWhatTheLogSays compares, after random requests and a stop, the live image with the one that another start
// makes of snapshot and log, before it has changed anything.
func TestImageIsWhatTheLogSays(t *testing.T) {
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 0))
		fsys := vfs.NewMem()
		snapshotBytes := []int64{300, 2000, 1 << 20}[seed%3]
		for run := range byte(3) {
			v := controlled(t, fsys, run+1, snapshotBytes)
			for range 40 {
				name := fmt.Sprintf("t%d", r.IntN(8))
				switch r.IntN(4) {
				case 0:
					ask[kmsg.Response](t, v, deleteTopic(name))
				case 1:
					ask[kmsg.Response](t, v, alterTopic(name, fmt.Sprint(r.IntN(9))))
				default:
					ask[kmsg.Response](t, v, createTopic(name, 1+r.Int32N(5)))
				}
			}
			live := v.q.Image()
			v.close()
			v = mustOpen(t, fsys, nil)
			do(t, v.q) // published after all that was read
			again := v.q.Image()
			if !slices.Equal(encoded(live), encoded(again)) || live.Offset() != again.Offset() || live.Epoch() != again.Epoch() {
				t.Fatalf("seed %d run %d: offset %d epoch %d live, %d %d after a start", seed, run, live.Offset(), live.Epoch(), again.Offset(), again.Epoch())
			}
			v.close()
		}
	}
}

func TestRestartRaisesLeaderEpochs(t *testing.T) {
	fsys := vfs.NewMem()
	v := controlled(t, fsys, 1, 0)
	ask[kmsg.Response](t, v, createTopic("t", 3))
	before, _ := v.q.Image().Partition("t", 2)
	v.close()
	v = controlled(t, fsys, 2, 0)
	defer v.close()
	after, ok := v.q.Image().Partition("t", 2)
	if !ok || after.Leader != 1 || after.LeaderEpoch != before.LeaderEpoch+1 {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

// TestRequestsAtOnce lets many callers compete: each topic is made by exactly one, and all see it.
func TestRequestsAtOnce(t *testing.T) {
	v := controlled(t, vfs.NewMem(), 1, 0)
	defer v.close()
	var made [20]int
	var mu sync.Mutex
	var callers sync.WaitGroup
	for caller := range 16 {
		callers.Go(func() {
			for i := range made {
				name := fmt.Sprintf("t%d", (i+caller)%len(made))
				resp, err := v.q.Do(t.Context(), createTopic(name, 1))
				if err != nil {
					t.Error(err)
					return
				}
				if _, ok := v.q.Image().Topic(name); !ok {
					t.Errorf("%s is not in the image", name)
				}
				if resp.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode == 0 {
					mu.Lock()
					made[(i+caller)%len(made)]++
					mu.Unlock()
				}
			}
		})
	}
	callers.Wait()
	for i, n := range made {
		if n != 1 {
			t.Errorf("t%d was made %d times", i, n)
		}
	}
}

// TestSnapshotIsDueAtOpen opens a log that is long enough for a snapshot, as a crash before the snapshot leaves it.
func TestSnapshotIsDueAtOpen(t *testing.T) {
	fsys := vfs.NewMem()
	for _, snapshotBytes := range []int64{1 << 20, 200, 1 << 20, 100} {
		v := mustOpen(t, fsys, func(c *Config) { c.SnapshotBytes = snapshotBytes })
		for i := range 20 {
			do(t, v.q, fmt.Sprint(i))
		}
		v.close()
	}
}

// TestMissingVoteIsRefused removes quorum-state: a voter that has entries has voted, and must not vote as if it had not.
func TestMissingVoteIsRefused(t *testing.T) {
	fsys := vfs.NewMem()
	v := mustOpen(t, fsys, nil)
	do(t, v.q, "a")
	v.close()
	v = mustOpen(t, fsys, nil)
	v.close()
	if err := fsys.Remove(path.Join("data/__cluster_metadata-0", stateFile)); err != nil {
		t.Fatal(err)
	}
	if v, err := openVoter(t, fsys, 1, nil); err == nil {
		t.Errorf("it leads in epoch %d", v.q.Status().Epoch)
		v.close()
	} else if !errors.Is(err, errDamaged) {
		t.Errorf("%v, want errDamaged", err)
	}
}

// TestStatusOfALonelyFollower asks a voter of three that hears of nobody.
func TestStatusOfALonelyFollower(t *testing.T) {
	fsys := vfs.NewMem()
	three := func(c *Config) {
		c.Voters = []Voter{c.Self, {NodeID: 2, DirectoryID: cluster.UUID{2}}, {NodeID: 3, DirectoryID: cluster.UUID{3}}}
	}
	for range 2 {
		v := mustOpen(t, fsys, three)
		if s := v.q.Status(); s.Leader != cluster.NoLeader || len(s.Members) != 3 {
			t.Errorf("status %+v", s)
		}
		v.close()
	}
}
