package commitlog

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/logbahn/logbahn/internal/vfs"
)

// The crash model: random operations on the logs of one directory, on a disk that loses power at random calls, against a
// slice of batches for each that says what must be there. Now and then a file is damaged while the directory is closed.
// LOGBAHN_CRASH_SEEDS=from:to chooses the seeds (to is not run); a failure prints its own.

const (
	crashSeedsDefault = 300
	crashOpsMax       = 60
	crashLogsMax      = 3
)

func TestCrashModel(t *testing.T) {
	from, to := crashSeeds(t, crashSeedsDefault)
	start := time.Now()
	for seed := from; seed < to; seed++ {
		if err := runCrashModel(seed); err != nil {
			t.Fatalf("seed %d: %v\nagain: LOGBAHN_CRASH_SEEDS=%d:%d go test -run TestCrashModel ./internal/commitlog",
				seed, err, seed, seed+1)
		}
	}
	t.Logf("seeds %d to %d: %.0f per second", from, to, float64(to-from)/time.Since(start).Seconds())
}

func crashSeeds(t *testing.T, otherwise uint64) (from, to uint64) {
	env := os.Getenv("LOGBAHN_CRASH_SEEDS")
	if env == "" {
		return 0, otherwise
	}
	a, b, ok := strings.Cut(env, ":")
	from, err1 := strconv.ParseUint(a, 10, 64)
	to, err2 := strconv.ParseUint(b, 10, 64)
	if !ok || err1 != nil || err2 != nil {
		t.Fatalf("LOGBAHN_CRASH_SEEDS=%q is not from:to", env)
	}
	return from, to
}

// crashRun is one seed.
type crashRun struct {
	rng     *rand.Rand
	mode    FlushMode
	mem     *vfs.Mem
	faults  *vfs.Faults
	dir     *Dir
	now     time.Time
	logs    []*crashLog
	topics  int
	crashed *vfs.Mem // the disk after a crash that came in the middle of something
	lossy   bool     // the last crash was a power loss
	harmed  bool     // a file was damaged, and the directory was not opened since
	trace   []string
}

