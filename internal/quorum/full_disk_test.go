package quorum

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"syscall"
	"testing"

	"github.com/logbahn/logbahn/internal/vfs"
)

// TestFullDisk fills the disk under the metadata log, and under snapshots. Requests wait, and go on when
// there is space.
func TestFullDisk(t *testing.T) {
	for _, what := range []string{".log", snapshotSuffix} {
		faults := vfs.Inject(vfs.NewMem())
		v := mustOpen(t, faults, func(c *Config) { c.SnapshotBytes = 300 })
		do(t, v.q, "before")
		refused := make(chan struct{}, 1000)
		faults.Add(vfs.Rule{
			Match: func(op vfs.Op, name string) bool {
				return op == vfs.OpWrite && strings.HasPrefix(name, metadataFolder) && strings.Contains(path.Base(name), what)
			},
			Fault: vfs.Fault{Err: syscall.ENOSPC, Keep: 7, Before: func() { refused <- struct{}{} }},
		})
		done := make(chan error)
		go func() {
			for i := range 20 {
				if _, err := v.q.Do(t.Context(), set(fmt.Sprint(i))); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
		<-refused
		if what == ".log" {
			<-refused // once more: it has waited
			select {
			case err := <-done:
				t.Fatalf("answered on a full disk: %v", err)
			default:
			}
		}
		faults.Clear()
		if err := <-done; err != nil {
			t.Fatal(what, err)
		}
		v.close()
		v = mustOpen(t, faults, nil)
		if got := keys(v.q.Image()); len(got) != 21 {
			t.Fatalf("%s: %v", what, got)
		}
		v.close()
	}
}

// TestFullDiskAtOpen does not start on a full disk, and says so.
func TestFullDiskAtOpen(t *testing.T) {
	mem := vfs.NewMem()
	v := mustOpen(t, mem, nil)
	do(t, v.q, "a")
	v.close()
	faults := vfs.Inject(mem, vfs.Rule{
		Match: func(op vfs.Op, name string) bool { return op == vfs.OpWrite && strings.Contains(name, stateFile) },
		Fault: vfs.Fault{Err: syscall.ENOSPC},
	})
	if v, err := openVoter(t, faults, 1, nil); !errors.Is(err, syscall.ENOSPC) {
		if err == nil {
			v.close()
		}
		t.Fatal(err)
	}
	v = mustOpen(t, mem.Kill(), nil)
	do(t, v.q, "b")
	v.close()
}

// TestCloseOnFullDisk closes while requests wait for space.
func TestCloseOnFullDisk(t *testing.T) {
	faults := vfs.Inject(vfs.NewMem())
	v := mustOpen(t, faults, nil)
	refused := make(chan struct{}, 1000)
	faults.Add(vfs.Rule{
		Match: func(op vfs.Op, name string) bool { return op == vfs.OpWrite && strings.HasSuffix(name, ".log") },
		Fault: vfs.Fault{Err: syscall.ENOSPC, Before: func() { refused <- struct{}{} }},
	})
	answered := make(chan error, 1)
	go func() {
		_, err := v.q.Do(t.Context(), set("a"))
		answered <- err
	}()
	<-refused
	<-refused // the first refusal is known
	if !v.q.Stalled() {
		t.Error("it does not say that it is stalled")
	}
	v.q.Close()
	if err := <-answered; err == nil {
		t.Fatal("answered")
	}
	faults.Clear()
	if err := v.dir.Close(); err != nil {
		t.Fatal(err)
	}
}
