package disk

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/logbahn/logbahn/internal/vfs"
)

// Disk is one mounted file system.
type Disk struct {
	server *fuse.Server
	size   int64
	state  atomic.Pointer[state]
	mu     sync.Mutex // serialises what changes state
}

// state is the disk between two power losses.
type state struct {
	mem    *vfs.Mem
	faults *vfs.Faults
}

// Mount mounts an empty disk of that many bytes at dir, which has to be there.
func Mount(dir string, size int64) (*Disk, error) {
	d := &Disk{size: size}
	d.replace(vfs.NewMem())
	none := time.Duration(0)
	server, err := gofs.Mount(dir, &node{disk: d}, &gofs.Options{
		EntryTimeout: &none,
		AttrTimeout:  &none,
		MountOptions: fuse.MountOptions{
			DirectMountStrict: true,
			DirectMountFlags:  syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOATIME,
			MaxWrite:          512 << 10,
			FsName:            "logbahn-chaos",
			Name:              "logbahn-chaos",
			DisableXAttrs:     true,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("mount a FUSE file system at %s: %w", dir, err)
	}
	d.server = server
	return d, keepFromChildren()
}

// keepFromChildren closes the descriptors of FUSE in programs that this one starts. go-fuse leaves them open, and a
// program under test that held the other end of its own file system would wait for its own answers, unkillable, when
// this one dies.
func keepFromChildren() error {
	const open = "/proc/self/fd"
	entries, err := os.ReadDir(open)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if target, err := os.Readlink(open + "/" + e.Name()); err != nil || target != "/dev/fuse" {
			continue // the one that listed the directory is closed by now
		}
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			return err
		}
		syscall.CloseOnExec(fd)
	}
	return nil
}

// Unmount takes the file system down. No process may use it any more.
func (d *Disk) Unmount() error { return d.server.Unmount() }

// replace goes on with mem, without faults.
func (d *Disk) replace(mem *vfs.Mem) {
	mem.SetLimit(d.size)
	d.state.Store(&state{mem: mem, faults: vfs.Inject(mem)})
}

// PowerLoss takes what was not synced, as the seed says, and heals all faults.
func (d *Disk) PowerLoss(seed uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.replace(d.state.Load().mem.Crash(seed))
}

// Wipe puts an empty disk in place of this one.
func (d *Disk) Wipe() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.replace(vfs.NewMem())
}

// FailSyncs lets the given number of calls of fsync fail with EIO (0: all of them), as Linux does it.
func (d *Disk) FailSyncs(times int) {
	d.add(vfs.Rule{Match: vfs.Exactly(vfs.OpSync, ""), Times: times, Fault: vfs.Fault{Err: syscall.EIO, LoseDirty: true}})
}

// FailAll lets every call that touches the medium fail with EIO.
func (d *Disk) FailAll() {
	d.add(vfs.Rule{Match: func(op vfs.Op, _ string) bool { return op != vfs.OpClose }, Fault: vfs.Fault{Err: syscall.EIO}})
}

// SlowSyncs delays every fsync, of files and of directories.
func (d *Disk) SlowSyncs(by time.Duration) {
	d.add(vfs.Rule{
		Match: func(op vfs.Op, _ string) bool { return op == vfs.OpSync || op == vfs.OpSyncDir },
		Fault: vfs.Fault{Before: func() { time.Sleep(by) }},
	})
}

// Fill leaves no room: whatever needs another page fails with ENOSPC.
func (d *Disk) Fill() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	mem := d.state.Load().mem
	free, err := mem.Free("/")
	if err != nil {
		return err
	}
	mem.SetLimit(d.size - free)
	return nil
}

// Heal ends the faults: nothing fails, nothing is slow, and the disk has its size back.
func (d *Disk) Heal() {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.state.Load()
	s.faults.Clear()
	s.mem.SetLimit(d.size)
}

// Fired returns how many calls have met a fault since the last Heal, PowerLoss or Wipe.
func (d *Disk) Fired() int { return d.state.Load().faults.Fired() }

// FS is the content past the mount, without faults, for those who look at a stopped process's files.
func (d *Disk) FS() vfs.FS { return d.state.Load().mem }

func (d *Disk) add(rule vfs.Rule) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.state.Load().faults.Add(rule)
}

func (d *Disk) fs() vfs.FS { return d.state.Load().faults }
