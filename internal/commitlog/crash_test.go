package commitlog

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/vfs"
)

// The crash model: random operations on one log, on a disk that loses power at random calls, against a slice of batches
// that says what must be there. LOGBAHN_CRASH_SEEDS=from:to chooses the seeds (to is not run); a failure prints its own.

const (
	crashSeedsDefault = 300
	crashOpsMax       = 60
)

func TestCrashModel(t *testing.T) {
	from, to := crashSeeds(t)
	start := time.Now()
	for seed := from; seed < to; seed++ {
		if err := runCrashModel(seed); err != nil {
			t.Fatalf("seed %d: %v\nagain: LOGBAHN_CRASH_SEEDS=%d:%d go test -run TestCrashModel ./internal/commitlog",
				seed, err, seed, seed+1)
		}
	}
	t.Logf("seeds %d to %d: %.0f per second", from, to, float64(to-from)/time.Since(start).Seconds())
}

func crashSeeds(t *testing.T) (from, to uint64) {
	env := os.Getenv("LOGBAHN_CRASH_SEEDS")
	if env == "" {
		return 0, crashSeedsDefault
	}
	a, b, ok := strings.Cut(env, ":")
	from, err1 := strconv.ParseUint(a, 10, 64)
	to, err2 := strconv.ParseUint(b, 10, 64)
	if !ok || err1 != nil || err2 != nil {
		t.Fatalf("LOGBAHN_CRASH_SEEDS=%q is not from:to", env)
	}
	return from, to
}

// modelBatch is a batch that was appended, as it must be read again.
type modelBatch struct {
	record.Header
	bytes []byte
}

// model is what a log must hold. The batches up to durable are certain; of those behind it a crash may leave any prefix.
type model struct {
	batches  []modelBatch
	durable  int64
	start    int64 // certain
	startMax int64 // asked for, perhaps not done
	end      int64 // where the log goes on when there are no batches
	resetTo  int64 // a reset that may or may not have happened; -1
}

type modelProducer struct {
	id       int64
	epoch    int16
	sequence int32
}

// crashRun is one seed.
type crashRun struct {
	rng       *rand.Rand
	mem       *vfs.Mem
	faults    *vfs.Faults
	dir       *Dir
	log       *Log
	config    Config
	now       time.Time
	epoch     int32
	producers []modelProducer
	crashed   *vfs.Mem // the disk after a crash that came in the middle of something
	compacted int64    // records below may be gone if there are newer ones of their key; -1 without compaction
	m         model
	refused   []byte // the last batch that a full disk refused; until the next sync a crash may bring it back
	trace     []string
}

func runCrashModel(seed uint64) (err error) {
	r := &crashRun{rng: rand.New(rand.NewPCG(seed, 77)), mem: vfs.NewMem(), now: time.UnixMilli(1_700_000_000_000), epoch: 1}
	r.m.resetTo = -1
	r.config = DefaultConfig()
	r.config.SegmentBytes = []int64{400, 1000, 5000, 100000}[r.rng.IntN(4)]
	r.config.IndexIntervalBytes = []int64{0, 150, 1000}[r.rng.IntN(3)]
	r.config.RetentionBytes = []int64{-1, 3000}[r.rng.IntN(2)]
	r.config.PreallocateBytes = 0
	r.compacted = -1
	if seed%3 == 0 {
		r.config.Compact, r.config.Delete, r.config.MinCleanableRatio, r.config.DeleteRetentionMs = true, false, 0, 2000
		r.compacted = 0
	}
	r.config.LogAppendTime = r.rng.IntN(4) == 0
	for i := range 3 {
		r.producers = append(r.producers, modelProducer{id: int64(100 + i)})
	}
	defer func() {
		if p := recover(); p != nil {
			panic(fmt.Sprintf("seed %d: %v\n%s", seed, p, strings.Join(r.trace, "\n")))
		}
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, strings.Join(r.trace, "\n"))
		}
	}()
	if err := r.open(); err != nil {
		return err
	}
	for range 10 + r.rng.IntN(crashOpsMax) {
		if err := r.step(); err != nil {
			return err
		}
	}
	return r.stopAndCheck()
}

