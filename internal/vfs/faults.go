package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"
)

// Op is a kind of call that a Rule can pick.
type Op uint8

// The calls of FS and File.
const (
	OpOpen   Op = iota // OpenFile of a file that is there, or without os.O_CREATE
	OpCreate           // OpenFile with os.O_CREATE of a file that is not
	OpRead
	OpWrite
	OpTruncate
	OpAllocate
	OpSync
	OpClose
	OpRemove
	OpRemoveAll
	OpRename // by its new name
	OpMkdir
	OpList
	OpStat // Stat and Size
	OpSyncDir
	OpLock
	OpFree
)

var opNames = [...]string{"open", "create", "read", "write", "truncate", "allocate", "sync", "close", "remove", "removeall",
	"rename", "mkdir", "list", "stat", "syncdir", "lock", "free"}

func (op Op) String() string {
	if int(op) < len(opNames) {
		return opNames[op]
	}
	return fmt.Sprintf("op(%d)", uint8(op))
}

// Rule picks calls and says what happens to them.
type Rule struct {
	// Match picks calls by kind and name. Nil picks all.
	Match func(op Op, name string) bool
	// From is the first picked call, counted from 1, to which the fault happens; 0 is 1.
	From int
	// Times is to how many calls it happens; 0 is all from the first on.
	Times int
	Fault
}

// Fault is what happens to a call. The zero Fault does nothing.
type Fault struct {
	// Before runs first, without any lock: it may wait, count, or crash the Mem below.
	Before func()
	// Err is returned. Nil: the call goes through.
	Err error
	// Keep is how many bytes a read or a write with an Err still moves: a short one.
	Keep int
	// LoseDirty makes a failing Sync of a Mem's file mark its pages clean, as Linux does: a later Sync succeeds, and a
	// crash loses what the file got before the failure.
	LoseDirty bool
	// FlipBit, if not 0, turns bit FlipBit-1 of what a read returns, counted from its first byte, modulo its length.
	FlipBit int
}

// NoSpace is a full disk, from the given picked call on.
func NoSpace(op Op, name string, from int) Rule {
	return Rule{Match: Exactly(op, name), From: from, Fault: Fault{Err: syscall.ENOSPC}}
}

// BadSync fails one Sync of a file as Linux does, see Fault.LoseDirty.
func BadSync(name string, from int) Rule {
	return Rule{Match: Exactly(OpSync, name), From: from, Times: 1, Fault: Fault{Err: syscall.EIO, LoseDirty: true}}
}

// Exactly picks one kind of call on one name, or on every name if that is "".
func Exactly(op Op, name string) func(Op, string) bool {
	return func(o Op, n string) bool { return o == op && (name == "" || clean(n) == clean(name)) }
}

// Faults passes calls on to another FS, but for those that its rules pick. Rules count the calls in the order in which
// they arrive; a call meets the fault of the first rule that is due.
type Faults struct {
	fs    FS
	mu    sync.Mutex
	rules []*rule
}

type rule struct {
	Rule
	seen, fired int
}

// Inject returns a wrapper around fsys.
func Inject(fsys FS, rules ...Rule) *Faults {
	f := &Faults{fs: fsys}
	f.Add(rules...)
	return f
}

// Add adds rules after those that are there. Files opened before are subject to them as well.
func (f *Faults) Add(rules ...Rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range rules {
		f.rules = append(f.rules, &rule{Rule: r})
	}
}

// Clear removes all rules: the disk is well again.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
}

// Fired returns how many calls have met a fault of the rules that are in force.
func (f *Faults) Fired() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, r := range f.rules {
		n += r.fired
	}
	return n
}

// meet returns the fault of a call, after its Before.
func (f *Faults) meet(op Op, name string) Fault {
	fault := f.due(op, name)
	if fault.Before != nil {
		fault.Before()
	}
	if fault.Err != nil {
		fault.Err = &fs.PathError{Op: op.String(), Path: name, Err: fault.Err}
	}
	return fault
}

func (f *Faults) due(op Op, name string) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	var fault Fault
	found := false
	for _, r := range f.rules {
		if r.Match != nil && !r.Match(op, name) {
			continue
		}
		r.seen++
		if found || r.seen < max(r.From, 1) || r.Times > 0 && r.fired >= r.Times {
			continue
		}
		r.fired++
		fault, found = r.Fault, true
	}
	return fault
}

