package sim

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/sim/check"
)

// recordBytesMax bounds what a batch is inflated to.
const recordBytesMax = 64 << 20

// replica is a partition as a stopped machine's disk has it.
type replica struct {
	machine       string
	tp            commitlog.TopicPartition
	topicID       [16]byte
	highWatermark int64
	batches       [][]byte
}

// CheckReplicas reads the disks of machines that have stopped, compares what they hold with what is assigned to them and with
// each other, and returns the records of the load's topics, replica by replica, for the history.
func (c *Cluster) CheckReplicas(assigned map[check.Partition][]int32) ([]check.Final, error) {
	var all []*replica
	var errs []error
	for _, m := range c.Machines {
		found, err := m.replicas()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.Name, err)
		}
		all = append(all, found...)
		errs = append(errs, m.checkAssigned(found, assigned))
	}
	var finals []check.Final
	for i, r := range all {
		for _, other := range all[:i] {
			if other.tp == r.tp && other.topicID == r.topicID {
				errs = append(errs, r.compare(other))
			}
		}
		errs = append(errs, r.checkEpochs())
		if r.tp.Topic == topic || r.churned() {
			f, err := r.final()
			finals = append(finals, f)
			errs = append(errs, err)
		}
	}
	return finals, errors.Join(errs...)
}

// checkAssigned returns a partition that the machine has and should not, or should and has not. One that was left out because
// it is corrupt counts as there.
func (m *Machine) checkAssigned(found []*replica, assigned map[check.Partition][]int32) error {
	var errs []error
	for p, replicas := range assigned {
		has := slices.ContainsFunc(found, func(r *replica) bool { return r.tp.Topic == p.Topic && r.tp.Partition == p.Index })
		switch should := slices.Contains(replicas, m.ID); {
		case has && !should:
			errs = append(errs, fmt.Errorf("%s has a copy of %s-%d, which is on %v", m.Name, p.Topic, p.Index, replicas))
		case should && !has && !m.flipped:
			errs = append(errs, fmt.Errorf("%s has no copy of %s-%d, which is on %v", m.Name, p.Topic, p.Index, replicas))
		}
	}
	return errors.Join(errs...)
}

// replicas reads all partitions on a machine's disk. Where bits were flipped a log that says that it is corrupt is left out: it
// keeps its promise, which is to give nothing wrong. What lies below the recovery point is not read at a start, so that it may
// have gone unnoticed until now.
func (m *Machine) replicas() (found []*replica, err error) {
	rotten := func(err error) bool { return m.flipped && errors.Is(err, commitlog.ErrCorrupt) }
	dir, err := commitlog.OpenDir(commitlog.DirConfig{FS: m.Disk(), Path: dataDir, NodeID: m.ID})
	if err != nil {
		return nil, err
	}
	defer func() {
		if closed := dir.Close(); !rotten(closed) {
			err = errors.Join(err, closed)
		}
	}()
	onDisk, err := dir.List()
	if err != nil {
		return nil, err
	}
	for _, d := range onDisk {
		r, err := m.replica(dir, d)
		switch {
		case err == nil:
			found = append(found, r)
		case !rotten(err):
			return nil, fmt.Errorf("%s: %w", d.TopicPartition, err)
		}
	}
	return found, nil
}

// replica reads one partition.
func (m *Machine) replica(dir *commitlog.Dir, d commitlog.OnDisk) (*replica, error) {
	log, err := dir.Open(d.TopicPartition, d.TopicID, commitlog.DefaultConfig(), commitlog.Hooks{})
	if err != nil {
		return nil, err
	}
	r := &replica{machine: m.Name, tp: d.TopicPartition, topicID: d.TopicID, highWatermark: log.HighWatermark()}
	for batch, err := range log.Batches(log.StartOffset()) {
		if err != nil {
			return nil, err
		}
		r.batches = append(r.batches, slices.Clone(batch))
	}
	return r, nil
}

// compare returns the first byte difference below both high watermarks.
func (r *replica) compare(other *replica) error {
	for i := range min(len(r.batches), len(other.batches)) {
		h, err := record.ReadHeader(r.batches[i])
		if err != nil {
			return err
		}
		if h.NextOffset() > min(r.highWatermark, other.highWatermark) {
			return nil
		}
		if !bytes.Equal(r.batches[i], other.batches[i]) {
			return fmt.Errorf("%s: %s and %s differ in the batch at %d, below the high watermarks %d and %d",
				r.tp, r.machine, other.machine, h.BaseOffset, r.highWatermark, other.highWatermark)
		}
	}
	return nil
}

// checkEpochs returns a batch whose leader epoch or offset is lower than that of the one before.
func (r *replica) checkEpochs() error {
	epoch, next := int32(-1), int64(0)
	for _, b := range r.batches {
		h, err := record.ReadHeader(b)
		if err != nil {
			return err
		}
		if h.LeaderEpoch < epoch || h.BaseOffset < next {
			return fmt.Errorf("%s on %s: the batch at %d has epoch %d, behind one of epoch %d that ends at %d",
				r.tp, r.machine, h.BaseOffset, h.LeaderEpoch, epoch, next)
		}
		epoch, next = h.LeaderEpoch, h.NextOffset()
	}
	return nil
}

func (r *replica) churned() bool { return strings.HasPrefix(r.tp.Topic, churned) }

func (r *replica) final() (check.Final, error) {
	f := check.Final{Partition: check.Partition{Topic: r.tp.Topic, Index: r.tp.Partition}, Replica: "the disk of " + r.machine}
	if r.churned() {
		f.Partition = churnedAs(hex.EncodeToString(r.topicID[:]))
	}
	for _, b := range r.batches {
		for rec, err := range record.Records(b, recordBytesMax) {
			if err != nil {
				return f, fmt.Errorf("%s on %s: %w", r.tp, r.machine, err)
			}
			f.Records = append(f.Records, check.Record{Offset: rec.Offset, Value: string(rec.Value)})
		}
	}
	return f, nil
}