func runCrashModel(seed uint64) (err error) {
	r := &crashRun{rng: rand.New(rand.NewPCG(seed, 77)), mem: vfs.NewMem(), now: time.UnixMilli(1_700_000_000_000)}
	if r.rng.IntN(4) == 0 {
		r.mode = FlushOS
	}
	for i := range 1 + r.rng.IntN(crashLogsMax) {
		r.logs = append(r.logs, newCrashLog(r, int32(i)))
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
	return r.tendFailed()
}

// tendFailed opens a log again that has failed, in the same directory or after the end of the process.
func (r *crashRun) tendFailed() error {
	for _, l := range r.logs {
		if l.log == nil || l.log.Err() == nil {
			continue
		}
		l.note("failed: %v", l.log.Err())
		if r.rng.IntN(2) == 0 {
			return r.kill()
		}
		if err := l.log.Close(); !errors.Is(err, ErrStorage) {
			return fmt.Errorf("a failed log was closed: %w", err)
		}
		l.log = nil
	}
	return nil
}

// armCrash lets the power fail, or the process end, before the n-th call from now.
func (r *crashRun) armCrash(n int) {
	seed, mem, lossy := r.rng.Uint64(), r.mem, r.rng.IntN(5) > 0
	r.note("crash at call %d", n)
	r.faults.Add(vfs.Rule{From: n, Times: 1, Fault: vfs.Fault{Before: func() {
		if r.lossy = lossy; lossy {
			r.crashed = mem.Crash(seed)
		} else {
			r.crashed = mem.Kill()
		}
	}}})
}

func (r *crashRun) operate() error {
	switch n := r.rng.IntN(100); {
	case n < 4:
		return r.retain()
	case n < 10:
		r.note("checkpoint")
		return r.allow(r.dir.checkpoint(r.rng.IntN(2) == 0))
	case n < 11:
		r.note("sweep")
		r.dir.sweepLogs()
		return nil
	case n < 13:
		return r.cleanRestart()
	case n < 15:
		return r.kill()
	case n < 17:
		r.note("crash")
		r.lossy = true
		return r.reopen(r.mem.Crash(r.rng.Uint64()))
	}
	l := r.logs[r.rng.IntN(len(r.logs))]
	if l.log != nil {
		return l.operate()
	}
	if err := l.openOn(); err != nil || r.crashed != nil {
		return l.allow(err)
	}
	return l.settle()
}

// allow passes unexpected errors on: those of an injected fault, or of a crash, are expected.
func (r *crashRun) allow(err error) error {
	if err == nil || r.crashed != nil || r.faults.Fired() > 0 || errors.Is(err, ErrNoSpace) || errors.Is(err, syscall.ENOSPC) {
		return nil
	}
	return err
}

func (r *crashRun) retain() error {
	r.note("retention")
	for _, l := range r.logs {
		if l.log != nil {
			l.m.startMax = max(l.m.startMax, l.log.FlushedOffset())
		}
	}
	err := r.dir.retain()
	if err == nil && r.crashed == nil {
		for _, l := range r.logs {
			if l.log != nil {
				l.m.start = l.log.StartOffset()
				l.m.startMax, l.m.durable = l.m.start, max(l.m.durable, l.m.start)
			}
		}
	}
	return r.allow(errors.Join(err, r.dir.deleteAgain(), r.dir.removeDoomed()))
}

// badDisk injects a full disk or a failing sync into one operation.
func (r *crashLog) badDisk() error {
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
	switch r.rng.IntN(6) {
	case 0, 1:
		err = r.append()
	case 2:
		err = r.truncate()
	case 3:
		err = r.allow(r.dir.checkpoint(true))
	case 4:
		return r.recreate()
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
	for _, l := range r.logs {
		if l.log != nil {
			l.m.durable, l.m.written = l.m.end, l.m.end
		}
	}
	mem := r.mem.Kill()
	r.lossy = false
	if r.rng.IntN(2) == 0 && r.allOpen() {
		if err := r.checkFlips(mem); err != nil {
			return err
		}
	}
	return r.reopen(mem)
}

func (r *crashRun) allOpen() bool {
	for _, l := range r.logs {
		if l.log == nil {
			return false
		}
	}
	return true
}

// kill ends the process and keeps what the kernel has.
func (r *crashRun) kill() error {
	r.note("kill")
	r.lossy = false
	return r.reopen(r.mem.Kill())
}

// reopen recovers on the disk that a crash has left, itself crashing now and then, and compares.
func (r *crashRun) reopen(mem *vfs.Mem) error {
	for {
		if r.crashed != nil {
			mem, r.crashed = r.crashed, nil
		}
		for _, l := range r.logs {
			if r.lossy {
				l.m.written = l.m.durable
			}
		}
		r.mem = mem
		if err := r.harm(); err != nil {
			return err
		}
		if r.rng.IntN(4) > 0 {
			return r.open()
		}
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
}

func (r *crashRun) open() error {
	r.faults = vfs.Inject(r.mem)
	if err := r.openOn(); err != nil {
		return err
	}
	return r.settle()
}

// openOn opens the directory and most logs. Others are opened later, and some have been deleted meanwhile.
func (r *crashRun) openOn() error {
	d, err := openCrashed(r.faults, r)
	if err != nil {
		return err
	}
	r.dir, r.harmed = d, false
	for _, l := range r.logs {
		l.log = nil
		switch r.rng.IntN(30) {
		case 0:
			l.note("deleted while away")
			l.renew()
		case 1:
			l.note("set aside")
			l.renew()
			if err := d.SetAside(l.tp); err != nil {
				return err
			}
		}
		if err := l.openOn(); err != nil {
			return err
		}
	}
	return nil
}

func openCrashed(fsys vfs.FS, r *crashRun) (*Dir, error) {
	return OpenDir(DirConfig{FS: fsys, Path: "data", NodeID: 1, Flush: r.mode, manual: true, Now: func() time.Time { return r.now }})
}

func (r *crashRun) settle() error {
	for _, l := range r.logs {
		if l.log == nil {
			continue
		}
		if err := l.settle(); err != nil {
			return fmt.Errorf("%s: %w", l.tp, err)
		}
	}
	return nil
}

func (r *crashRun) stopAndCheck() error {
	for _, l := range r.logs {
		if l.log == nil {
			continue
		}
		if err := l.check(l.log); err != nil {
			return fmt.Errorf("%s: %w", l.tp, err)
		}
	}
	if err := r.cleanRestart(); err != nil || r.crashed != nil {
		return err
	}
	for _, l := range r.logs {
		if l.log == nil {
			continue
		}
		if err := l.checkIndexes(l.log); err != nil {
			return fmt.Errorf("%s: %w", l.tp, err)
		}
	}
	return nil
}
