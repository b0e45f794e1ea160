package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/logbahn/logbahn/internal/config"
	"github.com/logbahn/logbahn/internal/node"
	"github.com/logbahn/logbahn/internal/vfs"
)

const (
	dataDir      = "data"
	restartAfter = time.Second // as who supervises a process waits
	startMax     = 60 * time.Second
	stopMax      = 20 * time.Second
)

// Machine is what a node runs on: a host, a disk, a wall clock. While it is up, it starts its node again whenever that ends.
type Machine struct {
	*Host
	ID int32

	settings config.Settings
	trace    *Trace

	mu    sync.Mutex
	disk  disk
	clock time.Duration // what the wall clock is ahead
	life  *life         // nil while the machine is down
	// refusal is why the node did not start at the last attempt, nil when it has started or has not tried.
	refusal error
	// flipped: FlipBit has hit something.
	flipped bool
	ended   []*life // whose goroutines may still run
	starts  int
}

// disk is the state of a machine's disk, guarded by its lock.
type disk struct {
	mem     *vfs.Mem
	faults  *vfs.Faults
	slow    time.Duration // of each sync
	groups  time.Duration // of each read of what groups have committed
	resumed chan struct{} // closed unless the machine is paused
	failing *atomic.Bool  // the next sync of a partition's log fails
}

// life is one process on a machine.
type life struct {
	cancel context.CancelFunc // of the process's start, and of who would start it again
	node   *node.Node         // nil until it has started; guarded by the machine's lock
	over   chan struct{}
}

func newMachine(id int32, host *Host, settings config.Settings, trace *Trace) *Machine {
	resumed := make(chan struct{})
	close(resumed)
	m := &Machine{Host: host, ID: id, settings: settings, trace: trace, disk: disk{mem: vfs.NewMem(), resumed: resumed, failing: new(atomic.Bool)}}
	m.insert()
	return m
}

// insert puts the fault layer before the disk. Its rules ask for the disk's state, so that none is ever added again: one that
// strikes once would strike twice.
func (m *Machine) insert() {
	failing := m.disk.failing
	m.disk.faults = vfs.Inject(m.disk.mem, vfs.Rule{
		Match: func(op vfs.Op, name string) bool {
			return op == vfs.OpSync && strings.HasSuffix(name, ".log") && !ofMetadata(name) && failing.CompareAndSwap(true, false)
		},
		Fault: vfs.Fault{Before: m.beforeSync, Err: syscall.EIO, LoseDirty: true},
	}, vfs.Rule{
		Match: func(op vfs.Op, _ string) bool { return op == vfs.OpSync || op == vfs.OpSyncDir },
		Fault: vfs.Fault{Before: m.beforeSync},
	}, vfs.Rule{
		Match: func(op vfs.Op, name string) bool { return op == vfs.OpRead && ofGroups(name) },
		Fault: vfs.Fault{Before: m.beforeRead},
	})
}

// beforeSync is what a sync takes.
func (m *Machine) beforeSync() {
	m.mu.Lock()
	slow, resumed := m.disk.slow, m.disk.resumed
	m.mu.Unlock()
	if slow > 0 {
		time.Sleep(slow)
	}
	<-resumed
}

// beforeRead is what a read of what groups have committed takes.
func (m *Machine) beforeRead() {
	m.mu.Lock()
	slow := m.disk.groups
	m.mu.Unlock()
	if slow > 0 {
		time.Sleep(slow)
	}
}

// now is the wall clock.
func (m *Machine) now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Now().Add(m.clock)
}

// Start lets the machine run its node, if it does not.
func (m *Machine) Start() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.life != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &life{cancel: cancel, over: make(chan struct{})}
	m.life, m.refusal = l, nil
	go m.run(ctx, l, m.disk.faults)
}

// run starts the node again and again, as who supervises it does.
func (m *Machine) run(ctx context.Context, l *life, fs vfs.FS) {
	defer close(l.over)
	log := slog.New(&logHandler{trace: m.trace, name: m.Name})
	for ctx.Err() == nil {
		m.attempt(ctx, l, fs, log)
		select {
		case <-ctx.Done():
		case <-time.After(restartAfter):
		}
	}
}

func (m *Machine) attempt(ctx context.Context, l *life, fs vfs.FS, log *slog.Logger) {
	m.mu.Lock()
	m.starts++
	m.mu.Unlock()
	startCtx, cancel := context.WithTimeout(ctx, startMax)
	n, err := node.Start(startCtx, node.Config{FS: fs, Network: m.Process(), Now: m.now, Settings: m.settings, Log: log})
	cancel()
	if err != nil {
		if ctx.Err() == nil {
			m.trace.Logf("%s: does not start: %v", m.Name, err)
			m.mu.Lock()
			m.refusal = err
			m.mu.Unlock()
		}
		return
	}
	m.trace.Logf("%s: started", m.Name)
	m.mu.Lock()
	l.node, m.refusal = n, nil
	m.mu.Unlock()
	select {
	case <-ctx.Done(): // Its files and its sockets are dead: only its goroutines have to end.
		_ = n.Stop(ctx)
	case <-n.Done():
		m.trace.Logf("%s: ended: %v", m.Name, n.Err())
	}
	m.mu.Lock()
	l.node = nil
	m.mu.Unlock()
}

