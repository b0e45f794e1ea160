package quorum

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/vfs"
)

const metadataFolder = "data/__cluster_metadata-0"

// shorten cuts the end off the newest segment of the metadata log, as if the disk had lied.
func shorten(t *testing.T, fsys vfs.FS, bytes int) {
	t.Helper()
	names, err := fsys.List(metadataFolder)
	if err != nil {
		t.Fatal(err)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasSuffix(n, ".log") })
	name := path.Join(metadataFolder, names[len(names)-1])
	b, err := vfs.ReadFile(fsys, name, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if err := vfs.WriteFileAtomic(fsys, name, b[:len(b)-bytes]); err != nil {
		t.Fatal(err)
	}
}

// TestLostEntriesAreRefused takes the last acknowledged entry away behind the recovery point, where the log itself cannot see
// it.
func TestLostEntriesAreRefused(t *testing.T) {
	for _, lost := range []int{0, 1, 500} {
		mem := vfs.NewMem()
		v := mustOpen(t, mem, nil)
		for i := range 10 {
			do(t, v.q, fmt.Sprint(i))
		}
		killed := mem.Kill()
		v.q.Close()
		_ = v.dir.Close() // its file system is gone
		if lost > 0 {
			shorten(t, killed, lost)
		}
		v, err := openVoter(t, killed, 1, nil)
		switch {
		case lost == 0 && err != nil:
			t.Fatal(err)
		case lost == 0:
			v.close()
			continue
		case err == nil:
			v.close()
			t.Fatalf("%d bytes less: it goes on with %v", lost, keys(v.q.Image()))
		case errors.Is(err, commitlog.ErrCorrupt):
			continue // the recovery point was written just now
		case !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), acknowledgedFile):
			t.Fatal(err)
		}
		if err := killed.Remove(path.Join(metadataFolder, acknowledgedFile)); err != nil { // the way out
			t.Fatal(err)
		}
		if v, err = openVoter(t, killed, 1, nil); err != nil {
			t.Fatal(err)
		}
		do(t, v.q, "on")
		v.close()
	}
}

func entriesOf(from, to, term uint64) []*pb.Entry {
	var list []*pb.Entry
	for i := from; i <= to; i++ {
		data := entryData(time.UnixMilli(int64(i)), []byte{1, byte(term)})
		list = append(list, &pb.Entry{Index: new(i), Term: new(term), Type: pb.EntryNormal.Enum(), Data: data})
	}
	return list
}

// TestStorageLosesPower overrules entries, installs snapshots and loses power at any call: the storage opens again, with
// everything that it had said was on disk.
func TestStorageLosesPower(t *testing.T) {
	for seed := range uint64(150) {
		s := &storageRun{t: t, rng: rand.New(rand.NewPCG(seed, 5)), mem: vfs.NewMem()}
		for round := range 4 {
			if err := s.round(); err != nil {
				t.Fatalf("seed %d round %d: %v", seed, round, err)
			}
		}
	}
}

type storageRun struct {
	t           *testing.T
	rng         *rand.Rand
	mem         *vfs.Mem
	term        uint64
	acked, most uint64 // indexes: certain, and perhaps there
	// The last entries came with the word that they are committed: from this index on they are of this term.
	committedFrom, committedTerm uint64
}

