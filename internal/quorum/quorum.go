package quorum

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
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
)

// Errors of Do, wrapped with what is known.
var (
	// ErrFailed means that this voter cannot write what it promises, and has to stop.
	ErrFailed = errors.New("the metadata quorum of this node has failed")
	// ErrClosed means that the Quorum is closed.
	ErrClosed = errors.New("the metadata quorum is closed")
	// ErrNotController means that another node leads. *NotControllerError says which.
	ErrNotController = errors.New("this node is not the controller")
)

// NotControllerError is ErrNotController with the controller, or NoLeader while there is none. A request may have been
// committed all the same when leadership was lost while it waited.
type NotControllerError struct{ Controller cluster.NodeID }

func (e *NotControllerError) Error() string {
	if e.Controller == cluster.NoLeader {
		return fmt.Sprintf("%v; there is none", ErrNotController)
	}
	return fmt.Sprintf("%v; node %d is", ErrNotController, e.Controller)
}

func (e *NotControllerError) Unwrap() error { return ErrNotController }

// Machine decides about requests; controller.Machine is the one. It is called by the loop only.
type Machine interface {
	// Handle returns the reply and the changes that have to be committed before the reply may leave.
	Handle(nowMs int64, img *cluster.Image, req kmsg.Request) (kmsg.Response, []cluster.Change)
}

// Voter is a member of the quorum.
type Voter struct {
	NodeID      cluster.NodeID
	DirectoryID cluster.UUID
}

// raftID names a voter to raft. A node with another, empty directory is another voter: it has forgotten its votes.
func (v Voter) raftID() uint64 {
	h := fnv.New64a()
	_ = binary.Write(h, binary.BigEndian, v.NodeID)
	_, _ = h.Write(v.DirectoryID[:])
	return max(h.Sum64(), 1)
}

// context is how a voter is described in the entry that adds it.
func (v Voter) context() []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(v.NodeID)), v.DirectoryID[:]...)
}

func parseVoter(b []byte) (Voter, error) {
	var v Voter
	if len(b) != 4+len(v.DirectoryID) {
		return v, fmt.Errorf("a voter of %d bytes", len(b))
	}
	v.NodeID = cluster.NodeID(binary.BigEndian.Uint32(b))
	copy(v.DirectoryID[:], b[4:])
	return v, nil
}

// Config says what a Quorum is made of.
type Config struct {
	FS  vfs.FS
	Dir string // of quorum-state and the snapshots; the metadata log's own folder will do
	// Log is the metadata log. The Quorum is the only one to write it; its owner closes it after the Quorum.
	Log       *commitlog.Log
	ClusterID string
	Self      Voter
	// Voters are the members that a new cluster begins with, Self among them; only Self when empty. They are not looked
	// at when there is a log.
	Voters    []Voter
	Machine   Machine
	Transport Transport // nil for a voter that is alone

	TickInterval  time.Duration // 20 ms when 0; a voter that is alone does not tick
	SnapshotBytes int64         // a snapshot is taken after so many bytes of entries; 4 MiB when 0

	Now    func() time.Time // time.Now when nil
	Logger *slog.Logger     // discarded when nil
}

// Raft's timers in ticks: an election after 300 to 600 ms of silence, a heartbeat every 60 ms.
const (
	electionTicks  = 15
	heartbeatTicks = 3
)

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
	storage *storage
	raft    *raft.RawNode

	image     atomic.Pointer[cluster.Image] // as published
	status    atomic.Pointer[Status]
	publish   publisher
	requests  chan *request
	inbox     chan *pb.Message
	snapshots chan snapshotResult // capacity 1: one is written at a time
	stop      chan struct{}
	stopOnce  sync.Once
	done      sync.WaitGroup
	failed    chan struct{} // closed when the loop has failed
	failure   atomic.Pointer[error]

	loop loopState
}

