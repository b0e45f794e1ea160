package coordinator

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/logbahn/logbahn/internal/coordinator/group"
)

// Config says where the groups are and how they behave.
type Config struct {
	// Group has the broker's settings; NewID may be nil for random UUIDs.
	Group group.Config
	// Partitions returns the number of partitions of __consumer_offsets, 0 while there is no such topic. It must not
	// change but from and to 0. ImagePartitions is one.
	Partitions func() int32
	// Lead returns the log of a partition that this broker leads now. It must neither wait nor call the coordinator. Its error says why there is none.
	// LedBy makes one.
	Lead func(partition int32) (Log, error)
	// Topics is what exists in the cluster, by an image no older than the one by which Lead's logs are led: the log of a new
	// leader may have offsets of any topic that was there when its predecessor led, and those of a topic that does not
	// exist are removed when it is loaded. ImageTopics is one.
	Topics Topics

	LoadPatience  time.Duration    // how long requests wait for a shard that loads; default 250 ms, negative for not at all
	BatchBytesMax int              // of what is appended at once, if the topic takes that much; default 1,040,000
	Now           func() time.Time // time.Now when nil; its monotonic reading measures sessions
	Log           *slog.Logger     // discarded when nil
}

// Topics looks topics up in the current image of the cluster.
type Topics interface {
	Topic(name string) (Topic, bool)
	TopicByID(id [16]byte) (Topic, bool)
}

// Topic is what the coordinator needs to know of a topic.
type Topic struct {
	Name       string
	ID         [16]byte
	Partitions int32
}

// Client is who sent a request.
type Client = group.Client

// Groups is the group coordinator of a broker. All methods are safe for concurrent use.
type Groups struct {
	cfg     Config
	running sync.WaitGroup // shards
	retain  *time.Timer

	mu struct {
		sync.Mutex
		shards   map[int32]*shard
		failures map[int32]time.Time // when a partition's was told last
		closed   bool
	}
}

// New returns a coordinator that loads nothing until it is asked. Close it.
func New(cfg Config) *Groups {
	cfg.setDefaults()
	g := &Groups{cfg: cfg}
	g.mu.shards = make(map[int32]*shard)
	g.mu.failures = make(map[int32]time.Time)
	g.retain = time.AfterFunc(cfg.Group.RetentionCheckInterval, g.loadForRetention)
	return g
}

func (c *Config) setDefaults() {
	if c.Group.NewID == nil {
		c.Group.NewID = randomUUID
	}
	if c.Group.RetentionCheckInterval == 0 {
		c.Group.RetentionCheckInterval = 10 * time.Minute
	}
	if c.Group.RecordBytesMax == 0 {
		c.Group.RecordBytesMax = 1_000_000
	}
	if c.LoadPatience == 0 {
		c.LoadPatience = 250 * time.Millisecond
	}
	if c.BatchBytesMax == 0 {
		c.BatchBytesMax = 1_040_000
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

func randomUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Close ends all shards; whoever waits is refused. It returns when their goroutines have ended.
func (g *Groups) Close() {
	g.retain.Stop()
	g.mu.Lock()
	g.mu.closed = true
	for _, s := range g.mu.shards {
		s.unload(errClosed)
	}
	g.mu.Unlock()
	g.running.Wait()
}

// ImageApplied tells the coordinator that the partitions of this broker follow a new image: shards of a partition that
// is not led in their epoch any more are unloaded, and the offsets of deleted topics are removed, in all groups. It does
// not wait for either. Calls must be in the order of the images.
func (g *Groups) ImageApplied(deleted []Topic) {
	for _, s := range g.loaded() {
		if log, err := g.cfg.Lead(s.partition); err != nil || log != s.log {
			s.unload(ErrNotLeader)
		}
	}
	if len(deleted) == 0 {
		return
	}
	g.loadHeld() // a shard that is not loaded may hold offsets too old to know their topic's id
	for _, s := range g.loaded() {
		s.topicsDeleted(deleted)
	}
}

// loaded returns the shards that exist, loading or serving.
func (g *Groups) loaded() []*shard {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.SortedFunc(maps.Values(g.mu.shards), func(a, b *shard) int { return cmp.Compare(a.partition, b.partition) })
}

// held returns the partitions led here that hold anything, or may do so in memory.
func (g *Groups) held() []int32 {
	busy := make(map[int32]bool)
	for _, s := range g.loaded() {
		busy[s.partition] = true
	}
	var list []int32
	for p := range g.cfg.Partitions() {
		if log, err := g.cfg.Lead(p); err == nil && (busy[p] || log.EndOffset() > 0) {
			list = append(list, p)
		}
	}
	return list
}

// loadHeld starts the shards that are not loaded though their partitions hold something. One that cannot be started is
// not led any more, and somebody else's to load.
func (g *Groups) loadHeld() {
	for _, p := range g.held() {
		g.shard(p)
	}
}

func (g *Groups) loadForRetention() {
	g.loadHeld()
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.mu.closed {
		g.retain.Reset(g.cfg.Group.RetentionCheckInterval)
	}
}

func (g *Groups) partitionOf(groupID string) (int32, error) {
	n := g.cfg.Partitions()
	if n <= 0 {
		return 0, ErrUnavailable
	}
	return PartitionFor(groupID, n), nil
}

// shard returns the partition's shard in its present epoch, and starts it when there is none.
func (g *Groups) shard(partition int32) (*shard, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.closed {
		return nil, errClosed
	}
	// Asked for under the lock: an answer that has grown old would unload the shard of a newer epoch.
	log, err := g.cfg.Lead(partition)
	if err != nil {
		return nil, err
	}
	s := g.mu.shards[partition]
	switch {
	case s == nil, s.unloaded():
	case s.log == log:
		return s, nil
	default:
		s.unload(ErrNotLeader)
	}
	return g.startLocked(partition, log), nil
}

func (g *Groups) startLocked(partition int32, log Log) *shard {
	former := g.mu.shards[partition]
	s := newShard(&g.cfg, partition, log)
	g.mu.shards[partition] = s
	g.running.Go(func() {
		if former != nil {
			<-former.gone // it could still be appending what the new one would not read
		}
		s.run()
		if g.remove(s) {
			g.cfg.Log.Error("the groups of a partition are not served: their log fails",
				slog.Int("partition", int(partition)), slog.Any("err", s.cause))
		}
	})
	return s
}

// failureAgain is how often a partition's failure is told: clients ask again at once, and each time it is loaded anew.
const failureAgain = time.Minute

// remove takes a shard out that has ended, and tells whether the reason is to be told: clients are only sent to look for another
// coordinator, and find this one again. Whose epoch is over may read a log that is being cut.
func (g *Groups) remove(s *shard) (tell bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.shards[s.partition] == s {
		delete(g.mu.shards, s.partition)
	}
	if log, err := g.cfg.Lead(s.partition); err != nil || log != s.log || !isFailure(s.cause) {
		return false
	}
	now := g.cfg.Now()
	if told, before := g.mu.failures[s.partition]; before && now.Sub(told) < failureAgain {
		return false
	}
	g.mu.failures[s.partition] = now
	return true
}