func (r *crashRun) note(format string, args ...any) {
	r.trace = append(r.trace, fmt.Sprintf(format, args...))
}

// step does one operation, now and then with a crash in the middle of it.
func (r *crashRun) step() error {
	if r.rng.IntN(8) == 0 {
		r.armCrash(1 + r.rng.IntN(20))
	}
	err := r.operate()
	if r.crashed != nil {
		return r.reopen(nil)
	}
	r.faults.Clear()
	if err != nil {
		return err
	}
	if r.log.Err() != nil {
		r.note("failed: %v", r.log.Err())
		return r.kill()
	}
	return nil
}

// armCrash lets the power fail before the n-th call from now.
func (r *crashRun) armCrash(n int) {
	seed, mem := r.rng.Uint64(), r.mem
	r.note("crash at call %d", n)
	r.faults.Add(vfs.Rule{From: n, Times: 1, Fault: vfs.Fault{Before: func() { r.crashed = mem.Crash(seed) }}})
}

func (r *crashRun) operate() error {
	switch n := r.rng.IntN(100); {
	case n < 40:
		return r.append()
	case n < 47:
		return r.retry()
	case n < 59:
		return r.flush()
	case n < 63:
		r.epoch++
		r.note("epoch %d", r.epoch)
		return r.allow(r.log.StartEpoch(r.epoch))
	case n < 69:
		return r.truncate()
	case n < 71:
		return r.reset()
	case n < 74:
		return r.raiseStart()
	case n < 79 && r.compacted >= 0:
		return r.compact()
	case n < 79:
		return r.retain()
	case n < 85:
		r.note("checkpoint")
		return r.allow(r.dir.checkpoint(r.rng.IntN(2) == 0))
	case n < 89:
		return r.checkReads()
	case n < 93:
		return r.badDisk()
	case n < 96:
		return r.cleanRestart()
	case n < 98:
		return r.kill()
	}
	r.note("crash")
	return r.reopen(r.mem.Crash(r.rng.Uint64()))
}

// allow passes unexpected errors on: those of an injected fault, or of a crash, are expected.
func (r *crashRun) allow(err error) error {
	if err == nil || r.crashed != nil || r.faults.Fired() > 0 || errors.Is(err, ErrNoSpace) || errors.Is(err, syscall.ENOSPC) {
		return nil
	}
	return err
}

func (r *crashRun) append() error {
	r.now = r.now.Add(time.Duration(r.rng.IntN(1000)) * time.Millisecond)
	p := &r.producers[r.rng.IntN(len(r.producers))]
	producer := &record.Producer{ID: p.id, Epoch: p.epoch, Sequence: p.sequence}
	switch r.rng.IntN(12) {
	case 0:
		producer.Epoch, producer.Sequence = p.epoch+1, 0
	case 1, 2, 3:
		producer = nil
	}
	b := r.build(producer, 1+r.rng.IntN(6))
	end := r.log.EndOffset()
	r.note("append %d bytes at %d, producer %+v", len(b), end, producer)
	var a Appended
	var err error
	if r.rng.IntN(6) == 0 {
		a, err = r.log.AppendReplica(r.asAppended(b, end))
	} else {
		a, err = r.log.Append(b, AppendOptions{LeaderEpoch: r.epoch, Now: r.now.UnixMilli()})
	}
	if err != nil {
		// A write that failed for want of space, or with the power, may still be found again.
		b = r.asAppended(b, end)
		if r.crashed != nil {
			r.enter(b)
		} else {
			r.refused = b
		}
		return r.allow(err)
	}
	if a.Duplicate || a.FirstOffset != end {
		return fmt.Errorf("append at %d answered %+v", end, a)
	}
	r.enter(b)
	return nil
}

// asAppended patches a batch as Append does before it writes.
func (r *crashRun) asAppended(b []byte, end int64) []byte {
	record.PatchOffsets(b, end, r.epoch)
	return b
}

