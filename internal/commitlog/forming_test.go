package commitlog

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/logbahn/logbahn/internal/vfs"
)

func openForming(t *testing.T, fsys vfs.FS, clusterID string, forms bool) (*Dir, error) {
	t.Helper()
	return OpenDir(DirConfig{FS: fsys, Path: "data", NodeID: 1, ClusterID: clusterID, Forms: forms, manual: true})
}

// A directory whose node finds its cluster later keeps its own id from the beginning, and the cluster's from Join on.
func TestFormingDirectory(t *testing.T) {
	mem := vfs.NewMem()
	reopen := func(forms bool) *Dir {
		t.Helper()
		d, err := openForming(t, mem, "", forms)
		must(t, err)
		return d
	}
	d := reopen(true)
	id := d.DirectoryID()
	if d.ClusterID() != "" || !d.Forming() || id == [16]byte{} {
		t.Fatalf("fresh: cluster %q, forming %v", d.ClusterID(), d.Forming())
	}
	must(t, d.Close())
	d = reopen(true)
	if d.DirectoryID() != id || d.ClusterID() != "" || !d.Forming() {
		t.Fatalf("opened again: cluster %q, forming %v", d.ClusterID(), d.Forming())
	}
	must(t, d.Join("c"))
	must(t, d.Close())
	d = reopen(true)
	if d.ClusterID() != "c" || !d.Forming() {
		t.Fatalf("joined: cluster %q, forming %v", d.ClusterID(), d.Forming())
	}
	if err := d.Join("other"); !errors.Is(err, ErrForeignCluster) {
		t.Errorf("joined another: %v", err)
	}
	must(t, d.Join("c"))
	must(t, d.Formed())
	must(t, d.Close())
	d = reopen(true)
	if d.ClusterID() != "c" || d.Forming() || d.DirectoryID() != id {
		t.Fatalf("formed: cluster %q, forming %v", d.ClusterID(), d.Forming())
	}
	must(t, d.Close())
	b, err := vfs.ReadFile(mem, "data/"+metaFile, metaBytesMax)
	must(t, err)
	if strings.Contains(string(b), formingProperty) {
		t.Errorf("a formed directory says %s", b)
	}
	if _, err := openForming(t, mem, "other", true); !errors.Is(err, ErrForeignCluster) {
		t.Errorf("opened as of another cluster: %v", err)
	}
}

// A clean stop says in which life of the broker it was; anything else does not.
func TestCleanBrokerEpoch(t *testing.T) {
	mem := vfs.NewMem()
	open := func() *Dir {
		t.Helper()
		d, err := openForming(t, mem, "", false)
		must(t, err)
		return d
	}
	d := open()
	if d.CleanBrokerEpoch() != -1 {
		t.Errorf("fresh: %d", d.CleanBrokerEpoch())
	}
	must(t, d.SetBrokerEpoch(42))
	must(t, d.Close())
	d = open()
	if d.CleanBrokerEpoch() != 42 {
		t.Errorf("after a clean stop: %d", d.CleanBrokerEpoch())
	}
	must(t, d.Close())
	d = open()
	if d.CleanBrokerEpoch() != -1 {
		t.Errorf("after a life that nobody named: %d", d.CleanBrokerEpoch())
	}
	must(t, d.Close())
	for text, want := range map[string]int64{"": -1, "x": -1, `{"version":0,"brokerEpoch":7}`: 7, `{"version":1,"brokerEpoch":7}`: -1, `{"version":0}`: -1} {
		if got := decodeCleanShutdown([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

// A broker epoch that could not be written is written when it is set again.
func TestBrokerEpochIsWritten(t *testing.T) {
	mem := vfs.NewMem()
	faults := vfs.Inject(mem)
	d, err := openForming(t, faults, "", false)
	must(t, err)
	faults.Add(vfs.Rule{Times: 1, Match: func(op vfs.Op, _ string) bool { return op == vfs.OpSync }, Fault: vfs.Fault{Err: syscall.EIO}})
	if err := d.SetBrokerEpoch(42); !errors.Is(err, syscall.EIO) {
		t.Fatalf("set on a disk that fails: %v", err)
	}
	must(t, d.SetBrokerEpoch(42))
	d, err = openForming(t, mem.Crash(1), "", false)
	must(t, err)
	if got := d.LastBrokerEpoch(); got != 42 {
		t.Errorf("after a power loss the last epoch is %d", got)
	}
	must(t, d.Close())
}

// A directory knows that its last broker had FlushOS: who opens it after a power loss may have another mode.
func TestFlushModeOfTheLastBroker(t *testing.T) {
	mem := vfs.NewMem()
	for i, c := range []struct {
		mode     FlushMode
		register bool
		want     bool
	}{
		{FlushSync, true, false},
		{FlushOS, false, true}, // it is the mode of this one
		{FlushSync, false, false},
		{FlushOS, true, true},
		{FlushSync, false, true},
		{FlushSync, true, true}, // until it is known what the last one has lost
		{FlushSync, true, false},
	} {
		d, err := OpenDir(DirConfig{FS: mem, Path: "data", NodeID: 1, Flush: c.mode, manual: true})
		must(t, err)
		if got := d.FlushOS(); got != c.want {
			t.Errorf("life %d: %v, want %v", i, got, c.want)
		}
		if c.register {
			must(t, d.SetBrokerEpoch(int64(i)))
		}
		mem = mem.Crash(uint64(i))
	}
}

// A node that was to be one of several and is started alone begins a cluster of its own.
func TestFormingDirectoryBecomesAlone(t *testing.T) {
	for _, clusterID := range []string{"", "mine"} {
		mem := vfs.NewMem()
		d, err := openForming(t, mem, clusterID, true)
		must(t, err)
		id := d.DirectoryID()
		must(t, d.Close())
		d, err = openForming(t, mem, clusterID, false)
		must(t, err)
		if d.ClusterID() == "" || clusterID != "" && d.ClusterID() != clusterID || d.Forming() || d.DirectoryID() != id {
			t.Errorf("cluster %q, forming %v", d.ClusterID(), d.Forming())
		}
		must(t, d.Close())
	}
}
