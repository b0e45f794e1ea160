package disk

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/logbahn/logbahn/internal/vfs"
)

// node is a file or a directory as the kernel knows it. What it is called is what counts: bytes are reached through
// handles, everything else by name.
type node struct {
	gofs.Inode
	disk *Disk
}

// The calls of the kernel that are answered.
var _ = (interface {
	gofs.NodeLookuper
	gofs.NodeGetattrer
	gofs.NodeSetattrer
	gofs.NodeOpener
	gofs.NodeCreater
	gofs.NodeMkdirer
	gofs.NodeReaddirer
	gofs.NodeUnlinker
	gofs.NodeRmdirer
	gofs.NodeRenamer
	gofs.NodeFsyncer
	gofs.NodeStatfser
})((*node)(nil))

func (n *node) name() string             { return "/" + n.Path(n.Root()) }
func (n *node) child(base string) string { return path.Join(n.name(), base) }

func errno(err error) syscall.Errno {
	var number syscall.Errno
	switch {
	case err == nil:
		return 0
	case errors.As(err, &number):
		return number
	case errors.Is(err, fs.ErrNotExist):
		return syscall.ENOENT
	case errors.Is(err, fs.ErrExist):
		return syscall.EEXIST
	case errors.Is(err, fs.ErrClosed):
		return syscall.EBADF
	case errors.Is(err, vfs.ErrUnsupported):
		return syscall.EOPNOTSUPP
	}
	return syscall.EIO
}

func mode(dir bool) uint32 {
	if dir {
		return syscall.S_IFDIR | 0o755
	}
	return syscall.S_IFREG | 0o644
}

func setAttr(out *fuse.Attr, info vfs.Info) {
	out.Mode = mode(info.Dir)
	out.Size = uint64(info.Size)
	out.Blocks = uint64((info.Size + 511) / 512)
	out.Blksize = 4096
	out.Nlink = 1
	out.SetTimes(nil, &info.ModTime, &info.ModTime)
}

// enter returns the kernel's node for a name that has just been found or made.
func (n *node) enter(ctx context.Context, base string, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	info, err := n.disk.fs().Stat(n.child(base))
	if err != nil {
		return nil, errno(err)
	}
	setAttr(&out.Attr, info)
	// One node for a name as long as it leads to the same file, so that a directory that is open keeps its name.
	if known := n.GetChild(base); known != nil && known.IsDir() == info.Dir {
		return known, 0
	}
	return n.NewInode(ctx, &node{disk: n.disk}, gofs.StableAttr{Mode: mode(info.Dir) & syscall.S_IFMT}), 0
}

func (n *node) Lookup(ctx context.Context, base string, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	return n.enter(ctx, base, out)
}

// Getattr asks by name, but for a file that has lost its name and is still open.
func (n *node) Getattr(_ context.Context, h gofs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	if _, parent := n.Parent(); parent == nil && !n.IsRoot() {
		h, ok := h.(*handle)
		if !ok {
			return syscall.ENOENT
		}
		return h.getattr(&out.Attr)
	}
	info, err := n.disk.fs().Stat(n.name())
	if err != nil {
		return errno(err)
	}
	setAttr(&out.Attr, info)
	return 0
}

// Setattr changes the size; modes, owners and times are taken and forgotten.
func (n *node) Setattr(ctx context.Context, h gofs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if size, ok := in.GetSize(); ok {
		if err := n.truncate(h, int64(size)); err != nil {
			return errno(err)
		}
	}
	return n.Getattr(ctx, h, out)
}

func (n *node) truncate(h gofs.FileHandle, size int64) error {
	if h, ok := h.(*handle); ok {
		return h.file.Truncate(size)
	}
	f, err := n.disk.fs().OpenFile(n.name(), os.O_RDWR)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}

func (n *node) open(name string, flags uint32) (gofs.FileHandle, uint32, syscall.Errno) {
	flag := os.O_RDONLY
	if flags&syscall.O_ACCMODE != syscall.O_RDONLY {
		flag = os.O_RDWR
	}
	f, err := n.disk.fs().OpenFile(name, flag|int(flags)&(os.O_CREATE|os.O_EXCL|os.O_TRUNC))
	if err != nil {
		return nil, 0, errno(err)
	}
	return &handle{file: f}, fuse.FOPEN_DIRECT_IO, 0
}

