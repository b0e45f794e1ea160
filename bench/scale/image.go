//go:build linux

package main

import (
	"bytes"
	"context"
	"iter"
	"path/filepath"
	"runtime"
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/vfs"
)

// image measures the image by itself, in this process: what it takes in memory and as a snapshot, and what it takes to write
// and load one.
func (m *measurement) image(ctx context.Context) error {
	img, err := m.watch.await(ctx, func(img *cluster.Image) bool { return img.TopicCount() == m.topics })
	if err != nil {
		return err
	}
	begin := time.Now()
	var lists [][]byte
	for changes := range img.Snapshot() {
		lists = append(lists, cluster.AppendChanges(nil, changes))
	}
	encoded := bytes.Join(lists, nil)
	if err = vfs.WriteFileAtomic(vfs.Disk(), filepath.Join(m.scratch, "image"), encoded); err != nil {
		return err
	}
	m.set("snapshot_write_ms", ms(time.Since(begin)))
	m.set("snapshot_mb", float64(len(encoded))/1e6)

	before := heapBytes()
	begin = time.Now()
	again, err := cluster.Restore(m.clusterID, img.Offset(), img.Epoch(), parsed(lists))
	if err != nil {
		return err
	}
	m.set("snapshot_load_ms", ms(time.Since(begin)))
	size := heapBytes() - before
	m.set("image_mb", size/1e6)
	m.set("image_bytes_partition", size/float64(again.PartitionCount()))
	m.set("partitions", float64(again.PartitionCount()))
	runtime.KeepAlive(again)
	return nil
}

func parsed(lists [][]byte) iter.Seq2[[]cluster.Change, error] {
	return func(yield func([]cluster.Change, error) bool) {
		for _, list := range lists {
			if !yield(cluster.ParseChanges(list)) {
				return
			}
		}
	}
}

// heapBytes returns what this process holds once its garbage is collected.
func heapBytes() float64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc)
}

// applyTries is how often a change is applied for one figure.
const applyTries = 50

// applied returns how long an image takes for a change of one partition of a topic, its delta included.
func applied(img *cluster.Image, t *cluster.Topic) (time.Duration, error) {
	p := t.Partitions[0]
	p.PartitionEpoch++
	var took []time.Duration
	for range applyTries {
		begin := time.Now()
		if _, _, err := img.Apply([]cluster.Change{cluster.ChangePartition{TopicID: t.ID, Partition: p}}, img.Offset()+1, img.Epoch()); err != nil {
			return 0, err
		}
		took = append(took, time.Since(begin))
	}
	return median(took), nil
}