// Kill ends the process as kill -9 does. What it has written is there.
func (m *Machine) Kill() {
	m.trace.Logf("%s: kill -9", m.Name)
	m.Host.Kill()
	m.end(func(mem *vfs.Mem) *vfs.Mem { return mem.Kill() })
}

// PowerLoss ends the machine: of what was not synced, the seed decides. Start brings it up again.
func (m *Machine) PowerLoss(seed uint64) {
	m.trace.Logf("%s: power loss, seed %d", m.Name, seed)
	m.Host.PowerOff()
	m.end(func(mem *vfs.Mem) *vfs.Mem { return mem.Crash(seed) })
}

// PowerOn lets a machine that lost its power run again.
func (m *Machine) PowerOn() {
	m.Host.Boot()
	m.Start()
}

func (m *Machine) end(crash func(*vfs.Mem) *vfs.Mem) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.disk.mem = crash(m.disk.mem)
	m.resume()
	m.insert()
	if m.life != nil {
		m.life.cancel()
		m.ended = append(m.ended, m.life)
		m.life = nil
	}
}

// Stop ends the node as SIGTERM does, and returns when it has ended.
func (m *Machine) Stop() error {
	m.trace.Logf("%s: stop", m.Name)
	m.mu.Lock()
	l := m.life
	m.life = nil
	var n *node.Node
	if l != nil {
		n = l.node
		m.ended = append(m.ended, l)
	}
	m.mu.Unlock()
	if l == nil {
		return nil
	}
	var err error
	if n != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopMax)
		defer cancel()
		err = n.Stop(ctx)
	}
	l.cancel()
	<-l.over
	return err
}

// Down tells whether the machine does not run its node.
func (m *Machine) Down() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.life == nil
}

// Node returns the node that runs, nil when none does.
func (m *Machine) Node() *node.Node {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.life == nil {
		return nil
	}
	return m.life.node
}

// Refusal returns why the node did not start at its last attempt, nil when it runs or has not tried yet.
func (m *Machine) Refusal() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.refusal
}

// Pause holds the machine's network and its syncs until Resume.
func (m *Machine) Pause() {
	m.trace.Logf("%s: pause", m.Name)
	m.Host.Pause()
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-m.disk.resumed:
		m.disk.resumed = make(chan struct{})
	default:
	}
}

// Resume ends a Pause.
func (m *Machine) Resume() {
	m.trace.Logf("%s: resume", m.Name)
	m.Host.Resume()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.resume()
}

func (m *Machine) resume() {
	select {
	case <-m.disk.resumed:
	default:
		close(m.disk.resumed)
	}
}

// JumpClock sets the wall clock ahead, or back.
func (m *Machine) JumpClock(by time.Duration) {
	m.trace.Logf("%s: the wall clock jumps by %v", m.Name, by)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clock += by
}

// SetClock sets the wall clock right.
func (m *Machine) SetClock() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clock = 0
}

// SlowDisk makes each sync take so long.
func (m *Machine) SlowDisk(sync time.Duration) {
	m.trace.Logf("%s: a sync takes %v", m.Name, sync)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.disk.slow = sync
}

// FillDisk leaves no room on the disk until WellDisk.
func (m *Machine) FillDisk() {
	m.trace.Logf("%s: disk full", m.Name)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.disk.mem.SetLimit(0)
}

// SlowGroups makes each read of what groups have committed take so long.
func (m *Machine) SlowGroups(read time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.disk.groups = read
}

// FailSync fails the next sync of a partition's file as Linux does: its pages look clean afterwards.
func (m *Machine) FailSync() {
	m.trace.Logf("%s: the next sync of a log fails", m.Name)
	m.disk.failing.Store(true)
}

// syncPending tells whether the sync that FailSync has chosen has not come yet.
func (m *Machine) syncPending() bool { return m.disk.failing.Load() }

// WellDisk ends slowness, failures and want of room.
func (m *Machine) WellDisk() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.disk.slow, m.disk.groups = 0, 0
	m.disk.failing.Store(false)
	m.disk.mem.SetLimit(1 << 40)
}

// Disk returns the files as they are now, without faults.
func (m *Machine) Disk() vfs.FS {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.disk.mem
}

// close ends everything and waits for it.
func (m *Machine) close() error {
	m.Host.Resume()
	m.mu.Lock()
	m.resume()
	m.mu.Unlock()
	err := m.Stop()
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil // requests that waited were cut off
	}
	for _, l := range m.ended {
		l.cancel()
		<-l.over
	}
	if err != nil {
		return fmt.Errorf("%s: stop: %w", m.Name, err)
	}
	return nil
}