func (r *crashRun) build(p *record.Producer, n int) []byte {
	b := record.NewBuilder(record.BuilderOptions{Producer: p})
	for range n {
		value := make([]byte, r.rng.IntN(60))
		for i := range value {
			value[i] = byte(r.rng.Uint32())
		}
		if r.compacted >= 0 && r.rng.IntN(4) == 0 {
			value = nil
		}
		b.Append(record.Record{Timestamp: r.now.UnixMilli() - int64(r.rng.IntN(5000)), Key: []byte{byte(r.rng.IntN(20))}, Value: value})
	}
	return slices.Clone(b.Bytes())
}

// enter adds an appended batch to the model.
func (r *crashRun) enter(b []byte) {
	h, _ := record.ReadHeader(b)
	r.m.batches = append(r.m.batches, modelBatch{h, slices.Clone(b)})
	r.m.end = h.NextOffset()
	r.setProducers()
}

// setProducers brings the clients' sequences to what the log has.
func (r *crashRun) setProducers() {
	for i := range r.producers {
		p := &r.producers[i]
		for _, b := range r.m.batches {
			if b.ProducerID == p.id {
				p.epoch, p.sequence = b.ProducerEpoch, record.AddSequence(b.LastSequence(), 1)
			}
		}
	}
}

// retry sends one of a producer's last batches again.
func (r *crashRun) retry() error {
	p := r.producers[r.rng.IntN(len(r.producers))]
	var last []modelBatch
	for _, b := range r.m.batches {
		if b.ProducerID == p.id {
			if len(last) > 0 && last[0].ProducerEpoch != b.ProducerEpoch {
				last = nil
			}
			last = append(last, b)
		}
	}
	if last = last[max(0, len(last)-rememberedBatches):]; len(last) == 0 {
		return nil
	}
	b := last[r.rng.IntN(len(last))]
	if r.compacted >= 0 {
		b = last[len(last)-1] // those before are perhaps compacted away, and then forgotten by a restart
	}
	if b.BaseOffset < r.log.StartOffset() {
		return nil // deleted, and perhaps forgotten
	}
	r.note("retry %d", b.BaseOffset)
	a, err := r.log.Append(slices.Clone(b.bytes), AppendOptions{LeaderEpoch: r.epoch, Now: r.now.UnixMilli()})
	if err != nil {
		return r.allow(err)
	}
	if !a.Duplicate || a.FirstOffset != b.BaseOffset || a.LastOffset != b.LastOffset() {
		return fmt.Errorf("retry of %d to %d answered %+v", b.BaseOffset, b.LastOffset(), a)
	}
	return nil
}

func (r *crashRun) flush() error {
	end := r.m.end
	r.note("flush to %d", end)
	if r.rng.IntN(2) == 0 {
		r.dir.flushQueue()
	} else if err := r.log.Flush(); err != nil {
		return r.allow(err)
	}
	flushed := r.log.FlushedOffset()
	if flushed == end && r.crashed == nil {
		r.refused = nil
	}
	if flushed != end && r.crashed == nil && r.faults.Fired() == 0 {
		return fmt.Errorf("flushed %d, want %d", flushed, end)
	}
	r.m.durable = max(r.m.durable, flushed)
	return nil
}

func (r *crashRun) truncate() error {
	start := r.log.StartOffset()
	to := max(start+r.rng.Int64N(r.m.end-start+1), r.compacted)
	r.note("truncate to %d of %d", to, r.m.end)
	keep := 0
	for keep < len(r.m.batches) && r.m.batches[keep].NextOffset() <= to {
		keep++
	}
	if keep < len(r.m.batches) {
		to = max(start, min(to, r.m.batches[keep].BaseOffset))
	}
	r.m.durable = min(r.m.durable, to)
	err := r.log.TruncateSuffix(to)
	if err == nil {
		r.refused = nil
		r.m.batches, r.m.end, r.m.durable = r.m.batches[:keep], to, to
		r.epoch = max(r.epoch+1, r.log.LatestEpoch())
		r.setProducers()
		if r.log.EndOffset() != to {
			return fmt.Errorf("truncated to %d, ends at %d", to, r.log.EndOffset())
		}
	}
	return r.allow(err)
}