func (r *storageRun) round() error {
	faults := vfs.Inject(r.mem)
	dir, err := commitlog.OpenDir(commitlog.DirConfig{FS: faults, Path: "data", NodeID: 1})
	if err != nil {
		return err
	}
	defer dir.Close()
	log, err := dir.Open(commitlog.TopicPartition{Topic: "__cluster_metadata"}, [16]byte{15: 1}, commitlog.DefaultConfig(), commitlog.Hooks{})
	if err != nil {
		return err
	}
	s, err := openStorage(faults, metadataFolder, log)
	if err != nil {
		return err
	}
	defer s.acked.close()
	last, err := s.memory.LastIndex()
	if err != nil || last < r.acked || last > r.most {
		return fmt.Errorf("last index %d, must be within [%d, %d]: %w", last, r.acked, r.most, err)
	}
	r.acked, r.most = last, last
	if s.saved.hard.GetCommit() >= r.committedFrom && r.committedFrom > 0 && r.committedFrom > s.covered {
		if term, err := s.memory.Term(r.committedFrom); err != nil || term != r.committedTerm {
			return fmt.Errorf("entry %d of term %d is committed, not that of term %d: %w", r.committedFrom, term, r.committedTerm, err)
		}
	}
	var crashed *vfs.Mem
	mem, crash := r.mem, r.rng.Uint64()
	faults.Add(vfs.Rule{From: 1 + r.rng.IntN(120), Times: 1, Fault: vfs.Fault{Before: func() { crashed = mem.Crash(crash) }}})
	for range 12 {
		if r.operate(s) != nil {
			break
		}
	}
	for crashed == nil { // a call of the directory's goroutines at the latest
		if r.operate(s) != nil {
			break
		}
	}
	r.mem = crashed
	return nil
}

// operate does what a Ready may ask for. An error is the crash.
func (r *storageRun) operate(s *storage) error {
	last, _ := s.memory.LastIndex()
	first, _ := s.memory.FirstIndex()
	rd := raft.Ready{}
	r.committedFrom = 0
	if last == 0 {
		r.term, r.acked, r.most = beginTerm, 0, 3
		err := s.begin([]Voter{{NodeID: 1}, {NodeID: 2}, {NodeID: 3}})
		if err == nil {
			r.acked = 3
		}
		return err
	}
	switch r.rng.IntN(6) {
	case 0: // overruled by another leader; what the cluster began with never is
		r.term++
		from := max(4, first+r.rng.Uint64N(last-first+2), s.saved.hard.GetCommit()+1)
		rd.Entries = entriesOf(from, from+r.rng.Uint64N(3), r.term)
	case 1:
		r.term++
		index := max(first, last) + r.rng.Uint64N(10)
		if r.rng.IntN(2) == 0 {
			index = first + r.rng.Uint64N(last-first+2)
		}
		index = max(index, s.saved.hard.GetCommit()+1)
		rd.Snapshot = &pb.Snapshot{Data: []byte{1}, Metadata: &pb.SnapshotMetadata{
			Index: new(max(index, 3)), Term: new(r.term), ConfState: &pb.ConfState{Voters: []uint64{1}},
		}}
	default:
		r.term = max(r.term, 1)
		rd.Entries = entriesOf(last+1, last+1+r.rng.Uint64N(4), r.term)
	}
	rd.HardState = &pb.HardState{Term: new(r.term), Vote: new(uint64(1)), Commit: new(s.saved.hard.GetCommit())}
	if n := len(rd.Entries); n > 0 && r.rng.IntN(2) == 0 {
		r.committedFrom, r.committedTerm = rd.Entries[0].GetIndex(), r.term
		rd.HardState.Commit = new(rd.Entries[n-1].GetIndex())
	}
	if !raft.IsEmptySnap(rd.Snapshot) {
		r.acked, r.most = min(r.acked, rd.Snapshot.GetMetadata().GetIndex()), max(r.most, rd.Snapshot.GetMetadata().GetIndex())
	} else {
		r.acked = min(r.acked, rd.Entries[0].GetIndex()-1)
		r.most = max(r.most, rd.Entries[len(rd.Entries)-1].GetIndex())
	}
	if err := s.save(rd); err != nil {
		return err
	}
	now, err := s.memory.LastIndex()
	r.acked, r.most = now, now
	return err
}

func FuzzAcknowledged(f *testing.F) {
	f.Add(encodeAcknowledged(77))
	f.Fuzz(func(t *testing.T, b []byte) {
		if index := decodeAcknowledged(b); index > 0 && decodeAcknowledged(encodeAcknowledged(index)) != index {
			t.Fatal(index)
		}
	})
}
