package controller

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/logbahn/logbahn/internal/cluster"
)

// TestInvariants plays random requests, with another controller taking over now and then, and compares each image with the
// one before: what replicas and clients rely on holds from image to image, and from a snapshot of any of them.
func TestInvariants(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 9))
		w := newWorld(t, Config{})
		h := history{t: t, seed: seed, gone: make(map[cluster.UUID]bool)}
		for range 300 {
			w.nowMs += r.Int64N(3000)
			before := w.img
			switch r.IntN(40) {
			case 0: // what only the machine knew is lost
				w.m = New(w.m.cfg)
			case 1:
				w.img = restored(t, w.img)
			}
			w.run(randomCommand(r, w.img))
			h.follows(before, w.img)
		}
	}
}

// restored returns the image by way of a snapshot.
func restored(t *testing.T, img *cluster.Image) *cluster.Image {
	t.Helper()
	again, err := cluster.Restore(img.ClusterID(), img.Offset(), img.Epoch(), func(yield func([]cluster.Change, error) bool) {
		for list := range img.Snapshot() {
			if !yield(cluster.ParseChanges(cluster.AppendChanges(nil, list))) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(snapshotOf(again), snapshotOf(img)) {
		t.Fatal("the image of a snapshot has another snapshot")
	}
	return again
}

func snapshotOf(img *cluster.Image) (all []byte) {
	for list := range img.Snapshot() {
		all = cluster.AppendChanges(all, list)
	}
	return all
}

type history struct {
	t    *testing.T
	seed uint64
	gone map[cluster.UUID]bool // ids of deleted topics
	// moves: leaders let replicas into the in-sync set, and operators move them.
	moves bool
}

func (h *history) fail(format string, args ...any) {
	h.t.Helper()
	h.t.Fatalf("seed %d: "+format, append([]any{h.seed}, args...)...)
}

// follows checks that one image may come after another.
func (h *history) follows(old, next *cluster.Image) {
	h.t.Helper()
	if next.NextBrokerEpoch() < old.NextBrokerEpoch() || next.NextProducerID() < old.NextProducerID() {
		h.fail("broker epoch %d after %d, producer id %d after %d",
			next.NextBrokerEpoch(), old.NextBrokerEpoch(), next.NextProducerID(), old.NextProducerID())
	}
	registered := make(map[cluster.NodeID]bool)
	for _, b := range next.Brokers() {
		before, ok := old.Broker(b.ID)
		if ok && b.Epoch < before.Epoch || (!ok || b.Epoch != before.Epoch) && b.Epoch < old.NextBrokerEpoch() {
			h.fail("broker %d has epoch %d after %d", b.ID, b.Epoch, before.Epoch)
		}
		registered[b.ID] = !ok || b.Epoch != before.Epoch
	}
	for t := range old.Topics() {
		if _, ok := next.TopicByID(t.ID); !ok {
			h.gone[t.ID] = true
		}
	}
	for t := range next.Topics() {
		if h.gone[t.ID] {
			h.fail("the id of a deleted topic is that of %s", t.Name)
		}
		if before, ok := old.TopicByID(t.ID); ok {
			h.topicFollows(before, t, registered)
		}
	}
}

func (h *history) topicFollows(old, next *cluster.Topic, registered map[cluster.NodeID]bool) {
	h.t.Helper()
	if old.Name != next.Name || len(next.Partitions) < len(old.Partitions) {
		h.fail("%s with %d partitions after %s with %d", next.Name, len(next.Partitions), old.Name, len(old.Partitions))
	}
	for i, was := range old.Partitions {
		is := next.Partitions[i]
		switch {
		case is.LeaderEpoch < was.LeaderEpoch, is.PartitionEpoch < was.PartitionEpoch:
			h.fail("%s-%d: an epoch falls: %+v after %+v", next.Name, i, is, was)
		case is.PartitionEpoch == was.PartitionEpoch && !reflect.DeepEqual(is, was):
			h.fail("%s-%d: %+v after %+v in one partition epoch", next.Name, i, is, was)
		case is.Leader != was.Leader && is.LeaderEpoch == was.LeaderEpoch:
			h.fail("%s-%d: leaders %d and %d in one epoch", next.Name, i, was.Leader, is.Leader)
		case registered[is.Leader] && is.Leader == was.Leader && is.LeaderEpoch == was.LeaderEpoch:
			h.fail("%s-%d: two lives of broker %d lead in epoch %d", next.Name, i, is.Leader, is.LeaderEpoch)
		case !h.moves && !slices.Equal(is.Replicas, was.Replicas):
			h.fail("%s-%d: replicas %v after %v", next.Name, i, is.Replicas, was.Replicas)
		}
		for _, id := range is.ISR {
			if !h.moves && !slices.Contains(was.ISR, id) {
				h.fail("%s-%d: nobody has let %d into the in-sync set %v", next.Name, i, id, was.ISR)
			}
		}
	}
}