func (r *crashRun) reset() error {
	to := r.rng.Int64N(r.m.end + 20)
	r.note("reset to %d", to)
	r.m.resetTo, r.m.durable, r.m.start, r.m.startMax = to, 0, 0, max(r.m.startMax, to)
	err := r.log.ResetTo(to)
	if err == nil {
		r.refused = nil
		r.m = model{durable: to, start: to, startMax: to, end: to, resetTo: -1}
		r.compacted = min(r.compacted, 0)
		r.renameProducers()
	}
	return r.allow(err)
}

// renameProducers makes new clients, to whom it is all the same what the log remembers of the old ones.
func (r *crashRun) renameProducers() {
	for i := range r.producers {
		r.producers[i] = modelProducer{id: r.producers[i].id + 10}
	}
}

func (r *crashRun) raiseStart() error {
	start := r.log.StartOffset()
	to := start + r.rng.Int64N(r.m.durable-min(start, r.m.durable)+1)
	r.note("start at %d", to)
	r.m.startMax = max(r.m.startMax, to)
	err := r.log.SetStartOffset(to)
	if err == nil {
		r.m.start = max(r.m.start, to)
	}
	return r.allow(err)
}

func (r *crashRun) compact() error {
	r.note("compaction")
	r.compacted = max(r.compacted, r.log.FlushedOffset())
	return r.allow(r.log.compact())
}

func (r *crashRun) retain() error {
	r.note("retention")
	r.m.startMax = max(r.m.startMax, r.m.durable)
	err := r.dir.retain()
	if err == nil && r.crashed == nil {
		r.m.start = r.log.StartOffset()
		r.m.startMax = r.m.start
	}
	return r.allow(errors.Join(err, r.dir.removeDoomed()))
}

// badDisk injects a full disk or a failing sync into one operation.
func (r *crashRun) badDisk() error {
	if r.rng.IntN(2) == 0 {
		r.note("full disk")
		r.faults.Add(vfs.Rule{Match: func(op vfs.Op, name string) bool { return op == vfs.OpWrite },
			Fault: vfs.Fault{Err: syscall.ENOSPC, Keep: r.rng.IntN(100)}})
	} else {
		r.note("failing sync")
		r.faults.Add(vfs.Rule{Match: func(op vfs.Op, name string) bool { return op == vfs.OpSync }, From: 1 + r.rng.IntN(2), Times: 1,
			Fault: vfs.Fault{Err: syscall.EIO, LoseDirty: true}})
	}
	var err error
	switch r.rng.IntN(5) {
	case 0, 1:
		err = r.append()
	case 2:
		err = r.truncate()
	case 3:
		err = r.allow(r.dir.checkpoint(true))
	default:
		err = r.flush()
	}
	if err == nil && r.crashed == nil && r.log.Err() == nil && r.log.EndOffset() != r.m.end {
		err = fmt.Errorf("end %d after a fault, want %d", r.log.EndOffset(), r.m.end)
	}
	return err
}

func (r *crashRun) cleanRestart() error {
	r.note("clean restart")
	err := r.dir.Close()
	if r.crashed != nil {
		return nil
	}
	if err != nil {
		return r.allow(err)
	}
	r.m.durable = r.m.end
	if r.rng.IntN(2) == 0 {
		if err := r.checkFlips(); err != nil {
			return err
		}
	}
	return r.reopen(r.mem.Kill())
}

// kill ends the process and keeps what the kernel has.
func (r *crashRun) kill() error {
	r.note("kill")
	return r.reopen(r.mem.Kill())
}

// reopen recovers on the disk that a crash has left, itself crashing now and then, and compares.
func (r *crashRun) reopen(mem *vfs.Mem) error {
	for {
		if r.crashed != nil {
			mem, r.crashed = r.crashed, nil
		}
		r.mem = mem
		if r.rng.IntN(4) == 0 {
			r.faults = vfs.Inject(r.mem)
			r.armCrash(1 + r.rng.IntN(60))
			err := r.openOn()
			if r.crashed != nil {
				continue
			}
			if err != nil {
				return err
			}
			r.faults.Clear()
			return r.settle()
		}
		return r.open()
	}
}

func (r *crashRun) open() error {
	r.faults = vfs.Inject(r.mem)
	if err := r.openOn(); err != nil {
		return err
	}
	return r.settle()
}