// Open reads what is stored, joins the quorum, and starts the goroutines. A voter that is alone leads at once.
func Open(cfg Config) (*Quorum, error) {
	q := &Quorum{
		cfg: cfg, log: cfg.Logger, now: cfg.Now,
		requests:  make(chan *request, requestsQueued),
		inbox:     make(chan *pb.Message, messagesQueued),
		snapshots: make(chan snapshotResult, 1),
		stop:      make(chan struct{}),
		failed:    make(chan struct{}),
	}
	q.setDefaults()
	var err error
	if q.storage, err = openStorage(cfg.FS, cfg.Dir, cfg.Log); err != nil {
		return nil, err
	}
	if err := q.join(); err != nil {
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
	if err := q.openRaft(); err != nil {
		return err
	}
	if err := q.openImage(); err != nil {
		return err
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
	if len(q.cfg.Voters) == 0 {
		q.cfg.Voters = []Voter{q.cfg.Self}
	}
	if q.cfg.TickInterval == 0 {
		q.cfg.TickInterval = tickDefault
	}
	if q.cfg.SnapshotBytes == 0 {
		q.cfg.SnapshotBytes = snapshotBytesDefault
	}
	q.publish.wake = make(chan struct{}, 1)
}

func (q *Quorum) openRaft() error {
	var err error
	snap, err := q.storage.memory.Snapshot()
	if err != nil {
		return err
	}
	q.raft, err = raft.NewRawNode(&raft.Config{
		ID:                        q.cfg.Self.raftID(),
		ElectionTick:              electionTicks,
		HeartbeatTick:             heartbeatTicks,
		Storage:                   stateStorage{q.storage},
		Applied:                   snap.GetMetadata().GetIndex(),
		MaxSizePerMsg:             1 << 20,
		MaxInflightMsgs:           64,
		MaxUncommittedEntriesSize: entryBytesMax,
		CheckQuorum:               true,
		PreVote:                   true,
		DisableProposalForwarding: true,
		Logger:                    raftLogger{q.log},
	})
	if err != nil {
		return err
	}
	empty, err := q.storage.empty()
	if err != nil || !empty {
		return err
	}
	peers := make([]raft.Peer, 0, len(q.cfg.Voters))
	for _, v := range q.cfg.Voters {
		peers = append(peers, raft.Peer{ID: v.raftID(), Context: v.context()})
	}
	slices.SortFunc(peers, func(a, b raft.Peer) int { return cmp.Compare(a.ID, b.ID) })
	return q.raft.Bootstrap(peers)
}

// stateStorage gives raft the members that quorum-state knows; the memory knows those of the snapshot only.
type stateStorage struct{ *storage }

func (s stateStorage) InitialState() (*pb.HardState, *pb.ConfState, error) {
	return s.saved.hard, s.saved.conf, nil
}
func (s stateStorage) Entries(lo, hi, size uint64) ([]*pb.Entry, error) {
	return s.memory.Entries(lo, hi, size)
}
func (s stateStorage) Term(i uint64) (uint64, error)   { return s.memory.Term(i) }
func (s stateStorage) LastIndex() (uint64, error)      { return s.memory.LastIndex() }
func (s stateStorage) FirstIndex() (uint64, error)     { return s.memory.FirstIndex() }
func (s stateStorage) Snapshot() (*pb.Snapshot, error) { return s.memory.Snapshot() }

// openImage takes the image from the snapshot, or an empty one.
func (q *Quorum) openImage() error {
	q.loop.voters = map[uint64]Voter{}
	q.loop.applied = cluster.NewImage(q.cfg.ClusterID)
	snap, err := q.storage.memory.Snapshot()
	if err != nil {
		return err
	}
	if raft.IsEmptySnap(snap) {
		q.image.Store(q.loop.applied)
		return nil
	}
	if err := q.restore(snap); err != nil {
		return err
	}
	q.image.Store(q.loop.applied)
	return nil
}

// restore makes the snapshot's image the applied one. The subscribers see the difference.
func (q *Quorum) restore(snap *pb.Snapshot) error {
	voters, img, err := decodeImage(q.cfg.ClusterID, snap.GetData())
	if err != nil {
		return fmt.Errorf("metadata snapshot at offset %d: %w", snap.GetMetadata().GetIndex(), err)
	}
	q.loop.voters, q.loop.index = voters, snap.GetMetadata().GetIndex()
	img = img.WithController(q.leader()) // whose name may be news of the snapshot
	q.publish.add(publication{image: img, delta: cluster.Diff(q.loop.applied, img)})
	q.loop.applied = img
	return nil
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

// Step takes a message of another voter. It drops it when the inbox is full: raft sends it again.
func (q *Quorum) Step(m *pb.Message) {
	select {
	case q.inbox <- m:
	case <-q.stop:
	default:
	}
}

// Close ends all goroutines. The log stays open.
func (q *Quorum) Close() {
	q.stopOnce.Do(func() { close(q.stop) })
	q.done.Wait()
	_ = q.storage.acked.close() // nothing in it has to be kept; a second Close finds it closed
}
