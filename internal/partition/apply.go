package partition

import (
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/partition/replica"
	"github.com/logbahn/logbahn/internal/seeded"
)

// metadataTopic is the folder that the quorum keeps beside the topics'.
const metadataTopic = "__cluster_metadata"

// Apply makes the replicas what an image says: it opens, promotes, demotes and deletes them. d is the difference to the
// image of the call before, or to an empty cluster. Calls must be in the order of the images, and the first one must have
// this run's registration: folders that it has no topic for are set aside. A log that cannot be opened makes an offline
// replica, not an error: the others go on.
func (s *Set) Apply(img *cluster.Image, d cluster.Delta) {
	s.applying.Lock()
	defer s.applying.Unlock()
	s.image.Store(img) // before any replica has it: who is eligible is looked up here
	r := newResolver(Layers(img, s.cfg.NodeID, s.cfg.Static))
	s.throttles.leader.setRate(r.leaderRate)
	s.throttles.follower.setRate(r.followerRate)
	for _, t := range d.Deleted {
		s.dropTopic(t)
	}
	s.place(d.Created, r)
	for _, c := range d.Changed {
		s.dropMoved(c.New)
		s.place([]*cluster.Topic{c.New}, r)
	}
	if slices.ContainsFunc(d.Configs, func(c cluster.Resource) bool { return c.Type != cluster.TopicResource }) {
		s.place(slices.Collect(img.Topics()), r)
	}
	if !s.swept {
		s.swept = true
		s.sweep()
	}
	if len(d.Brokers) > 0 {
		s.admit()
	}
}

// place opens the replicas of the topics that belong to this broker and gives all of them their settings and leaders.
func (s *Set) place(topics []*cluster.Topic, r resolver) {
	var opening errgroup.Group
	opening.SetLimit(2 * runtime.GOMAXPROCS(0)) // opening waits for the disk, and recovery reads
	for _, t := range topics {
		settings := r.settings(t)
		for i := range t.Partitions {
			if !slices.Contains(t.Partitions[i].Replicas, s.cfg.NodeID) {
				continue
			}
			opening.Go(func() error {
				s.placeOne(t, int32(i), settings)
				return nil
			})
		}
	}
	_ = opening.Wait() // no function fails
}

func (s *Set) placeOne(t *cluster.Topic, index int32, settings *Settings) {
	at := &t.Partitions[index]
	p, open := s.ByID(t.ID, index)
	switch {
	case !open:
		p = s.openReplica(t, index, settings, 0)
	case p.lacksRoom():
		p.configure(settings) // for the next try, if this one fails
		if again := s.openReplica(t, index, settings, 0); !again.lacksRoom() {
			p, open = again, false
		}
	default:
		p.configure(settings)
	}
	if p.mayBeginAnew(at) {
		old := p
		if p = s.openAnew(old, t, settings); p != old && open {
			s.remove(old)
			open = false
		}
	}
	p.assign(replica.Assignment{
		Leader: at.Leader, LeaderEpoch: at.LeaderEpoch, PartitionEpoch: at.PartitionEpoch, UncleanEpoch: at.UncleanEpoch,
		Replicas: at.Replicas, ISR: at.ISR, ELR: at.ELR, MinISR: settings.MinISR,
	})
	if !open {
		s.add(p)
	}
	s.follow(p)
}

func (p *Partition) configure(s *Settings) {
	p.settings.Store(s)
	if p.log != nil {
		p.log.SetConfig(s.Log)
	}
}

// openReplica opens the log of a replica. The hooks may be called before it returns, and wait for the lock.
func (s *Set) openReplica(t *cluster.Topic, index int32, settings *Settings, copy int32) *Partition {
	cfg := &s.cfg
	p := &Partition{topic: t.Name, topicID: t.ID, index: index, copy: copy, set: s, cfg: cfg}
	p.mu.forgotten.leaderEpoch = -1
	p.settings.Store(settings)
	p.mu.Lock()
	defer p.mu.Unlock()
	tp := commitlog.TopicPartition{Topic: t.Name, Partition: index}
	log, err := cfg.Dir.Open(tp, t.ID, settings.Log, p.hooks())
	rule := replica.Config{Self: cfg.NodeID, LagMaxMs: cfg.ReplicaLagMax.Milliseconds()}
	if err != nil {
		p.mu.machine = replica.New(rule, replica.Log{})
		p.mu.machine.Failed()
		p.mu.offline = &OfflineError{Reason: err}
		cfg.Log.Error("replica offline", "topic", t.Name, "partition", index, "err", err)
		return p
	}
	p.log = log
	log.SetHighWatermark(log.HighWatermark()) // while it is unknown nothing is committed that could be deleted or compacted
	p.mu.machine = replica.New(rule, replica.Log{End: log.EndOffset(), Flushed: log.FlushedOffset(), HighWatermark: log.HighWatermark()})
	p.highWatermark.Store(log.HighWatermark())
	return p
}

func (s *Set) dropTopic(t *cluster.Topic) {
	s.drop(t, func(int) bool { return true })
}

// dropMoved drops the replicas that the topic no longer has on this broker.
func (s *Set) dropMoved(t *cluster.Topic) {
	if seeded.Is(seeded.KeepMovedReplica) {
		return
	}
	s.drop(t, func(index int) bool { return !slices.Contains(t.Partitions[index].Replicas, s.cfg.NodeID) })
}

// drop deletes those replicas of a topic that are to go. Their logs are deleted together: each deletion alone would write
// the checkpoints of the whole directory.
func (s *Set) drop(t *cluster.Topic, goes func(index int) bool) {
	var logs []*commitlog.Log
	for i := range t.Partitions {
		p, ok := s.ByID(t.ID, int32(i))
		if !ok || !goes(i) {
			continue
		}
		s.remove(p)
		p.retire()
		s.follow(p)
		if p.log != nil {
			logs = append(logs, p.log)
		} else if err := s.cfg.Dir.SetAside(commitlog.TopicPartition{Topic: p.topic, Partition: p.index}); err != nil {
			s.cfg.Log.Error("folder not set aside", "topic", p.topic, "partition", p.index, "err", err)
		}
	}
	if err := s.cfg.Dir.Delete(logs...); err != nil {
		s.cfg.Log.Error("replicas not deleted", "topic", t.Name, "err", err)
	}
}

// sweep sets the folders aside that no topic of the first image has: their topics were deleted while this broker was
// away. It forgets those that are missing and that nobody misses. Folders of another topic of the same name were set aside
// when the present one was opened.
func (s *Set) sweep() {
	onDisk, err := s.cfg.Dir.List()
	if err != nil {
		s.cfg.Log.Error("folders not listed", "err", err)
		return
	}
	for _, folder := range onDisk {
		if _, open := s.Get(folder.Topic, folder.Partition); open || folder.Topic == metadataTopic {
			continue
		}
		s.cfg.Log.Warn("folder of no topic is set aside", "folder", folder.TopicPartition.String())
		if err := s.cfg.Dir.SetAside(folder.TopicPartition); err != nil {
			s.cfg.Log.Error("folder not set aside", "folder", folder.TopicPartition.String(), "err", err)
		}
	}
	for _, tp := range s.cfg.Dir.Lost() {
		if _, open := s.Get(tp.Topic, tp.Partition); open || tp.Topic == metadataTopic {
			continue
		}
		if err := s.cfg.Dir.SetAside(tp); err != nil {
			s.cfg.Log.Error("lost folder not forgotten", "folder", tp.String(), "err", err)
		}
	}
}
