package quorum

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/vfs"
	"github.com/logbahn/logbahn/internal/wire"
)

// Errors of Do, wrapped with what is known.
var (
	// ErrFailed means that this voter cannot write what it promises, and has to stop.
	ErrFailed = errors.New("the metadata quorum of this node has failed")
	// ErrClosed means that the Quorum is closed.
	ErrClosed = errors.New("the metadata quorum is closed")
	// ErrNotController means that another node leads. *NotControllerError says which.
	ErrNotController = errors.New("this node is not the controller")
	// ErrOutcomeUnknown means that this node has lost the leadership while the changes of a request were under way, and
	// cannot tell whether they are committed.
	ErrOutcomeUnknown = errors.New("this node was the controller when the request came, and cannot tell what became of it")
)

// NotControllerError is ErrNotController with the controller, or NoLeader while there is none. Nothing of the request is
// committed or will be: it may be sent to another node.
type NotControllerError struct{ Controller cluster.NodeID }

func (e *NotControllerError) Error() string {
	if e.Controller == cluster.NoLeader {
		return fmt.Sprintf("%v; there is none", ErrNotController)
	}
	return fmt.Sprintf("%v; node %d is", ErrNotController, e.Controller)
}

func (e *NotControllerError) Unwrap() error { return ErrNotController }

// Machine decides about requests; controller.Machine is the one. It is called by the loop only. The images it is given
// have all that it has decided, committed or under way.
type Machine interface {
	// Elected says that this node begins a term as leader: what the machine remembers besides the image is of another one.
	Elected()
	// Handle returns the reply and the changes that have to be committed before the reply may leave.
	Handle(nowMs int64, img *cluster.Image, req kmsg.Request) (kmsg.Response, []cluster.Change)
	// Tick returns changes that nobody has asked for, such as fencing a broker that is silent; more when there are
	// others, to be asked for with the image that has these.
	Tick(nowMs int64, img *cluster.Image) (changes []cluster.Change, more bool)
	// Lost says that the process of a broker's registration has ended: Tick need not wait for the end of its session, unless
	// it has spoken within the last silentMs.
	Lost(nowMs int64, img *cluster.Image, id cluster.NodeID, epoch, silentMs int64)
}

// Config says what a Quorum is made of.
type Config struct {
	FS  vfs.FS
	Dir string // of quorum-state and the snapshots; the metadata log's own folder will do
	// Log is the metadata log. The Quorum is the only one to write it; its owner closes it after the Quorum.
	Log       *commitlog.Log
	ClusterID string
	Self      Voter
	// Voters are the members that a new cluster begins with, on all of them the same. Where Self is not among them, node id
	// and directory id, they are only whom to ask for the cluster's metadata. They are not looked at when there is a log.
	Voters    []Voter
	Machine   Machine
	Transport Transport // nil for a voter that is alone
	// Members, when not nil, is told who the members are, before the first message is sent to any of them and whenever
	// that has changed. The loop calls it: it must not block.
	Members func([]Member)
	// Fetch and Request ask another node by its id: Fetch for the metadata log, which may take half a second, Request for
	// parts of a snapshot. A node without them does not follow when it is no member. They are called one at a time.
	Fetch   func(context.Context, cluster.NodeID, *wire.FetchRequest) (*wire.FetchResponse, func(), error)
	Request func(context.Context, cluster.NodeID, kmsg.Request) (kmsg.Response, error)

	TickInterval  time.Duration // 20 ms when 0; a voter that is alone does not tick
	SnapshotBytes int64         // a snapshot is taken after so many bytes of entries; 4 MiB when 0

	Now    func() time.Time // the wall clock, which may jump: the machine is not told the time by it; time.Now when nil
	Logger *slog.Logger     // discarded when nil
}

const (
	snapshotBytesDefault = 4 << 20
	tickDefault          = 20 * time.Millisecond
	entryBytesMax        = 32 << 20 // raft's limit of what is proposed and not committed
)

