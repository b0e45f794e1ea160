package commitlog

import (
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/logbahn/logbahn/internal/vfs"
)

// TopicPartition names a partition and, as its String, its folder.
type TopicPartition struct {
	Topic     string
	Partition int32
}

func (tp TopicPartition) String() string {
	return tp.Topic + "-" + strconv.Itoa(int(tp.Partition))
}

// Log is one partition in a data directory. See the package comment for its states and locks.
type Log struct {
	dir     *Dir
	fs      vfs.FS
	tp      TopicPartition
	topicID [16]byte
	path    string
	hooks   Hooks
	log     *slog.Logger
	config  atomic.Pointer[Config]

	start    atomic.Int64
	end      atomic.Int64
	flushed  atomic.Int64 // what callers may rely on
	synced   atomic.Int64 // what is on disk; less than flushed only with FlushOS
	mark     atomic.Int64 // high watermark; -1 when nobody says
	segments atomic.Pointer[[]*segment]
	epochs   atomic.Pointer[[]epochEntry]
	failure  atomic.Pointer[error]
	queued   atomic.Bool // the flusher knows

	refusedAt atomic.Int64 // when there was no room for the last write, by the directory's clock, plus 1; 0: there was

	headUnsynced atomic.Bool // removed segments may come back in a power cut: the start offset must be on disk

	// Locks in their order. filesMu is held by whoever writes, renames or removes files other than the last segment's;
	// syncMu while files are synced and while the log is cut.
	filesMu vfs.Gate
	syncMu  vfs.Gate

	mu struct {
		logLock
		closed        bool
		deleted       bool
		told          bool // Hooks.Failed was called
		active        activeSegment
		producers     producers
		infos         []batchInfo    // scratch of appends
		unsynced      []*segment     // bytes were written since the last sync
		spare         []*segment     // the other array of unsynced
		unsyncedNew   unsyncedNew    // names that are not durable yet
		naming        bool           // a sync of the folder is under way
		snapshots     []snapshotFile // taken at a roll, not yet written
		epochsOnDisk  *[]epochEntry  // what leader-epoch-checkpoint says
		changed       bool           // since the folder's last clean state on disk
		cleanerPoint  int64          // first offset that was not compacted yet
		deleteHorizon int64          // when the next tombstones may go, milliseconds; 0: none known
		recoverFrom   int64          // upper bound of the recovery point while the log is being cut
	}
}

// unsyncedNew says which directory entries of a log must be synced before its data counts.
type unsyncedNew struct {
	segment   bool // a file in the folder
	partition bool // the folder, and partition.metadata
}

// activeSegment is what only the writer of the last segment knows.
type activeSegment struct {
	indexer
	segment        *segment
	created        bool  // the file is there
	firstTimestamp int64 // of the first batch, for the roll by time
	createdMs      int64 // when the first batch was appended, by the caller's clock
	lastAppendMs   int64
	reserved       reservation
}

// TopicPartition returns the name of the log.
func (l *Log) TopicPartition() TopicPartition { return l.tp }

// TopicID returns the id that the log was opened with.
func (l *Log) TopicID() [16]byte { return l.topicID }

// StartOffset returns the first offset that may be read.
func (l *Log) StartOffset() int64 { return l.start.Load() }

// EndOffset returns the offset that the next record gets.
func (l *Log) EndOffset() int64 { return l.end.Load() }

// FlushedOffset returns the offset up to which records survive a power cut; with FlushOS, a crash of the process.
func (l *Log) FlushedOffset() int64 { return l.flushed.Load() }

// A log that had no room for a write counts as full for roomPatience, however much is free then: who was refused comes
// again first. Afterwards what is free tells, for nobody may ever write again what was refused.
const (
	roomPatience   = 30 * time.Second
	roomBytesLeast = 8 << 20
)

// Full tells whether there was no room for the last write (ErrNoSpace), and there may be none for the next. It asks the disk
// when the last refusal is old.
func (l *Log) Full() bool {
	at := l.refusedAt.Load()
	if at == 0 || l.dir.cfg.Monotonic()-time.Duration(at-1) < roomPatience {
		return at != 0
	}
	if free, err := l.fs.Free(l.path); err == nil && free < roomBytesLeast {
		return true
	}
	return !l.refusedAt.CompareAndSwap(at, 0) // another write was refused meanwhile
}

// Size returns the bytes of all segments.
func (l *Log) Size() int64 {
	var n int64
	for _, s := range *l.segments.Load() {
		n += s.bytes()
	}
	return n
}

// SegmentCount returns the number of segments.
func (l *Log) SegmentCount() int { return len(*l.segments.Load()) }

// Err returns why the log has failed, nil while it has not. It wraps ErrStorage.
func (l *Log) Err() error {
	if p := l.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// SetConfig replaces the settings.
func (l *Log) SetConfig(c Config) { l.config.Store(&c) }

// Config returns the settings in force.
func (l *Log) Config() Config { return *l.config.Load() }

// SetHighWatermark tells which records can no longer be taken back. Compaction and retention do not pass it, and it is
// checkpointed. Until it is called they stop at what is on disk.
func (l *Log) SetHighWatermark(offset int64) {
	if l.mark.Swap(offset) != offset && !l.dir.changed.Load() {
		l.dir.changed.Store(true)
	}
}

// lowerMark makes the high watermark at most end, where the log is being cut.
func (l *Log) lowerMark(end int64) {
	for m := l.mark.Load(); m > end && !l.mark.CompareAndSwap(m, end); m = l.mark.Load() {
	}
}

// HighWatermark returns what SetHighWatermark was told last, or, from before the log was opened, what the checkpoint
// has of it: never more than is in the log. It is StartOffset when neither is known.
func (l *Log) HighWatermark() int64 {
	return max(l.start.Load(), min(l.mark.Load(), l.end.Load()))
}

// stableOffset is how far compaction and retention may go.
func (l *Log) stableOffset() int64 {
	if m := l.mark.Load(); m >= 0 {
		return min(m, l.synced.Load())
	}
	return l.synced.Load()
}

// Producers returns the idempotent producers that the log remembers, by id.
func (l *Log) Producers() []ProducerState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.producers.states()
}

func (l *Log) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.closed
}

// writable must be called with mu held.
func (l *Log) writable() error {
	if l.mu.closed {
		return ErrClosed
	}
	return l.Err()
}

// fail makes the log refuse writes for ever. The flusher tells the partition. It may be called with any lock held.
func (l *Log) fail(cause error) error {
	err := fmt.Errorf("%w: %w", ErrStorage, cause)
	if l.failure.CompareAndSwap(nil, &err) {
		l.dir.wake(l)
	}
	return l.Err()
}

// readFailed turns a corruption that a reader met into the failure of the log, and passes err on.
func (l *Log) readFailed(err error) error {
	if err != nil && isCorruption(err) {
		_ = l.fail(err)
	}
	return err
}

// tellFailure calls Hooks.Failed once.
func (l *Log) tellFailure() {
	err := l.Err()
	if err == nil {
		return
	}
	l.mu.Lock()
	told := l.mu.told
	l.mu.told = true
	l.mu.Unlock()
	if !told {
		l.log.Error("log has failed", "partition", l.tp.String(), "err", err)
		if l.hooks.Failed != nil {
			l.hooks.Failed(err)
		}
	}
}