func (r *crashRun) openOn() error {
	d, err := OpenDir(DirConfig{FS: r.faults, Path: "data", NodeID: 1, manual: true, Now: func() time.Time { return r.now }})
	if err != nil {
		return err
	}
	r.dir = d
	r.log, err = d.Open(testTP, testID, r.config, Hooks{})
	return err
}

// settle compares the recovered log with the model, and the model takes over how much is left.
func (r *crashRun) settle() error {
	start, end := r.log.StartOffset(), r.log.EndOffset()
	r.note("recovered %d to %d, durable %d", start, end, r.m.durable)
	if r.log.FlushedOffset() != end {
		return fmt.Errorf("recovered up to %d, flushed %d", end, r.log.FlushedOffset())
	}
	resetting := r.m.resetTo >= 0
	if resetting {
		if start == end && (end == r.m.resetTo || end == r.m.start || end == r.m.startMax) {
			r.m = model{durable: end, start: end, startMax: end, end: end}
			r.compacted = min(r.compacted, 0)
		} else if r.m.end < end {
			return fmt.Errorf("reset to %d, crashed, recovered %d to %d", r.m.resetTo, start, end)
		}
		r.m.resetTo = -1
		r.renameProducers()
	}
	if err := r.takeRefused(end); err != nil {
		return err
	}
	r.refused = nil
	if r.compacted >= 0 {
		r.compacted = min(r.compacted, end)
	}
	if end < r.m.durable || end > r.m.end {
		return fmt.Errorf("recovered up to %d, must be within [%d, %d]", end, r.m.durable, r.m.end)
	}
	if start < r.m.start || start > r.m.startMax {
		return fmt.Errorf("recovered start %d, must be within [%d, %d]", start, r.m.start, r.m.startMax)
	}
	keep := 0
	for keep < len(r.m.batches) && r.m.batches[keep].NextOffset() <= end {
		keep++
	}
	r.m.batches = r.m.batches[:keep]
	if resetting && r.compacted >= 0 { // what superseded a record may be gone, and the record was before
		var err error
		if r.m.batches, err = r.left(r.log); err != nil {
			return err
		}
	}
	r.m.end, r.m.durable, r.m.start, r.m.startMax = end, end, start, start
	r.setProducers()
	r.epoch = max(r.epoch, r.log.LatestEpoch()) + 1
	if err := r.log.StartEpoch(r.epoch); err != nil {
		return err
	}
	return r.check(r.log)
}

// takeRefused lets the model have a refused batch that the crash has brought back in the place of unsynced ones.
func (r *crashRun) takeRefused(end int64) error {
	h, err := record.ReadHeader(r.refused)
	if err != nil || h.NextOffset() != end || h.BaseOffset < r.m.durable {
		return nil
	}
	for b, err := range r.log.Batches(h.BaseOffset) {
		if err != nil {
			return err
		}
		if !bytes.Equal(b, r.refused) {
			return nil
		}
	}
	r.m.batches = slices.DeleteFunc(r.m.batches, func(b modelBatch) bool { return b.NextOffset() > h.BaseOffset })
	r.enter(r.refused)
	return nil
}

// check compares everything that can be asked.
func (r *crashRun) check(l *Log) error {
	want := r.m.from(l.StartOffset())
	if r.compacted >= 0 {
		if err := r.checkCompacted(l); err != nil {
			return err
		}
		return r.checkProducers(l, want)
	}
	got := 0
	for b, err := range l.Batches(l.StartOffset()) {
		if err != nil {
			return err
		}
		if got == len(want) || !bytes.Equal(b, want[got].bytes) {
			h, _ := record.ReadHeader(b)
			return fmt.Errorf("batch %d is not what was appended: %+v", got, h)
		}
		got++
	}
	if got != len(want) {
		return fmt.Errorf("%d batches, want %d", got, len(want))
	}
	for _, b := range want {
		if epoch := l.EpochAt(max(b.BaseOffset, l.StartOffset())); epoch != b.LeaderEpoch {
			return fmt.Errorf("epoch %d at offset %d, want %d", epoch, b.BaseOffset, b.LeaderEpoch)
		}
	}
	return r.checkProducers(l, want)
}

