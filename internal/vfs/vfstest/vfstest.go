// Package vfstest holds the tests that every vfs.FS passes.
package vfstest

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/logbahn/logbahn/internal/vfs"
)

// Run tests a file system. open returns one, and an empty directory in it that the test may fill.
func Run(t *testing.T, open func(t *testing.T) (fsys vfs.FS, dir string)) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, fsys vfs.FS, dir string)
	}{
		{"OpenFlags", testOpenFlags},
		{"ReadAt", testReadAt},
		{"WriteAt", testWriteAt},
		{"AgainstSlice", testAgainstSlice},
		{"Truncate", testTruncate},
		{"Allocate", testAllocate},
		{"Closed", testClosed},
		{"Remove", testRemove},
		{"RemoveAll", testRemoveAll},
		{"Rename", testRename},
		{"RenameDir", testRenameDir},
		{"OpenFileOutlivesItsName", testOutlivesName},
		{"Directories", testDirectories},
		{"Stat", testStat},
		{"Lock", testLock},
		{"Free", testFree},
		{"Whole", testWhole},
		{"Concurrent", testConcurrent},
	} {
		t.Run(test.name, func(t *testing.T) {
			fsys, dir := open(t)
			test.run(t, fsys, dir)
		})
	}
}

func testOpenFlags(t *testing.T, fsys vfs.FS, dir string) {
	name := dir + "/f"
	_, err := fsys.OpenFile(name, os.O_RDWR)
	wantErr(t, "open of nothing", err, fs.ErrNotExist)
	_, err = fsys.OpenFile(dir+"/no/f", os.O_RDWR|os.O_CREATE)
	wantErr(t, "create in a directory that is not there", err, fs.ErrNotExist)
	_, err = fsys.OpenFile(dir, os.O_RDWR)
	if err == nil {
		t.Error("a directory was opened for writing")
	}
	Write(t, fsys, name, "hello")
	_, err = fsys.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	wantErr(t, "exclusive create of a file", err, fs.ErrExist)
	mustClose(t, mustOpen(t, fsys, name, os.O_RDWR|os.O_CREATE))
	wantContent(t, fsys, name, "hello")
	f := mustOpen(t, fsys, name, os.O_RDONLY)
	if _, err := f.WriteAt([]byte("x"), 0); err == nil {
		t.Error("a file open for reading was written")
	}
	mustClose(t, f)
	mustClose(t, mustOpen(t, fsys, name, os.O_RDWR|os.O_TRUNC))
	wantContent(t, fsys, name, "")
	_, err = fsys.OpenFile(name+"/f", os.O_RDWR|os.O_CREATE)
	if err == nil {
		t.Error("a file was created below a file")
	}
}

func testReadAt(t *testing.T, fsys vfs.FS, dir string) {
	name := dir + "/f"
	Write(t, fsys, name, "0123456789")
	f := mustOpen(t, fsys, name, os.O_RDONLY)
	defer mustClose(t, f)
	for _, c := range []struct {
		offset int64
		length int
		want   string
		err    error
	}{
		{0, 10, "0123456789", nil},
		{3, 4, "3456", nil},
		{8, 4, "89", io.EOF},
		{10, 1, "", io.EOF},
		{1 << 40, 1, "", io.EOF},
	} {
		b := make([]byte, c.length)
		n, err := f.ReadAt(b, c.offset)
		if string(b[:n]) != c.want || !errors.Is(err, c.err) {
			t.Errorf("ReadAt(%d bytes, %d) = %q, %v; want %q, %v", c.length, c.offset, b[:n], err, c.want, c.err)
		}
	}
	if _, err := f.ReadAt(make([]byte, 1), -1); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("ReadAt before the start: %v", err)
	}
}

