package commitlog

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logbahn/logbahn/internal/vfs"
)

// FlushMode says what FlushedOffset promises.
type FlushMode int8

const (
	// FlushSync promises that records survive a power cut.
	FlushSync FlushMode = iota
	// FlushOS promises what Kafka does: they survive the end of the process.
	FlushOS
)

// DirConfig describes a data directory and who uses it. Only FS and Path are required.
type DirConfig struct {
	FS        vfs.FS
	Path      string
	ClusterID string // "": whatever is there, or a new one
	Forms     bool   // a fresh directory gets no cluster id but by Dir.Join
	NodeID    int32
	Flush     FlushMode
	Now       func() time.Time     // time.Now when nil
	Monotonic func() time.Duration // a clock that does not jump; time since OpenDir when nil
	Log       *slog.Logger         // discarded when nil

	CheckpointInterval time.Duration // 1 s when 0
	RetentionInterval  time.Duration // 5 min when 0
	CleanerInterval    time.Duration // 15 s when 0
	CleanerBytesMax    int64         // memory of one compaction's key table; 32 MiB when 0
	SyncsMax           int           // files synced at once; 8 when 0
	// ScrubBytesPerSecond is how fast closed segments are read for corrupt records; 0: they are not.
	ScrubBytesPerSecond int64

	manual bool // tests run flusher and maintenance themselves
}