func (n *node) Open(_ context.Context, flags uint32) (gofs.FileHandle, uint32, syscall.Errno) {
	return n.open(n.name(), flags)
}

func (n *node) Create(ctx context.Context, base string, flags, _ uint32, out *fuse.EntryOut) (*gofs.Inode, gofs.FileHandle, uint32, syscall.Errno) {
	h, opened, failed := n.open(n.child(base), flags|syscall.O_CREAT)
	if failed != 0 {
		return nil, nil, 0, failed
	}
	inode, failed := n.enter(ctx, base, out)
	return inode, h, opened, failed
}

func (n *node) Mkdir(ctx context.Context, base string, _ uint32, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	if _, err := n.disk.fs().Stat(n.child(base)); err == nil {
		return nil, syscall.EEXIST
	}
	if err := n.disk.fs().MkdirAll(n.child(base)); err != nil {
		return nil, errno(err)
	}
	return n.enter(ctx, base, out)
}

func (n *node) Readdir(context.Context) (gofs.DirStream, syscall.Errno) {
	names, err := n.disk.fs().List(n.name())
	if err != nil {
		return nil, errno(err)
	}
	entries := make([]fuse.DirEntry, 0, len(names))
	for _, base := range names {
		if info, err := n.disk.fs().Stat(n.child(base)); err == nil {
			entries = append(entries, fuse.DirEntry{Name: base, Mode: mode(info.Dir)})
		}
	}
	return gofs.NewListDirStream(entries), 0
}

func (n *node) Unlink(_ context.Context, base string) syscall.Errno {
	return errno(n.disk.fs().Remove(n.child(base)))
}

func (n *node) Rmdir(_ context.Context, base string) syscall.Errno {
	return errno(n.disk.fs().Remove(n.child(base)))
}

func (n *node) Rename(_ context.Context, base string, to gofs.InodeEmbedder, target string, flags uint32) syscall.Errno {
	if flags != 0 {
		return syscall.EINVAL
	}
	return errno(n.disk.fs().Rename(n.child(base), to.(*node).child(target)))
}

// Fsync syncs a file through its handle, a directory by its name.
func (n *node) Fsync(_ context.Context, h gofs.FileHandle, _ uint32) syscall.Errno {
	if h, ok := h.(*handle); ok {
		return errno(h.file.Sync())
	}
	return errno(n.disk.fs().SyncDir(n.name()))
}

func (n *node) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	const block = 4096
	free, err := n.disk.fs().Free("/")
	if err != nil {
		return errno(err)
	}
	*out = fuse.StatfsOut{Bsize: block, Frsize: block, NameLen: 255,
		Blocks: uint64(n.disk.size / block), Bfree: uint64(free / block), Bavail: uint64(free / block)}
	return 0
}

// handle is an open file.
type handle struct{ file vfs.File }

var _ = (interface {
	gofs.FileReader
	gofs.FileWriter
	gofs.FileAllocater
	gofs.FileReleaser
})((*handle)(nil))

func (h *handle) getattr(out *fuse.Attr) syscall.Errno {
	size, err := h.file.Size()
	if err != nil {
		return errno(err)
	}
	setAttr(out, vfs.Info{Size: size})
	return 0
}

func (h *handle) Read(_ context.Context, into []byte, offset int64) (fuse.ReadResult, syscall.Errno) {
	got, err := h.file.ReadAt(into, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, errno(err)
	}
	return fuse.ReadResultData(into[:got]), 0
}

// Write answers with what fitted, as write(2) does; the rest of a full disk is the next call's error.
func (h *handle) Write(_ context.Context, b []byte, offset int64) (uint32, syscall.Errno) {
	n, err := h.file.WriteAt(b, offset)
	if n > 0 {
		return uint32(n), 0
	}
	return 0, errno(err)
}

func (h *handle) Allocate(_ context.Context, offset, length uint64, mode uint32) syscall.Errno {
	const keepSize = 1 // FALLOC_FL_KEEP_SIZE
	if mode != keepSize {
		return syscall.EOPNOTSUPP
	}
	return errno(h.file.Allocate(int64(offset), int64(length)))
}

// Release closes the file; after a power loss there is nothing left to close.
func (h *handle) Release(context.Context) syscall.Errno {
	return errno(h.file.Close())
}
