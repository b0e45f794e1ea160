//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/sim/check"
	"github.com/logbahn/logbahn/internal/vfs"
)

// recordsBytesMax bounds what one batch of the workload may hold when it is decompressed.
const recordsBytesMax = 16 << 20

// replica is where a node keeps a partition.
type replica struct {
	name string
	fsys vfs.FS
	dir  string
}

// replicas reads every replica of the topic off the disks of the stopped nodes, and compares their bytes.
func (r *run) replicas() ([]check.Final, error) {
	var finals []check.Final
	var failed []error
	for p := range int32(partitions) {
		var on []replica
		for _, n := range r.cluster.Nodes() {
			on = append(on, replica{fmt.Sprintf("node %d", n.ID), n.Disk.FS(), path.Join(n.DataDir(), fmt.Sprintf("%s-%d", topic, p))})
		}
		found, errs := readReplicas(p, on, min(r.options.nodes, 3))
		finals, failed = append(finals, found...), append(failed, errs...)
	}
	return finals, errors.Join(failed...)
}

// readReplicas reads a partition from the nodes that have it. So many have to: of what is not there nothing is judged.
func readReplicas(p int32, on []replica, want int) (finals []check.Final, failed []error) {
	var first []byte
	var names []string
	for _, n := range on {
		log, err := readLog(n.fsys, n.dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has no replica of this partition
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s, partition %d: %w", n.name, p, err))
			continue
		}
		final := check.Final{Partition: check.Partition{Topic: topic, Index: p}, Replica: n.name}
		if final.Records, err = readRecords(log); err != nil {
			failed = append(failed, fmt.Errorf("%s, partition %d: %w", n.name, p, err))
		}
		finals, names = append(finals, final), append(names, n.name)
		if len(names) == 1 {
			first = log
		} else if !bytes.Equal(first, log) {
			failed = append(failed, fmt.Errorf("partition %d: the bytes of %s (%d) and %s (%d) differ from byte %d on",
				p, names[0], len(first), n.name, len(log), differ(first, log)))
		}
	}
	if len(finals) != want {
		failed = append(failed, fmt.Errorf("partition %d has %d replicas instead of %d: %s", p, len(finals), want, strings.Join(names, ", ")))
	}
	return finals, failed
}

func differ(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// readLog returns the segments of a partition, one after the other.
func readLog(fsys vfs.FS, dir string) ([]byte, error) {
	names, err := fsys.List(dir)
	if err != nil {
		return nil, err
	}
	var log []byte
	for _, name := range names { // sorted, which is by base offset
		if !strings.HasSuffix(name, ".log") {
			continue
		}
		segment, err := vfs.ReadFile(fsys, path.Join(dir, name), 1<<30)
		if err != nil {
			return nil, err
		}
		log = append(log, segment...)
	}
	return log, nil
}

// readRecords returns the records of a log, each batch of which has to be whole.
func readRecords(log []byte) ([]check.Record, error) {
	var records []check.Record
	for at := 0; at < len(log); {
		h, err := record.ReadHeader(log[at:])
		if err != nil || h.Size() > len(log)-at {
			return records, fmt.Errorf("at byte %d of %d there is no batch: %v", at, len(log), err)
		}
		batch := log[at : at+h.Size()]
		if err := record.CheckCRC(batch); err != nil {
			return records, fmt.Errorf("the batch at offset %d: %w", h.BaseOffset, err)
		}
		for rec, err := range record.Records(batch, recordsBytesMax) {
			if err != nil {
				return records, fmt.Errorf("the batch at offset %d: %w", h.BaseOffset, err)
			}
			records = append(records, check.Record{Offset: rec.Offset, Value: string(rec.Value)})
		}
		at += h.Size()
	}
	return records, nil
}

// keep copies what the disks hold beside the histories, for whoever looks for the reason of a finding.
func (r *run) keep() error {
	var errs []error
	for _, n := range r.cluster.Nodes() {
		errs = append(errs, copyTree(n.Disk.FS(), n.DataDir(), filepath.Join(r.options.out, fmt.Sprintf("node-%d", n.ID))))
	}
	return errors.Join(errs...)
}

func copyTree(fsys vfs.FS, from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	names, err := fsys.List(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		source, target := path.Join(from, name), filepath.Join(to, name)
		info, err := fsys.Stat(source)
		if err != nil {
			return err
		}
		if info.Dir {
			err = copyTree(fsys, source, target)
		} else {
			var b []byte
			if b, err = vfs.ReadFile(fsys, source, 1<<30); err == nil {
				err = os.WriteFile(target, b, 0o644)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