func (c *DirConfig) setDefaults() {
	start := time.Now()
	orElse(&c.CheckpointInterval, time.Second)
	orElse(&c.RetentionInterval, 5*time.Minute)
	orElse(&c.CleanerInterval, 15*time.Second)
	orElse(&c.CleanerBytesMax, 32<<20)
	orElse(&c.SyncsMax, 8)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Monotonic == nil {
		c.Monotonic = func() time.Duration { return time.Since(start) }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

func orElse[T comparable](v *T, fallback T) {
	if *v == *new(T) {
		*v = fallback
	}
}

// Dir is a data directory. See the package comment for its goroutines.
type Dir struct {
	cfg  DirConfig
	fs   vfs.FS
	path string
	log  *slog.Logger
	meta atomic.Pointer[meta] // replaced as a whole
	lock io.Closer

	wasClean    bool
	cleanEpoch  int64        // of the broker that closed the directory cleanly, -1 when it did not or did not say
	brokerEpoch atomic.Int64 // of the broker that uses it, for the next marker; -1 until it is set
	lastEpoch   int64        // of the last broker before
	lastFlushOS bool         // which had FlushOS
	takenOver   bool         // from Kafka: no witness was there
	noReserve   atomic.Bool  // the file system cannot preallocate
	changed     atomic.Bool  // something to checkpoint

	mu struct {
		sync.Mutex
		logs       map[TopicPartition]*Log
		doomed     []doomed
		undeleted  []OnDisk         // folders of deleted logs that could not be renamed
		remembered []TopicPartition // deleted logs that the checkpoints could not forget
		closed     bool

		distrusted map[TopicPartition]bool // logs that were closed after they had failed
	}
	queue struct {
		sync.Mutex
		dirty, spare []*Log
	}
	checkpointMu vfs.Gate
	recovery     recoveryPoints
	lost         map[TopicPartition]int64 // recovery points of logs whose folders are gone
	starts       checkpointed
	replication  checkpointed
	cleaned      checkpointed

	maintenance maintenance
	queued      chan struct{} // capacity 1: the queue is not empty
	kicked      chan struct{} // capacity 1: maintenance should look now
	stop        chan struct{}
	done        sync.WaitGroup
}

// OnDisk is a partition's folder.
type OnDisk struct {
	TopicPartition
	TopicID [16]byte // zero when the folder does not say
}

// OpenDir locks a directory, formats it when it is empty, and starts its goroutines. It refuses with the reason: one
// that is in use (ErrLocked), of another cluster or node (ErrForeignCluster), or of a format that it does not know
// (ErrFormat).
func OpenDir(cfg DirConfig) (*Dir, error) {
	cfg.setDefaults()
	d := &Dir{cfg: cfg, fs: cfg.FS, path: cfg.Path, log: cfg.Log,
		queued: make(chan struct{}, 1), kicked: make(chan struct{}, 1), stop: make(chan struct{})}
	d.mu.logs, d.mu.distrusted = make(map[TopicPartition]*Log), make(map[TopicPartition]bool)
	if err := vfs.MkdirAllSync(d.fs, d.path); err != nil {
		return nil, err
	}
	lock, err := d.fs.Lock(path.Join(d.path, lockFile))
	if errors.Is(err, vfs.ErrLocked) {
		return nil, fmt.Errorf("%w: %s: %w", ErrLocked, d.path, err)
	}
	if err != nil {
		return nil, err
	}
	d.lock = lock
	if err := d.load(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	d.start()
	return d, nil
}

func (d *Dir) load() (err error) {
	m, err := loadMeta(&d.cfg)
	if err != nil {
		return err
	}
	d.meta.Store(&m)
	if err := errors.Join(
		d.recovery.load(d, d.List),
		d.starts.load(d, logStartFile, true),
		d.replication.load(d, replicationFile, false),
		d.cleaned.load(d, cleanerFile, false),
	); err != nil {
		return err
	}
	if err := errors.Join(d.loadBrokerEpoch(), d.takeCleanMarker()); err != nil {
		return err
	}
	if d.recovery.unsure { // from here on a missing file is a loss
		if err := d.recovery.put(d, d.recovery.on); err != nil {
			return err
		}
	}
	return errors.Join(d.findDoomed(), d.findLost())
}

// takeCleanMarker remembers and removes the marker of a clean stop: from here on a crash leaves none.
func (d *Dir) takeCleanMarker() error {
	d.cleanEpoch = -1
	d.brokerEpoch.Store(-1)
	b, err := vfs.ReadFile(d.fs, path.Join(d.path, cleanFile), metaBytesMax)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := d.fs.Remove(path.Join(d.path, cleanFile)); err != nil {
		return err
	}
	d.wasClean, d.cleanEpoch = true, decodeCleanShutdown(b)
	return d.fs.SyncDir(d.path)
}

// loadBrokerEpoch remembers the last registration. A file that cannot be read as one says nothing: its node waits longer.
func (d *Dir) loadBrokerEpoch() error {
	b, err := vfs.ReadFile(d.fs, path.Join(d.path, brokerEpochFile), metaBytesMax)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	d.lastEpoch, d.lastFlushOS = decodeBrokerEpoch(b)
	return nil
}

func (d *Dir) start() {
	if d.cfg.manual {
		return
	}
	d.done.Go(d.runFlusher)
	d.done.Go(d.runMaintenance)
	if d.cfg.ScrubBytesPerSecond > 0 {
		d.done.Go(d.runScrubber)
	}
}

// ClusterID returns the cluster that the directory belongs to, "" for none while Forming.
func (d *Dir) ClusterID() string { return d.meta.Load().clusterID }

// DirectoryID returns the id that the directory got when it was formatted.
func (d *Dir) DirectoryID() [16]byte { return d.meta.Load().directoryID }

// Path returns the path that the directory was opened with.
func (d *Dir) Path() string { return d.path }

// CleanBrokerEpoch returns the broker epoch of the life that ended with Close the last time, -1 when it did not, or did not
// say. A controller that knows this epoch knows that nothing was lost since.
func (d *Dir) CleanBrokerEpoch() int64 { return d.cleanEpoch }

// SetBrokerEpoch writes down, durably, the epoch of the broker that uses the directory from now on.
func (d *Dir) SetBrokerEpoch(epoch int64) error {
	if d.brokerEpoch.Load() == epoch {
		return nil
	}
	if err := vfs.WriteFileAtomic(d.fs, path.Join(d.path, brokerEpochFile), encodeBrokerEpoch(epoch, d.cfg.Flush)); err != nil {
		return err
	}
	d.brokerEpoch.Store(epoch)
	return nil
}

// LastBrokerEpoch returns the epoch that was set last, in this life or an earlier one, -1 for none. Whoever holds the
// directory's lock and knows the epoch of the cluster's last registration from it proves that that broker is no more.
func (d *Dir) LastBrokerEpoch() int64 {
	if epoch := d.brokerEpoch.Load(); epoch >= 0 {
		return epoch
	}
	return d.lastEpoch
}

// FlushOS tells whether the broker that uses the directory has FlushOS, or the last one had when this one was opened: then
// what was acknowledged is lost when the machine fails, or was.
func (d *Dir) FlushOS() bool { return d.cfg.Flush == FlushOS || d.lastFlushOS }

// WasClean tells whether the directory was closed by Close the last time.
func (d *Dir) WasClean() bool { return d.wasClean }

func (d *Dir) nowMs() int64 { return d.cfg.Now().UnixMilli() }

// List returns the partitions that have a folder, open or not.
func (d *Dir) List() ([]OnDisk, error) {
	names, err := d.fs.List(d.path)
	if err != nil {
		return nil, err
	}
	var list []OnDisk
	for _, name := range names {
		tp, ok := parseFolder(name)
		if !ok {
			continue
		}
		id, err := d.folderTopicID(name)
		if err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		list = append(list, OnDisk{tp, id})
	}
	return list, nil
}

func (d *Dir) folderTopicID(name string) ([16]byte, error) {
	b, err := vfs.ReadFile(d.fs, path.Join(d.path, name, partitionMetaFile), metaBytesMax)
	if err != nil {
		return [16]byte{}, err
	}
	return decodePartitionMeta(b)
}

// parseFolder reads the name of a partition's folder; those that are set aside have a dot and a suffix behind it.
func parseFolder(name string) (TopicPartition, bool) {
	if strings.HasSuffix(name, doomedSuffix) || strings.HasSuffix(name, straySuffix) {
		return TopicPartition{}, false
	}
	i := strings.LastIndexByte(name, '-')
	if i <= 0 {
		return TopicPartition{}, false
	}
	n, err := parseNumber(name[i+1:], 32)
	if err != nil || strconv.FormatInt(n, 10) != name[i+1:] {
		return TopicPartition{}, false
	}
	return TopicPartition{name[:i], int32(n)}, true
}

// openLogs returns the logs that are open, in no order.
func (d *Dir) openLogs() []*Log {
	d.mu.Lock()
	defer d.mu.Unlock()
	logs := make([]*Log, 0, len(d.mu.logs))
	for _, l := range d.mu.logs {
		if l != nil { // else it is being opened
			logs = append(logs, l)
		}
	}
	if d.cfg.manual {
		sortLogs(logs)
	}
	return logs
}

// asideName returns the name under which a folder is set aside, as Kafka forms it; names have at most 255 bytes.
func asideName(tp TopicPartition, suffix string) string {
	id := newID()
	tail := fmt.Sprintf("-%d.%s%s", tp.Partition, hex.EncodeToString(id[:]), suffix)
	return tp.Topic[:min(len(tp.Topic), 255-len(tail))] + tail
}

// Close flushes and closes every log, checkpoints, and leaves the marker of a clean stop, unless a log has failed or
// something could not be written: then the next Open recovers.
func (d *Dir) Close() error {
	d.mu.Lock()
	if d.mu.closed {
		d.mu.Unlock()
		return ErrClosed
	}
	d.mu.closed = true
	d.mu.Unlock()
	close(d.stop)
	d.done.Wait()
	errs := d.closeLogs()
	if err := d.checkpoint(true); err != nil {
		errs = append(errs, err)
	}
	d.mu.Lock()
	clean := len(errs) == 0 && len(d.mu.distrusted) == 0
	d.mu.Unlock()
	if clean {
		if err := vfs.WriteFileAtomic(d.fs, path.Join(d.path, cleanFile), encodeCleanShutdown(d.brokerEpoch.Load())); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, d.lock.Close())...)
}

// closing tells whether Close has been called.
func (d *Dir) closing() bool {
	select {
	case <-d.stop:
		return true
	default:
		return false
	}
}

// closeLogs closes the logs, several at once: each waits for the disk.
func (d *Dir) closeLogs() []error {
	var mu sync.Mutex
	var errs []error
	d.parallel(d.openLogs(), func(l *Log) {
		if err := l.closeFiles(); err != nil {
			mu.Lock()
			errs = append(errs, fmt.Errorf("%s: %w", l.tp, err))
			mu.Unlock()
		}
	})
	return errs
}

// parallel calls f for each log, SyncsMax at a time, in order when that is 1.
func (d *Dir) parallel(logs []*Log, f func(*Log)) {
	if len(logs) <= 1 || d.cfg.SyncsMax == 1 || d.cfg.manual {
		for _, l := range logs {
			f(l)
		}
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(len(logs), d.cfg.SyncsMax) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(logs)); i = next.Add(1) - 1 {
				f(logs[i])
			}
		})
	}
	wg.Wait()
}
