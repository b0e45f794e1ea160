package vfs_test

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/logbahn/logbahn/internal/vfs"
	"github.com/logbahn/logbahn/internal/vfs/vfstest"
)

func open(t testing.TB, fsys vfs.FS, name string) vfs.File {
	t.Helper()
	f, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func write(t testing.TB, f vfs.File, content string, offset int64) {
	t.Helper()
	if _, err := f.WriteAt([]byte(content), offset); err != nil {
		t.Fatal(err)
	}
}

func sync(t testing.TB, s ...interface{ Sync() error }) {
	t.Helper()
	for _, f := range s {
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
	}
}

func syncDir(t testing.TB, fsys vfs.FS, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		if err := fsys.SyncDir(dir); err != nil {
			t.Fatal(err)
		}
	}
}

// content is what a file holds, or "gone".
func content(t testing.TB, fsys vfs.FS, name string) string {
	t.Helper()
	b, err := vfs.ReadFile(fsys, name, 1<<30)
	if errors.Is(err, fs.ErrNotExist) {
		return "gone"
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// outcomes crashes what build makes with many seeds and returns how often show saw what.
func outcomes(t *testing.T, build func(m *vfs.Mem), show func(m *vfs.Mem) string) map[string]int {
	seen := make(map[string]int)
	for seed := range uint64(2000) {
		m := vfs.NewMem()
		build(m)
		seen[show(m.Crash(seed))]++
	}
	return seen
}

func wantOutcomes(t *testing.T, seen map[string]int, want ...string) {
	t.Helper()
	for _, w := range want {
		if seen[w] == 0 {
			t.Errorf("2000 seeds never gave %q", w)
		}
		delete(seen, w)
	}
	for got := range seen {
		t.Errorf("some seed gave %q", got)
	}
}

func TestCrashKeepsWhatWasSynced(t *testing.T) {
	seen := outcomes(t, func(m *vfs.Mem) {
		vfstest.Write(t, m, "d/f", "old")
		f := open(t, m, "d/f")
		write(t, f, "new", 0)
		sync(t, f)
		syncDir(t, m, ".", "d")
	}, func(m *vfs.Mem) string { return content(t, m, "d/f") })
	wantOutcomes(t, seen, "new")
}

func TestCrashReordersAndTears(t *testing.T) {
	seen := outcomes(t, func(m *vfs.Mem) {
		f := open(t, m, "f")
		write(t, f, "..", 0)
		sync(t, f)
		syncDir(t, m, ".")
		write(t, f, "ab", 0)
		write(t, f, "cd", 2)
	}, func(m *vfs.Mem) string { return content(t, m, "f") })
	for _, want := range []string{
		"..",           // all lost
		"abcd",         // all kept
		"ab",           // a prefix
		"a.",           // torn
		"abc",          // the last one torn
		"..cd",         // the later one kept, the earlier one lost
		"..\x00\x00",   // the size kept, the bytes lost
		"ab\x00\x00",   // the same for the last
		"ab\x00d",      // the front of the last one lost
		".bcd", "a.cd", // the earlier one torn
	} {
		if seen[want] == 0 {
			t.Errorf("2000 seeds never gave %q", want)
		}
	}
	for got := range seen {
		for i, b := range []byte(got) {
			if b != "abcd"[i] && b != "..\x00\x00"[i] {
				t.Fatalf("some seed invented %q", got)
			}
		}
	}
}

func TestCrashTearsSectors(t *testing.T) {
	pattern := func(m *vfs.Mem) string {
		b := content(t, m, "f")
		var kept []byte
		for len(b) > 0 {
			sector := b[:min(512, len(b))]
			switch {
			case strings.Trim(sector, "x") == "":
				kept = append(kept, 'x')
			case strings.Trim(sector, "\x00") == "":
				kept = append(kept, '-')
			default:
				kept = append(kept, '?')
			}
			b = b[len(sector):]
		}
		return string(kept)
	}
	seen := outcomes(t, func(m *vfs.Mem) {
		f := open(t, m, "f")
		syncDir(t, m, ".")
		write(t, f, strings.Repeat("x", 4*512), 0)
	}, pattern)
	for _, want := range []string{"", "xxxx", "x-x-", "-x-x", "x", "----", "x--x"} {
		if seen[want] == 0 {
			t.Errorf("2000 seeds never gave sectors %q", want)
		}
	}
}

func TestCrashAndSizes(t *testing.T) {
	cut := outcomes(t, func(m *vfs.Mem) {
		vfstest.Write(t, m, "f", "0123456789")
		f := open(t, m, "f")
		sync(t, f)
		syncDir(t, m, ".")
		if err := f.Truncate(4); err != nil {
			t.Fatal(err)
		}
	}, func(m *vfs.Mem) string { return content(t, m, "f") })
	wantOutcomes(t, cut, "0123", "0123456789")
	grown := outcomes(t, func(m *vfs.Mem) {
		f := open(t, m, "f")
		syncDir(t, m, ".")
		if err := f.Truncate(3); err != nil {
			t.Fatal(err)
		}
	}, func(m *vfs.Mem) string { return content(t, m, "f") })
	wantOutcomes(t, grown, "", "\x00\x00\x00")
}

func TestCrashDropsNames(t *testing.T) {
	created := outcomes(t, func(m *vfs.Mem) {
		f := open(t, m, "f")
		write(t, f, "x", 0)
		sync(t, f)
	}, func(m *vfs.Mem) string { return content(t, m, "f") })
	wantOutcomes(t, created, "x", "gone")

	removed := outcomes(t, func(m *vfs.Mem) {
		vfstest.Write(t, m, "f", "")
		syncDir(t, m, ".")
		if err := m.Remove("f"); err != nil {
			t.Fatal(err)
		}
	}, func(m *vfs.Mem) string { return content(t, m, "f") })
	wantOutcomes(t, removed, "", "gone")

	inNewDir := outcomes(t, func(m *vfs.Mem) {
		vfstest.Write(t, m, "a/b/f", "")
		syncDir(t, m, "a/b", "a")
	}, func(m *vfs.Mem) string { return content(t, m, "a/b/f") })
	wantOutcomes(t, inNewDir, "", "gone")

	safe := outcomes(t, func(m *vfs.Mem) {
		if err := vfs.MkdirAllSync(m, "a/b"); err != nil {
			t.Fatal(err)
		}
	}, func(m *vfs.Mem) string {
		names, err := m.List("a/b")
		return fmt.Sprint(names, err)
	})
	wantOutcomes(t, safe, "[] <nil>")
}

// TestCrashAfterKilledMkdirAllSync: killed anywhere, called again, and then the power fails.
func TestCrashAfterKilledMkdirAllSync(t *testing.T) {
	for call := 1; ; call++ {
		fired := false
		for seed := range uint64(20) {
			m := vfs.NewMem()
			stop := vfs.Rule{From: call, Match: func(op vfs.Op, _ string) bool { return op != vfs.OpStat }, Fault: vfs.Fault{Err: syscall.EIO}}
			faults := vfs.Inject(m, stop)
			_ = vfs.MkdirAllSync(faults, "a/b/c")
			fired = faults.Fired() > 0
			m = m.Kill()
			if err := vfs.MkdirAllSync(m, "a/b/c"); err != nil {
				t.Fatal(err)
			}
			if _, err := m.Crash(seed).List("a/b/c"); err != nil {
				t.Fatalf("killed at call %d, crashed with seed %d: %v", call, seed, err)
			}
		}
		if !fired {
			return
		}
	}
}

func TestMkdirAllSyncOverAFile(t *testing.T) {
	m := vfs.NewMem()
	vfstest.Write(t, m, "f", "x")
	for _, dir := range []string{"f", "f/d"} {
		if err := vfs.MkdirAllSync(m, dir); !errors.Is(err, syscall.ENOTDIR) {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

func rename(t testing.TB, m vfs.FS, from, to string) {
	t.Helper()
	if err := m.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func TestCrashAndRename(t *testing.T) {
	show := func(m *vfs.Mem) string { return content(t, m, "a/f") + "," + content(t, m, "b/f") }
	build := func(m *vfs.Mem) {
		for name, text := range map[string]string{"a/f": "one", "b/f": "two"} {
			vfstest.Write(t, m, name, text)
			f := open(t, m, name)
			sync(t, f)
		}
		syncDir(t, m, "a", "b", ".")
		rename(t, m, "a/f", "b/f")
	}
	wantOutcomes(t, outcomes(t, build, show), "one,two", "gone,one")
	target := func(m *vfs.Mem) { build(m); syncDir(t, m, "b") }
	wantOutcomes(t, outcomes(t, target, show), "one,one", "gone,one")
	source := func(m *vfs.Mem) { build(m); syncDir(t, m, "a") }
	wantOutcomes(t, outcomes(t, source, show), "gone,two", "gone,one")
	both := func(m *vfs.Mem) { build(m); syncDir(t, m, "a", "b") }
	wantOutcomes(t, outcomes(t, both, show), "gone,one")
}

func TestCrashDuringRemoveAll(t *testing.T) {
	seen := outcomes(t, func(m *vfs.Mem) {
		vfstest.Write(t, m, "d/a", "")
		vfstest.Write(t, m, "d/b", "")
		syncDir(t, m, ".", "d")
		if err := m.RemoveAll("d"); err != nil {
			t.Fatal(err)
		}
	}, func(m *vfs.Mem) string {
		names, err := m.List("d")
		if err != nil {
			return "gone"
		}
		return strings.Join(names, ",")
	})
	wantOutcomes(t, seen, "gone", "", "a", "b", "a,b")
}

// Whatever happens, a file that is replaced atomically is the old or the new one.
func TestWriteFileAtomicSurvivesAnyCrash(t *testing.T) {
	through := 0
	for seed := range uint64(3000) {
		m := vfs.NewMem()
		if err := vfs.WriteFileAtomic(m, "f", []byte("old content")); err != nil {
			t.Fatal(err)
		}
		calls, stop := 0, int(seed%8)
		down := vfs.Rule{Fault: vfs.Fault{Err: syscall.EIO}, From: stop + 1}
		down.Before = func() { calls++ }
		err := vfs.WriteFileAtomic(vfs.Inject(m, down), "f", []byte("new"))
		got := content(t, m.Crash(seed), "f")
		if got != "new" && (got != "old content" || err == nil) {
			t.Fatalf("seed %d, stopped at call %d: the file holds %q, the error was %v", seed, stop, got, err)
		}
		if err == nil {
			through++
		}
	}
	if through == 0 || through == 3000 {
		t.Errorf("%d of 3000 writes went through", through)
	}
}

func TestDeadHandles(t *testing.T) {
	for name, end := range map[string]func(*vfs.Mem) *vfs.Mem{
		"crash": func(m *vfs.Mem) *vfs.Mem { return m.Crash(1) },
		"kill":  func(m *vfs.Mem) *vfs.Mem { return m.Kill() },
	} {
		m := vfs.NewMem()
		f := open(t, m, "f")
		lock, err := m.Lock("lock")
		if err != nil {
			t.Fatal(err)
		}
		next := end(m)
		_, readErr := f.ReadAt(make([]byte, 1), 0)
		_, writeErr := f.WriteAt(make([]byte, 1), 0)
		_, openErr := m.OpenFile("f", os.O_RDWR)
		for _, err := range []error{readErr, writeErr, openErr, f.Sync(), f.Close(), lock.Close(), m.SyncDir("."), m.MkdirAll("x")} {
			if !errors.Is(err, vfs.ErrCrashed) {
				t.Errorf("after a %s: %v", name, err)
			}
		}
		if _, err := next.Lock("lock"); err != nil {
			t.Errorf("a %s kept the lock: %v", name, err)
		}
	}
}

func TestKillKeepsEverything(t *testing.T) {
	m := vfs.NewMem()
	vfstest.Write(t, m, "d/f", "unsynced")
	m = m.Kill()
	if got := content(t, m, "d/f"); got != "unsynced" {
		t.Errorf("after a kill the file holds %q", got)
	}
	lost := 0
	for seed := range uint64(100) {
		m := vfs.NewMem()
		vfstest.Write(t, m, "f", "unsynced")
		if content(t, m.Kill().Crash(seed), "f") != "unsynced" {
			lost++
		}
	}
	if lost == 0 {
		t.Error("a kill made unsynced bytes durable")
	}
}

// A second crash finds what the first one left, to the byte.
func TestCrashLeavesDurableBytes(t *testing.T) {
	for seed := range uint64(300) {
		m := scramble(t, seed).Crash(seed)
		first := digest(t, m)
		if again := digest(t, m.Crash(seed+1)); again != first {
			t.Fatalf("seed %d: a second crash changed the disk", seed)
		}
	}
}

func TestCrashIsDeterministic(t *testing.T) {
	distinct := make(map[string]bool)
	for seed := range uint64(200) {
		first, second := digest(t, scramble(t, 7).Crash(seed)), digest(t, scramble(t, 7).Crash(seed))
		if first != second {
			t.Fatalf("seed %d gave two outcomes", seed)
		}
		distinct[first] = true
	}
	if len(distinct) < 150 {
		t.Errorf("200 seeds gave %d outcomes", len(distinct))
	}
}

// A crash never invents bytes: every byte of a file is one that was written at its place, or zero.
func TestCrashInventsNothing(t *testing.T) {
	for seed := range uint64(500) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		m := vfs.NewMem()
		f := open(t, m, "f")
		syncDir(t, m, ".")
		written, durable := make([]uint64, 1<<16), []byte(nil) // a bit for each value that a byte had
		for i := range 60 {
			switch rnd.IntN(10) {
			case 0:
				sync(t, f)
				durable = []byte(content(t, m, "f"))
				clear(written)
			case 1:
				if err := f.Truncate(int64(rnd.IntN(12_000))); err != nil {
					t.Fatal(err)
				}
			default:
				b := bytes.Repeat([]byte{byte(i + 1)}, 1+rnd.IntN(5000))
				at := rnd.IntN(10_000)
				write(t, f, string(b), int64(at))
				for j := range b {
					written[at+j] |= 1 << b[j]
				}
			}
		}
		for at, b := range []byte(content(t, m.Crash(seed), "f")) {
			if b != 0 && written[at]>>b&1 == 0 && (at >= len(durable) || durable[at] != b) {
				t.Fatalf("seed %d: byte %d is %d, which was never there", seed, at, b)
			}
		}
	}
}

// scramble makes a tree by random calls.
func scramble(t testing.TB, seed uint64) *vfs.Mem {
	rnd := rand.New(rand.NewPCG(seed, 2))
	m := vfs.NewMem()
	dir := func() string { return fmt.Sprintf("d%d", rnd.IntN(3)) }
	name := func() string { return fmt.Sprintf("%s/f%d", dir(), rnd.IntN(4)) }
	for d := range 3 {
		if err := vfs.MkdirAllSync(m, fmt.Sprintf("d%d", d)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 80 {
		var err error
		switch rnd.IntN(8) {
		case 0:
			err = m.SyncDir(dir())
		case 1:
			err = m.Remove(name())
		case 2:
			err = m.Rename(name(), name())
		default:
			f := open(t, m, name())
			write(t, f, strings.Repeat(string(rune('a'+i%26)), 1+rnd.IntN(3000)), int64(rnd.IntN(6000)))
			if rnd.IntN(3) == 0 {
				sync(t, f)
			}
			err = f.Close()
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	return m
}

func digest(t testing.TB, m *vfs.Mem) string {
	h := sha256.New()
	var walk func(name string)
	walk = func(name string) {
		st, err := m.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(h, "%s %v %d\n", name, st.Dir, st.Size)
		if !st.Dir {
			io.WriteString(h, content(t, m, name))
			return
		}
		names, err := m.List(name)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.IsSortedFunc(names, cmp.Compare[string]) {
			t.Fatalf("%q is not sorted", names)
		}
		for _, n := range names {
			walk(name + "/" + n)
		}
	}
	walk(".")
	return fmt.Sprintf("%x", h.Sum(nil))
}

func TestMemLimit(t *testing.T) {
	m := vfs.NewMem()
	m.SetLimit(10 * 4096)
	f := open(t, m, "f")
	n, err := f.WriteAt(make([]byte, 12*4096), 0)
	if n != 10*4096 || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("a write beyond the disk = %d, %v", n, err)
	}
	wantFree := func(want int64) {
		t.Helper()
		if free, err := m.Free("."); free != want || err != nil {
			t.Errorf("Free = %d, %v, want %d", free, err, want)
		}
	}
	wantFree(0)
	if err := f.Truncate(4096 + 1); err != nil {
		t.Fatal(err)
	}
	wantFree(8 * 4096)
	if err := f.Allocate(0, 6*4096); err != nil {
		t.Fatal(err)
	}
	wantFree(4 * 4096)
	if err := f.Allocate(0, 20*4096); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("room for more than the disk was found: %v", err)
	}
	if size, _ := f.Size(); size != 4097 {
		t.Errorf("Allocate made the size %d", size)
	}
	write(t, f, strings.Repeat("x", 4096), 3*4096)
	wantFree(4 * 4096)
	if err := f.Truncate(4096 * 4); err != nil {
		t.Fatal(err)
	}
	wantFree(6 * 4096)
	if err := m.Remove("f"); err != nil {
		t.Fatal(err)
	}
	wantFree(6 * 4096)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	wantFree(10 * 4096)
}

func TestLimitSurvivesCrash(t *testing.T) {
	m := vfs.NewMem()
	m.SetLimit(8 * 4096)
	f := open(t, m, "f")
	write(t, f, strings.Repeat("x", 3*4096), 0)
	sync(t, f)
	syncDir(t, m, ".")
	if err := m.Remove("f"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	m = m.Crash(keepNothing(t))
	if free, err := m.Free("."); free != 5*4096 || err != nil {
		t.Errorf("Free = %d, %v after the removed file came back", free, err)
	}
}

// keepNothing is a seed that drops all that was not synced.
func keepNothing(t *testing.T) uint64 {
	for seed := range uint64(100) {
		m := vfs.NewMem()
		for i := range 20 {
			open(t, m, fmt.Sprint(i))
		}
		m = m.Crash(seed)
		if names, _ := m.List("."); len(names) == 0 {
			return seed
		}
	}
	t.Fatal("no seed drops everything")
	return 0
}

// What stays unsynced for long is written back and does not pile up.
func TestUnsyncedIsBounded(t *testing.T) {
	m := vfs.NewMem()
	f := open(t, m, "f")
	syncDir(t, m, ".")
	for i := range 1 << 16 {
		write(t, f, "x", int64(i))
	}
	if got := content(t, m.Crash(keepNothing(t)), "f"); len(got) != 1<<16 {
		t.Errorf("%d bytes are left", len(got))
	}
}

func BenchmarkAppendSyncCrash(b *testing.B) {
	batch := strings.Repeat("x", 300)
	for i := range b.N {
		m := vfs.NewMem()
		f := open(b, m, "f")
		for n := range 200 {
			write(b, f, batch, int64(n*300))
			if n%3 == 0 {
				sync(b, f)
			}
		}
		m.Crash(uint64(i))
	}
}