func (f *Faults) OpenFile(name string, flag int) (File, error) {
	op := OpOpen
	if flag&os.O_CREATE != 0 {
		if _, err := f.fs.Stat(name); errors.Is(err, fs.ErrNotExist) {
			op = OpCreate
		}
	}
	if err := f.meet(op, name).Err; err != nil {
		return nil, err
	}
	file, err := f.fs.OpenFile(name, flag)
	if err != nil {
		return nil, err
	}
	return &faultyFile{File: file, faults: f, name: name}, nil
}

func (f *Faults) Remove(name string) error {
	if err := f.meet(OpRemove, name).Err; err != nil {
		return err
	}
	return f.fs.Remove(name)
}

func (f *Faults) RemoveAll(name string) error {
	if err := f.meet(OpRemoveAll, name).Err; err != nil {
		return err
	}
	return f.fs.RemoveAll(name)
}

func (f *Faults) Rename(oldname, newname string) error {
	if err := f.meet(OpRename, newname).Err; err != nil {
		return err
	}
	return f.fs.Rename(oldname, newname)
}

func (f *Faults) MkdirAll(dir string) error {
	if err := f.meet(OpMkdir, dir).Err; err != nil {
		return err
	}
	return f.fs.MkdirAll(dir)
}

func (f *Faults) List(dir string) ([]string, error) {
	if err := f.meet(OpList, dir).Err; err != nil {
		return nil, err
	}
	return f.fs.List(dir)
}

func (f *Faults) Stat(name string) (Info, error) {
	if err := f.meet(OpStat, name).Err; err != nil {
		return Info{}, err
	}
	return f.fs.Stat(name)
}

func (f *Faults) SyncDir(dir string) error {
	if err := f.meet(OpSyncDir, dir).Err; err != nil {
		return err
	}
	return f.fs.SyncDir(dir)
}

func (f *Faults) Lock(name string) (io.Closer, error) {
	if err := f.meet(OpLock, name).Err; err != nil {
		return nil, err
	}
	return f.fs.Lock(name)
}

func (f *Faults) Free(dir string) (int64, error) {
	if err := f.meet(OpFree, dir).Err; err != nil {
		return 0, err
	}
	return f.fs.Free(dir)
}

type faultyFile struct {
	File
	faults *Faults
	name   string
}

func (f *faultyFile) ReadAt(b []byte, offset int64) (int, error) {
	fault := f.faults.meet(OpRead, f.name)
	if fault.Err != nil {
		n, _ := f.File.ReadAt(b[:min(fault.Keep, len(b))], offset)
		return n, fault.Err
	}
	n, err := f.File.ReadAt(b, offset)
	if fault.FlipBit > 0 && n > 0 {
		bit := (fault.FlipBit - 1) % (n * 8)
		b[bit/8] ^= 1 << (bit % 8)
	}
	return n, err
}

func (f *faultyFile) WriteAt(b []byte, offset int64) (int, error) {
	fault := f.faults.meet(OpWrite, f.name)
	if fault.Err != nil {
		n, _ := f.File.WriteAt(b[:min(fault.Keep, len(b))], offset)
		return n, fault.Err
	}
	return f.File.WriteAt(b, offset)
}

func (f *faultyFile) Truncate(size int64) error {
	if err := f.faults.meet(OpTruncate, f.name).Err; err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *faultyFile) Allocate(offset, length int64) error {
	if err := f.faults.meet(OpAllocate, f.name).Err; err != nil {
		return err
	}
	return f.File.Allocate(offset, length)
}

func (f *faultyFile) Sync() error {
	fault := f.faults.meet(OpSync, f.name)
	if fault.Err == nil {
		return f.File.Sync()
	}
	if mem, ok := f.File.(*memFile); ok && fault.LoseDirty {
		mem.loseDirty()
	}
	return fault.Err
}

func (f *faultyFile) Size() (int64, error) {
	if err := f.faults.meet(OpStat, f.name).Err; err != nil {
		return 0, err
	}
	return f.File.Size()
}

// Close closes the file in any case, as a close that fails does.
func (f *faultyFile) Close() error {
	fault := f.faults.meet(OpClose, f.name)
	return errors.Join(fault.Err, f.File.Close())
}