// checkCompacted compares record by record: what is there must be what was written, and the last value of each key must
// be there.
func (r *crashRun) checkCompacted(l *Log) error {
	written, last := map[int64]record.Record{}, map[string]int64{}
	for _, b := range r.m.batches {
		for rec, err := range record.Records(b.bytes, 1<<20) {
			if err != nil {
				return err
			}
			written[rec.Offset], last[string(rec.Key)] = rec, rec.Offset
		}
	}
	there := map[int64]bool{}
	for b, err := range l.Batches(l.StartOffset()) {
		if err != nil {
			return err
		}
		h, _ := record.ReadHeader(b)
		if epoch := l.EpochAt(max(h.BaseOffset, l.StartOffset())); epoch != h.LeaderEpoch {
			return fmt.Errorf("epoch %d at offset %d, want %d", epoch, h.BaseOffset, h.LeaderEpoch)
		}
		for rec, err := range record.Records(b, 1<<20) {
			if err != nil {
				return err
			}
			want, ok := written[rec.Offset]
			if !ok || there[rec.Offset] || !bytes.Equal(rec.Key, want.Key) || !bytes.Equal(rec.Value, want.Value) ||
				(rec.Value == nil) != (want.Value == nil) || rec.Timestamp != want.Timestamp || rec.Sequence != want.Sequence {
				return fmt.Errorf("record %+v, want %+v", rec, want)
			}
			there[rec.Offset] = true
		}
	}
	for offset, rec := range written {
		newest := last[string(rec.Key)] == offset
		if offset >= l.StartOffset() && !there[offset] && (offset >= r.compacted || newest && rec.Value != nil) {
			return fmt.Errorf("record %d of key %x is gone", offset, rec.Key)
		}
	}
	return nil
}

// left returns the batches that must be readable: the model's, or what a compacted log has.
func (r *crashRun) left(l *Log) ([]modelBatch, error) {
	if r.compacted < 0 {
		return r.m.from(l.StartOffset()), nil
	}
	var left []modelBatch
	for b, err := range l.Batches(l.StartOffset()) {
		if err != nil {
			return nil, err
		}
		h, _ := record.ReadHeader(b)
		left = append(left, modelBatch{h, slices.Clone(b)})
	}
	return left, nil
}

func (m *model) from(start int64) []modelBatch {
	i, _ := slices.BinarySearchFunc(m.batches, start, func(b modelBatch, start int64) int {
		if b.LastOffset() < start {
			return -1
		}
		return 1
	})
	return m.batches[i:]
}

// checkProducers compares the producer state with a replay. A producer whose records are all deleted may be forgotten.
func (r *crashRun) checkProducers(l *Log, left []modelBatch) error {
	var replayed producers
	for i := range r.m.batches {
		replayed.apply(&r.m.batches[i].Header, 0)
	}
	got := l.Producers()
	for _, p := range replayed.states() {
		i := slices.IndexFunc(got, func(s ProducerState) bool { return s.ID == p.ID })
		if i < 0 && slices.ContainsFunc(left, func(b modelBatch) bool { return b.ProducerID == p.ID }) {
			return fmt.Errorf("producer %d is forgotten", p.ID)
		}
		if i >= 0 && r.compacted >= 0 {
			got[i].LastTimestamp = p.LastTimestamp // the youngest record may be gone
		}
		if i >= 0 && got[i] != p {
			return fmt.Errorf("producer %+v, want %+v", got[i], p)
		}
	}
	return nil
}

// checkReads asks for single offsets and timestamps, which go by the indexes.
func (r *crashRun) checkReads() error {
	err := r.checkIndexes(r.log)
	return r.allow(err)
}

