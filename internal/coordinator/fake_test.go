package coordinator

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/logbahn/logbahn/internal/record"
)

var errDisk = errors.New("the disk fails")

// fakePartition is a partition in memory: its high watermark follows a flush that the test lets happen, and its appends
// fail when the test says so.
type fakePartition struct {
	mu       sync.Mutex
	changed  chan struct{} // closed and replaced at every change
	epoch    int32
	leading  bool
	batches  [][]byte
	end      int64
	hw       int64
	held     bool // flushes are held back
	failing  int  // so many appends fail
	broken   bool // waits fail
	short    bool // too few replicas are in sync
	loads    int  // how often all batches were asked for
	unsure   bool // the broker is not confirmed
	maxBytes int  // of a batch
	gate     chan struct{}
	loadGate chan struct{}
}

func newFakePartition() *fakePartition {
	return &fakePartition{changed: make(chan struct{}), epoch: 1, leading: true, maxBytes: 1 << 20}
}

func (p *fakePartition) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	if !p.held {
		p.hw = p.end
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *fakePartition) lead() (Log, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.leading {
		return nil, ErrNotLeader
	}
	return fakeLog{p: p, epoch: p.epoch}, nil
}

// loseTail ends the leadership, and with it what was not flushed. The caller is in change.
func (p *fakePartition) loseTail() {
	p.leading = false
	p.epoch++
	for len(p.batches) > 0 {
		h, _ := record.ReadHeader(p.batches[len(p.batches)-1])
		if h.BaseOffset < p.hw {
			break
		}
		p.batches, p.end = p.batches[:len(p.batches)-1], h.BaseOffset
	}
}

func (p *fakePartition) appends() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.batches)
}

type fakeLog struct {
	p     *fakePartition
	epoch int32
}

func (l fakeLog) EndOffset() int64 {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	return l.p.end
}

func (l fakeLog) BatchBytesMax() int {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	return l.p.maxBytes
}

func (l fakeLog) Batches() iter.Seq2[[]byte, error] {
	l.p.mu.Lock()
	batches, gate := slices.Clone(l.p.batches), l.p.loadGate
	l.p.loads++
	l.p.mu.Unlock()
	return func(yield func([]byte, error) bool) {
		for _, b := range batches {
			if gate != nil {
				<-gate
			}
			if !yield(b, nil) {
				return
			}
		}
	}
}

func (l fakeLog) Append(batch []byte) (end int64, err error) {
	l.p.mu.Lock()
	gate := l.p.gate
	l.p.mu.Unlock()
	if gate != nil {
		<-gate
	}
	l.p.change(func() {
		switch {
		case !l.p.leading || l.p.epoch != l.epoch:
			err = ErrNotLeader
		case l.p.failing > 0:
			l.p.failing--
			err = errDisk
		case l.p.short:
			err = ErrUnavailable
		case len(batch) > l.p.maxBytes:
			err = errors.New("the batch is too large")
		default:
			batch = slices.Clone(batch)
			record.PatchOffsets(batch, l.p.end, l.epoch)
			if _, err = record.CheckInternal(batch); err == nil {
				h, _ := record.ReadHeader(batch)
				l.p.batches = append(l.p.batches, batch)
				l.p.end = h.NextOffset()
				end = l.p.end
			}
		}
	})
	return end, err
}

func (l fakeLog) MayAppend() error {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	if l.p.short {
		return ErrUnavailable
	}
	return nil
}

func (l fakeLog) Confirmed() bool {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	return !l.p.unsure
}

func (l fakeLog) Wait(ctx context.Context, end int64) error {
	for {
		l.p.mu.Lock()
		changed, done := l.p.changed, l.p.hw >= end
		lost, broken := !l.p.leading || l.p.epoch != l.epoch, l.p.broken
		l.p.mu.Unlock()
		switch {
		case broken:
			return errDisk
		case lost:
			return ErrNotLeader
		case done:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fakeTopics is a cluster's topics, of 10 partitions each.
type fakeTopics struct {
	mu  sync.Mutex
	ids map[string][16]byte
}

func newFakeTopics(names ...string) *fakeTopics {
	t := &fakeTopics{ids: make(map[string][16]byte)}
	for _, name := range names {
		t.create(name, name)
	}
	return t
}

func fakeID(seed string) (id [16]byte) {
	copy(id[:], seed)
	return id
}

func (t *fakeTopics) create(name, seed string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ids[name] = fakeID(seed)
}

func (t *fakeTopics) delete(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.ids, name)
}

func (t *fakeTopics) Topic(name string) (Topic, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	id, ok := t.ids[name]
	return Topic{Name: name, ID: id, Partitions: 10}, ok
}

func (t *fakeTopics) TopicByID(id [16]byte) (Topic, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, other := range t.ids {
		if other == id {
			return Topic{Name: name, ID: id, Partitions: 10}, true
		}
	}
	return Topic{}, false
}

// fixture is a coordinator over one partition.
type fixture struct {
	*Groups
	log    *fakePartition
	topics *fakeTopics
}

type cleaner interface{ Cleanup(func()) }

func newFixture(t cleaner, change ...func(*Config)) *fixture {
	f := &fixture{log: newFakePartition(), topics: newFakeTopics("t", "u")}
	f.restart(change...)
	t.Cleanup(func() { f.Close() })
	return f
}

// restart makes a new coordinator of the same log.
func (f *fixture) restart(change ...func(*Config)) {
	if f.Groups != nil {
		f.Close()
	}
	cfg := Config{
		Partitions: func() int32 { return 1 },
		Lead:       func(int32) (Log, error) { return f.log.lead() },
		Topics:     f.topics,
	}
	cfg.Group.InitialRebalanceDelay = -1
	cfg.Group.SessionTimeoutMin = time.Millisecond
	for _, c := range change {
		c(&cfg)
	}
	f.Groups = New(cfg)
}