// Quorum is this node's part in the metadata quorum.
type Quorum struct {
	cfg     Config
	log     *slog.Logger
	now     func() time.Time
	begun   time.Time
	storage *storage
	raft    *raft.RawNode

	image      atomic.Pointer[cluster.Image] // as published
	published  signal                        // raised when image has changed
	progressed signal                        // raised when the high watermark, the leader or the epoch in status have changed
	observers  observers
	lastRead   atomic.Pointer[lastRead]
	status     atomic.Pointer[Status]
	stalled    atomic.Bool // see Stalled
	publish    publisher
	requests   chan *request
	inbox      chan *pb.Message
	snapshots  chan snapshotResult // capacity 1: one is written at a time
	fetches    chan fetchResult    // capacity 1: one is made at a time
	resigns    chan struct{}       // capacity 1
	losses     chan Loss
	again      chan struct{}   // capacity 1: the machine has more to change than one turn of the loop allows
	ctx        context.Context // ends with stop
	cancel     context.CancelFunc
	stop       chan struct{}
	stopOnce   sync.Once
	done       sync.WaitGroup
	failed     chan struct{} // closed when the loop has failed
	failure    atomic.Pointer[error]

	loop   loopState
	timers timers
}

// Open reads what is stored, joins the quorum, and starts the goroutines. A voter that is alone leads at once.
func Open(cfg Config) (*Quorum, error) {
	q := &Quorum{
		cfg: cfg, log: cfg.Logger, now: cfg.Now, begun: time.Now(),
		requests:  make(chan *request, requestsQueued),
		inbox:     make(chan *pb.Message, messagesQueued),
		snapshots: make(chan snapshotResult, 1),
		fetches:   make(chan fetchResult, 1),
		resigns:   make(chan struct{}, 1),
		losses:    make(chan Loss, lossesQueued),
		again:     make(chan struct{}, 1),
		stop:      make(chan struct{}),
		failed:    make(chan struct{}),
	}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	q.setDefaults()
	var err error
	if q.storage, err = openStorage(cfg.FS, cfg.Dir, cfg.Log); err != nil {
		q.cancel()
		return nil, err
	}
	if err := q.join(); err != nil {
		q.cancel()
		q.done.Wait()
		return nil, errors.Join(err, q.storage.acked.close())
	}
	for _, p := range q.publish.take() {
		q.deliver(p)
	}
	q.done.Add(2)
	go q.runLoop()
	go q.runPublisher()
	return q, nil
}

// join brings raft, the image and the files together. What is known to be committed is applied before anybody sees an image.
func (q *Quorum) join() error {
	empty, err := q.storage.empty()
	if err != nil {
		return err
	}
	// Any other node that has nothing waits to be told.
	if empty && slices.ContainsFunc(q.cfg.Voters, q.cfg.Self.is) {
		if err := q.storage.begin(q.cfg.Voters); err != nil {
			return err
		}
	}
	if err := q.openRaft(); err != nil {
		return err
	}
	if err := q.openImage(); err != nil {
		return err
	}
	if !q.member() {
		q.loop.follower.deaf = deafTicks
	}
	return q.begin()
}

func (q *Quorum) setDefaults() {
	if q.log == nil {
		q.log = slog.New(slog.DiscardHandler)
	}
	if q.now == nil {
		q.now = time.Now
	}
	if q.cfg.Transport == nil {
		q.cfg.Transport = noTransport{}
	}
	if q.cfg.TickInterval == 0 {
		q.cfg.TickInterval = tickDefault
	}
	if q.cfg.SnapshotBytes == 0 {
		q.cfg.SnapshotBytes = snapshotBytesDefault
	}
	q.publish.wake = make(chan struct{}, 1)
}

// openImage takes the image from the snapshot, or an empty one.
func (q *Quorum) openImage() error {
	q.loop.voters = map[uint64]Voter{}
	q.loop.follower = follower{leader: cluster.NoLeader, epoch: -1}
	q.loop.applied = cluster.NewImage(q.cfg.ClusterID)
	if snap := q.storage.opened; snap != nil {
		q.storage.opened = nil
		if err := q.restore(snap); err != nil {
			return err
		}
	}
	q.image.Store(q.loop.applied)
	return nil
}