func testWriteAt(t *testing.T, fsys vfs.FS, dir string) {
	name := dir + "/f"
	f := mustOpen(t, fsys, name, os.O_RDWR|os.O_CREATE)
	if n, err := f.WriteAt([]byte("end"), 10_000); n != 3 || err != nil {
		t.Fatalf("WriteAt = %d, %v", n, err)
	}
	if n, err := f.WriteAt([]byte("start"), 0); n != 5 || err != nil {
		t.Fatalf("WriteAt = %d, %v", n, err)
	}
	if _, err := f.WriteAt([]byte("x"), -1); err == nil {
		t.Error("a write before the start went through")
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	mustClose(t, f)
	wantContent(t, fsys, name, "start"+string(make([]byte, 10_000-5))+"end")
}

// testAgainstSlice does what a slice of bytes does.
func testAgainstSlice(t *testing.T, fsys vfs.FS, dir string) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	f := mustOpen(t, fsys, dir+"/f", os.O_RDWR|os.O_CREATE)
	defer mustClose(t, f)
	var want []byte
	for i := range 400 {
		var err error
		switch rnd.IntN(8) {
		case 0:
			size := rnd.IntN(20_000)
			err = f.Truncate(int64(size))
			want = resize(want, size)
		case 1:
			err = f.Sync()
		default:
			b := bytes.Repeat([]byte{byte(i + 1)}, rnd.IntN(9_000)+1)
			at := rnd.IntN(20_000)
			want = resize(want, max(len(want), at+len(b)))
			copy(want[at:], b)
			_, err = f.WriteAt(b, int64(at))
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, f); !bytes.Equal(got, want) {
			t.Fatalf("after call %d: %d bytes differ from the expected %d", i, len(got), len(want))
		}
	}
}

func resize(b []byte, size int) []byte {
	if size <= len(b) {
		return b[:size:size]
	}
	return append(b, make([]byte, size-len(b))...)
}

func testTruncate(t *testing.T, fsys vfs.FS, dir string) {
	name := dir + "/f"
	Write(t, fsys, name, "0123456789")
	f := mustOpen(t, fsys, name, os.O_RDWR)
	for _, size := range []int64{4, 8} {
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
		if got, err := f.Size(); got != size || err != nil {
			t.Errorf("Size = %d, %v, want %d", got, err, size)
		}
	}
	if err := f.Truncate(-1); err == nil {
		t.Error("a negative size was taken")
	}
	mustClose(t, f)
	wantContent(t, fsys, name, "0123\x00\x00\x00\x00")
}

