package partition

import (
	"context"
	"errors"
	"slices"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/wire"
)

// A replica whose log is corrupt is set aside and copied anew from its leader, without a restart of its broker.
//
// Its leader must not go on to believe that the replica has what it had: leaders take a replica of one broker epoch for one
// that loses nothing. So a replica that is offline tells its leader that it is lost, with a fetch from LostOffset and the
// number of the copy that it would begin. The leader takes it out of the in-sync set, forgets what it had, and answers with
// the partition epoch in which that is so. Once this broker's image is as new, and has the replica neither in sync nor
// among those that may be elected otherwise (ELR), nobody counts on its records and nobody will before they are copied. A
// replica that may be the last to have them is never set aside.

// errNotForgotten means that the leader has not understood what was lost: it is of an earlier release.
var errNotForgotten = errors.New("the leader does not say that it has forgotten what was lost")

// lossLocked is what an offline replica tells its leader, once in each leader epoch until it is answered.
func (p *Partition) lossLocked() (wire.FetchPartition, bool) {
	epoch := p.mu.machine.LeaderEpoch()
	want := wire.NewFetchPartition(p.index, wire.LostOffset)
	want.CurrentLeaderEpoch, want.Copy = epoch, p.copy+1
	return want, p.log != nil && p.mu.forgotten.leaderEpoch != epoch
}

// takeForgotten takes the leader's answer to that.
func (p *Partition) takeForgotten(sent wire.FetchPartition, reply *wire.FetchPartitionReply) error {
	switch {
	case reply.Error != wire.None:
		return reply.Error
	case reply.Forgotten.Copy != sent.Copy:
		return errNotForgotten
	}
	p.mu.Lock()
	p.mu.forgotten.leaderEpoch, p.mu.forgotten.Forgotten = sent.CurrentLeaderEpoch, reply.Forgotten
	p.mu.Unlock()
	if errors.Is(p.Offline(), commitlog.ErrCorrupt) {
		p.set.start(func(context.Context) { p.set.renew(p) }) // images may be applied meanwhile, which takes long
	}
	return nil
}

// renew begins a replica anew, or opens one for which there was no room, if its image allows. Where it does not, the next
// one may: Apply looks as well.
func (s *Set) renew(p *Partition) {
	s.applying.Lock()
	defer s.applying.Unlock()
	if current, there := s.ByID(p.topicID, p.index); !there || current != p || s.ctx.Err() != nil {
		return
	}
	if t, there := s.image.Load().TopicByID(p.topicID); there && int(p.index) < len(t.Partitions) {
		s.placeOne(t, p.index, p.Settings())
	}
}

// mayBeginAnew tells whether the replica's log is corrupt and may be copied anew: the image has another leader, and counts
// on nothing that is here, and that leader does not either. The log of one that could not be opened has said nothing to any
// leader in this life.
func (p *Partition) mayBeginAnew(at *cluster.Partition) bool {
	self := p.cfg.NodeID
	if at.Leader < 0 || at.Leader == self || !errors.Is(p.Offline(), commitlog.ErrCorrupt) {
		return false
	}
	for _, relied := range [][]cluster.NodeID{at.ISR, at.ELR, at.LastKnownELR} {
		if slices.Contains(relied, self) {
			return false
		}
	}
	if p.log == nil {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	f := &p.mu.forgotten
	return f.leaderEpoch == at.LeaderEpoch && f.PartitionEpoch <= at.PartitionEpoch
}

// openAnew sets the folder of a corrupt replica aside and begins with an empty log.
func (s *Set) openAnew(p *Partition, t *cluster.Topic, settings *Settings) *Partition {
	s.cfg.Log.Warn("corrupt replica is set aside and copied anew from its leader", "topic", p.topic, "partition", p.index)
	var err error
	if p.log != nil {
		p.retire()
		s.follow(p)
		err = s.cfg.Dir.SetAsideLog(p.log)
	} else {
		err = s.cfg.Dir.SetAside(commitlog.TopicPartition{Topic: p.topic, Partition: p.index})
	}
	if err != nil {
		s.cfg.Log.Error("folder not set aside", "topic", p.topic, "partition", p.index, "err", err)
		return p
	}
	return s.openReplica(t, p.index, settings, p.copy+1)
}

// rotten decides what becomes of a log in which the scrubber has found corrupt records. Where another replica has them the
// log fails, so that they are copied anew while that is so. Otherwise the rest is of more use online.
func (p *Partition) rotten(err error) {
	p.mu.Lock()
	m := &p.mu.machine
	others := m.Leader() >= 0 && (!m.IsLeader() || len(m.ISR()) > 1)
	p.mu.Unlock()
	if others {
		p.log.Condemn(err)
		return
	}
	p.cfg.Log.Error("the only replica in sync has corrupt records", "topic", p.topic, "partition", p.index, "err", err)
}