func (r *crashRun) checkIndexes(l *Log) error {
	start := l.StartOffset()
	left, err := r.left(l)
	if err != nil || len(left) == 0 {
		return err
	}
	for range 5 {
		want := left[r.rng.IntN(len(left))]
		offset := max(start, want.BaseOffset+r.rng.Int64N(int64(want.LastOffsetDelta)+1))
		c, err := l.Read(offset, 1+r.rng.IntN(500), l.EndOffset(), true)
		if err != nil {
			return err
		}
		b, err := c.AppendTo(nil)
		c.Release()
		if err != nil {
			return err
		}
		if !bytes.HasPrefix(b, want.bytes) {
			return fmt.Errorf("read of offset %d does not begin with batch %d", offset, want.BaseOffset)
		}
		ts := want.BaseTimestamp + r.rng.Int64N(3000) - 1500
		offset, _, _, found, err := l.OffsetForTimestamp(ts, l.EndOffset())
		if err != nil {
			return err
		}
		if wanted, ok := firstAtLeast(left, ts, start); ok != found || found && wanted != offset {
			return fmt.Errorf("timestamp %d is at offset %d (%v), want %d (%v)", ts, offset, found, wanted, ok)
		}
	}
	return nil
}

func firstAtLeast(batches []modelBatch, ts, start int64) (int64, bool) {
	for _, b := range batches {
		for rec, err := range record.Records(b.bytes, 1<<20) {
			if err != nil {
				panic(err)
			}
			if rec.Timestamp >= ts && rec.Offset >= start {
				return rec.Offset, true
			}
		}
	}
	return 0, false
}

// checkFlips turns one bit of one file of a copy of the cleanly stopped directory. The log must then answer as before or
// refuse; it must not answer anything else.
func (r *crashRun) checkFlips() error {
	mem := vfs.NewMem()
	var files []string
	if err := copyTree(mem, r.mem, "data", &files); err != nil {
		return err
	}
	name := files[r.rng.IntN(len(files))]
	if r.compacted >= 0 && strings.HasSuffix(name, logSuffix) {
		return nil // a base offset lies outside of all checksums, and may move into a gap that compaction left
	}
	if err := flipBit(mem, name, r.rng); err != nil {
		return err
	}
	r.note("one bit of %s", name)
	d, err := OpenDir(DirConfig{FS: mem, Path: "data", NodeID: 1, manual: true, Now: func() time.Time { return r.now }})
	if err != nil {
		return onlyRefused(err)
	}
	l, err := d.Open(testTP, testID, r.config, Hooks{})
	if err != nil {
		return onlyRefused(err)
	}
	switch path.Base(name) {
	case partitionMetaFile: // a folder of another topic, for all that one can know
		return nil
	case logStartFile: // has no redundancy; what is shown must be right all the same
		return onlyRefused(r.checkIndexes(l))
	}
	if err := onlyRefused(r.check(l)); err != nil {
		return fmt.Errorf("bit flip in %s: %w", name, err)
	}
	if err := onlyRefused(r.checkIndexes(l)); err != nil {
		return fmt.Errorf("bit flip in %s: %w", name, err)
	}
	return nil
}

func onlyRefused(err error) error {
	if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrFormat) || errors.Is(err, ErrForeignCluster) {
		return nil
	}
	return err
}

func flipBit(mem *vfs.Mem, name string, rng *rand.Rand) error {
	b, err := vfs.ReadFile(mem, name, 1<<30)
	if err != nil || len(b) == 0 {
		return err
	}
	b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
	return vfs.WriteFileAtomic(mem, name, b)
}

func copyTree(to *vfs.Mem, from vfs.FS, dir string, files *[]string) error {
	if err := to.MkdirAll(dir); err != nil {
		return err
	}
	names, err := from.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		full := path.Join(dir, name)
		info, err := from.Stat(full)
		if err != nil {
			return err
		}
		if info.Dir {
			if err := copyTree(to, from, full, files); err != nil {
				return err
			}
			continue
		}
		b, err := vfs.ReadFile(from, full, 1<<30)
		if err != nil {
			return err
		}
		if err := vfs.WriteFileAtomic(to, full, b); err != nil {
			return err
		}
		*files = append(*files, full)
	}
	return nil
}

func (r *crashRun) stopAndCheck() error {
	if err := r.check(r.log); err != nil {
		return err
	}
	if err := r.cleanRestart(); err != nil {
		return err
	}
	if r.crashed != nil {
		return nil
	}
	return r.checkIndexes(r.log)
}