// restore makes the snapshot's image the applied one.
func (q *Quorum) restore(snap *pb.Snapshot) error {
	voters, img, err := decodeImage(q.cfg.ClusterID, snap.GetData())
	if err != nil {
		return fmt.Errorf("metadata snapshot at offset %d: %w", snap.GetMetadata().GetIndex(), err)
	}
	q.replace(snap.GetMetadata().GetIndex(), voters, img)
	return nil
}

// replace makes an image the applied one that does not come of the log. The subscribers see the difference.
func (q *Quorum) replace(index uint64, voters map[uint64]Voter, img *cluster.Image) {
	q.loop.voters, q.loop.index = voters, index
	q.skipped(index)
	q.tellMembers()
	img = img.WithController(q.leader()) // whose name may be news of the snapshot
	q.publish.add(publication{image: img, delta: cluster.Diff(q.loop.applied, img)})
	q.loop.applied = img
}

// Image returns the newest published image.
func (q *Quorum) Image() *cluster.Image { return q.image.Load() }

// Failed is closed when this voter cannot go on; Err says why.
func (q *Quorum) Failed() <-chan struct{} { return q.failed }

// Err returns why the Quorum has failed, or nil.
func (q *Quorum) Err() error {
	if err := q.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// Do runs a request at the controller. It returns when the changes are committed, in this node's image, and seen by
// every subscriber. A context that ends leaves it open whether the changes are committed.
func (q *Quorum) Do(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	r := &request{ctx: ctx, req: req, answer: make(chan answer, 1)}
	select {
	case q.requests <- r:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-q.failed:
		return nil, q.Err()
	case <-q.stop:
		return nil, ErrClosed
	}
	select {
	case a := <-r.answer:
		return a.resp, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-q.failed:
		return nil, q.Err()
	case <-q.stop:
		return nil, ErrClosed
	}
}

// AwaitImage returns when Image has reached a metadata offset, and every subscriber has seen that.
func (q *Quorum) AwaitImage(ctx context.Context, offset int64) error {
	for {
		changed := q.published.raised()
		if q.Image().Offset() >= offset {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-q.failed:
			return q.Err()
		case <-q.stop:
			return ErrClosed
		}
	}
}

// Step takes a message of another member. It drops it when the inbox is full, since raft sends it again, when it is
// for another voter: one that had this node's address, and another directory, and when it is none that members send.
func (q *Quorum) Step(m *pb.Message) {
	if m.GetTo() != q.cfg.Self.RaftID() || !betweenMembers(m.GetType()) {
		return
	}
	select {
	case q.inbox <- m:
	case <-q.stop:
	default:
	}
}

// betweenMembers tells what members send each other. Raft would take more, and trust it: a proposal would shift the entries of
// those that are made here, and the news that entries are on disk is the storage's alone to give.
func betweenMembers(t pb.MessageType) bool {
	switch t {
	case pb.MsgApp, pb.MsgAppResp, pb.MsgHeartbeat, pb.MsgHeartbeatResp, pb.MsgSnap, pb.MsgTimeoutNow,
		pb.MsgVote, pb.MsgVoteResp, pb.MsgPreVote, pb.MsgPreVoteResp:
		return true
	}
	return false
}

// Close ends all goroutines. The log stays open.
func (q *Quorum) Close() {
	q.stopOnce.Do(func() {
		close(q.stop)
		q.cancel()
		q.done.Wait()
		q.rememberCommitted()
		_ = q.storage.acked.close() // nothing in it has to be kept
	})
	q.done.Wait()
}

// rememberCommitted spares the next start asking others what is committed, before it has an image of all that this one had.
// A voter that is alone finds out by itself.
func (q *Quorum) rememberCommitted() {
	if !q.loop.ended || q.alone() || q.storage.saved.hard.GetTerm() == 0 {
		return
	}
	if err := q.storage.saveState(); err != nil {
		q.log.Warn("what is committed was not noted down", "err", err)
	}
}