func testAllocate(t *testing.T, fsys vfs.FS, dir string) {
	name := dir + "/f"
	Write(t, fsys, name, "0123456789")
	f := mustOpen(t, fsys, name, os.O_RDWR)
	defer mustClose(t, f)
	err := f.Allocate(0, 100_000)
	if errors.Is(err, vfs.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	wantContent(t, fsys, name, "0123456789")
	if _, err := f.WriteAt([]byte("x"), 5_000); err != nil {
		t.Fatal(err)
	}
	wantContent(t, fsys, name, "0123456789"+string(make([]byte, 4_990))+"x")
}

func testClosed(t *testing.T, fsys vfs.FS, dir string) {
	f := mustOpen(t, fsys, dir+"/f", os.O_RDWR|os.O_CREATE)
	mustClose(t, f)
	_, err := f.ReadAt(make([]byte, 1), 0)
	wantErr(t, "ReadAt", err, fs.ErrClosed)
	_, err = f.WriteAt(make([]byte, 1), 0)
	wantErr(t, "WriteAt", err, fs.ErrClosed)
	wantErr(t, "Truncate", f.Truncate(0), fs.ErrClosed)
	wantErr(t, "Sync", f.Sync(), fs.ErrClosed)
	wantErr(t, "Close", f.Close(), fs.ErrClosed)
	if _, err := f.Size(); err == nil {
		t.Error("a closed file has a size")
	}
}

func testRemove(t *testing.T, fsys vfs.FS, dir string) {
	wantErr(t, "remove of nothing", fsys.Remove(dir+"/f"), fs.ErrNotExist)
	Write(t, fsys, dir+"/d/f", "x")
	if err := fsys.Remove(dir + "/d"); err == nil {
		t.Error("a directory that is not empty was removed")
	}
	must(t, fsys.Remove(dir+"/d/f"))
	must(t, fsys.Remove(dir+"/d"))
	wantList(t, fsys, dir)
}

func testRemoveAll(t *testing.T, fsys vfs.FS, dir string) {
	must(t, fsys.RemoveAll(dir+"/nothing"))
	Write(t, fsys, dir+"/d/e/f", "x")
	Write(t, fsys, dir+"/d/g", "x")
	Write(t, fsys, dir+"/keep", "x")
	must(t, fsys.RemoveAll(dir+"/d"))
	wantList(t, fsys, dir, "keep")
	must(t, fsys.RemoveAll(dir+"/keep"))
	wantList(t, fsys, dir)
}

func testRename(t *testing.T, fsys vfs.FS, dir string) {
	wantErr(t, "rename of nothing", fsys.Rename(dir+"/no", dir+"/b"), fs.ErrNotExist)
	Write(t, fsys, dir+"/a", "new")
	Write(t, fsys, dir+"/b", "old")
	must(t, fsys.Rename(dir+"/a", dir+"/b"))
	wantContent(t, fsys, dir+"/b", "new")
	wantList(t, fsys, dir, "b")
	must(t, fsys.MkdirAll(dir+"/d"))
	must(t, fsys.Rename(dir+"/b", dir+"/d/c"))
	wantContent(t, fsys, dir+"/d/c", "new")
	wantList(t, fsys, dir, "d")
	must(t, fsys.Rename(dir+"/d/c", dir+"/d/c"))
	wantContent(t, fsys, dir+"/d/c", "new")
	wantErr(t, "rename into nothing", fsys.Rename(dir+"/d/c", dir+"/no/c"), fs.ErrNotExist)
}

func testRenameDir(t *testing.T, fsys vfs.FS, dir string) {
	Write(t, fsys, dir+"/a/f", "x")
	must(t, fsys.Rename(dir+"/a", dir+"/b"))
	wantContent(t, fsys, dir+"/b/f", "x")
	wantList(t, fsys, dir, "b")
	Write(t, fsys, dir+"/c/f", "x")
	if err := fsys.Rename(dir+"/b", dir+"/c"); err == nil {
		t.Error("a directory that is not empty was replaced")
	}
	if err := fsys.Rename(dir+"/b", dir+"/b/below"); err == nil {
		t.Error("a directory was moved into itself")
	}
}

func testOutlivesName(t *testing.T, fsys vfs.FS, dir string) {
	if runtime.GOOS == "windows" || runtime.GOOS == "wasip1" {
		t.Skip("open files cannot be removed here")
	}
	Write(t, fsys, dir+"/a", "one")
	Write(t, fsys, dir+"/b", "two")
	one, two := mustOpen(t, fsys, dir+"/a", os.O_RDWR), mustOpen(t, fsys, dir+"/b", os.O_RDONLY)
	defer mustClose(t, one)
	defer mustClose(t, two)
	must(t, fsys.Rename(dir+"/a", dir+"/b"))
	if got := string(readAll(t, two)); got != "two" {
		t.Errorf("the replaced file reads %q", got)
	}
	must(t, fsys.Remove(dir+"/b"))
	if _, err := one.WriteAt([]byte("O"), 0); err != nil {
		t.Error(err)
	}
	if got := string(readAll(t, one)); got != "One" {
		t.Errorf("the removed file reads %q", got)
	}
}

func testDirectories(t *testing.T, fsys vfs.FS, dir string) {
	must(t, fsys.MkdirAll(dir+"/a/b/c"))
	must(t, fsys.MkdirAll(dir+"/a/b/c"))
	must(t, vfs.MkdirAllSync(fsys, dir+"/a/x/y"))
	must(t, vfs.MkdirAllSync(fsys, dir+"/a/x/y"))
	for _, name := range []string{"z", "Z", "m", "0"} {
		Write(t, fsys, dir+"/a/"+name, "")
	}
	wantList(t, fsys, dir+"/a", "0", "Z", "b", "m", "x", "z")
	wantList(t, fsys, dir+"//a/./b/../b/", "c")
	_, err := fsys.List(dir + "/no")
	wantErr(t, "list of nothing", err, fs.ErrNotExist)
	_, err = fsys.List(dir + "/a/z")
	if err == nil {
		t.Error("a file was listed")
	}
	if err := fsys.MkdirAll(dir + "/a/z/q"); err == nil {
		t.Error("a directory was made below a file")
	}
	must(t, fsys.SyncDir(dir+"/a"))
	wantErr(t, "sync of nothing", fsys.SyncDir(dir+"/no"), fs.ErrNotExist)
}

func testStat(t *testing.T, fsys vfs.FS, dir string) {
	before := time.Now().Add(-2 * time.Second) // disks keep coarse times
	Write(t, fsys, dir+"/f", "four")
	st, err := fsys.Stat(dir + "/f")
	if err != nil || st.Size != 4 || st.Dir || st.ModTime.Before(before) || st.ModTime.After(time.Now().Add(time.Second)) {
		t.Errorf("Stat of a file of now = %+v, %v", st, err)
	}
	if st, err := fsys.Stat(dir); err != nil || !st.Dir {
		t.Errorf("Stat of a directory = %+v, %v", st, err)
	}
	_, err = fsys.Stat(dir + "/no")
	wantErr(t, "stat of nothing", err, fs.ErrNotExist)
}

func testLock(t *testing.T, fsys vfs.FS, dir string) {
	lock, err := fsys.Lock(dir + "/.lock")
	must(t, err)
	_, err = fsys.Lock(dir + "/.lock")
	wantErr(t, "second lock", err, vfs.ErrLocked)
	_, err = fsys.Lock(dir + "/../" + base(dir) + "/.lock")
	wantErr(t, "second lock by another name", err, vfs.ErrLocked)
	other, err := fsys.Lock(dir + "/.other")
	must(t, err)
	must(t, lock.Close())
	wantErr(t, "second close", lock.Close(), fs.ErrClosed)
	lock, err = fsys.Lock(dir + "/.lock")
	must(t, err)
	must(t, lock.Close())
	must(t, other.Close())
	_, err = fsys.Lock(dir + "/no/.lock")
	wantErr(t, "lock in nothing", err, fs.ErrNotExist)
}

func base(dir string) string { return dir[bytes.LastIndexByte([]byte(dir), '/')+1:] }

func testFree(t *testing.T, fsys vfs.FS, dir string) {
	if free, err := fsys.Free(dir); err != nil || free <= 0 {
		t.Errorf("Free = %d, %v", free, err)
	}
	if _, err := fsys.Free(dir + "/no"); err == nil {
		t.Error("there is room in nothing")
	}
}

func testWhole(t *testing.T, fsys vfs.FS, dir string) {
	name := dir + "/f"
	for _, content := range []string{"a longer first content", "short", ""} {
		must(t, vfs.WriteFileAtomic(fsys, name, []byte(content)))
		wantContent(t, fsys, name, content)
	}
	wantList(t, fsys, dir, "f")
	Write(t, fsys, name, "12345")
	_, err := vfs.ReadFile(fsys, name, 4)
	wantErr(t, "a file larger than allowed", err, vfs.ErrTooLarge)
	_, err = vfs.ReadFile(fsys, dir+"/no", 4)
	wantErr(t, "read of nothing", err, fs.ErrNotExist)
}

func testConcurrent(t *testing.T, fsys vfs.FS, dir string) {
	const writers, writes = 8, 50
	f := mustOpen(t, fsys, dir+"/f", os.O_RDWR|os.O_CREATE)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range writes {
				if _, err := f.WriteAt([]byte{byte(w + 1)}, int64(i*writers+w)); err != nil {
					t.Error(err)
				}
				if i%10 == 0 {
					if err := f.Sync(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	for i, b := range readAll(t, f) {
		if b != byte(i%writers+1) {
			t.Fatalf("byte %d is %d", i, b)
		}
	}
	mustClose(t, f)
}

// Write makes a file, and its directory, with the given content, unsynced.
func Write(t testing.TB, fsys vfs.FS, name, content string) {
	t.Helper()
	dir := name[:len(name)-len(base(name))]
	if dir != "" {
		must(t, fsys.MkdirAll(dir))
	}
	f := mustOpen(t, fsys, name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if _, err := f.WriteAt([]byte(content), 0); err != nil {
		t.Fatal(err)
	}
	mustClose(t, f)
}

func readAll(t testing.TB, f vfs.File) []byte {
	t.Helper()
	size, err := f.Size()
	must(t, err)
	b := make([]byte, size)
	if n, err := f.ReadAt(b, 0); n != len(b) {
		t.Fatalf("read %d of %d bytes: %v", n, len(b), err)
	}
	return b
}

func mustOpen(t testing.TB, fsys vfs.FS, name string, flag int) vfs.File {
	t.Helper()
	f, err := fsys.OpenFile(name, flag)
	must(t, err)
	return f
}

func mustClose(t testing.TB, f io.Closer) {
	t.Helper()
	must(t, f.Close())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func wantContent(t testing.TB, fsys vfs.FS, name, want string) {
	t.Helper()
	got, err := vfs.ReadFile(fsys, name, 1<<20)
	if err != nil || string(got) != want {
		t.Errorf("%s holds %q, %v; want %q", name, got, err, want)
	}
}

func wantList(t testing.TB, fsys vfs.FS, dir string, want ...string) {
	t.Helper()
	got, err := fsys.List(dir)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%s holds %q, %v; want %q", dir, got, err, want)
	}
}
