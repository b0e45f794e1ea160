package quorum

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/wire"
)

// An observer follows the metadata log as a follower follows a partition: it fetches from a voter what is committed. Its log
// is a voter's without what is not committed, so that raft runs on it as well, as a node that is no member: what was
// fetched is given to it as a message of no leader, stored and applied as any other. When the log says that this node has
// become a member, raft's own messages take over.
//
// A member fetches too when it has not heard of a leader for long. It may have been removed: then nobody tells it. And a node
// that is no member as far as it knows hears of a leader that knows better: of the cluster's first one, or when it is added.

// MetadataTopic is the topic whose one partition is the metadata log, as in Kafka.
const MetadataTopic = "__cluster_metadata"

// MetadataTopicID is that topic's id.
var MetadataTopicID = cluster.UUID{15: 1}

const (
	fetchWait       = 500 * time.Millisecond // how long a voter may hold back an answer without entries
	fetchTimeout    = fetchWait + 2*time.Second
	fetchBytesMax   = 1 << 20
	fetchDelayMin   = 20 * time.Millisecond // after a failure; doubled with each
	fetchDelayMax   = time.Second
	deafTicks       = 100 // how long a member waits for a leader before it fetches: two seconds
	shunnedFetches  = 20  // for so many fetches a leader that could not be reached is not asked
	entriesPerFetch = 1 << 16
)

// follower is what the loop knows about fetching.
type follower struct {
	fetching bool
	deaf     int            // ticks since a leader was heard of; it stays at deafTicks for a node that is no member
	leader   cluster.NodeID // as the last answer said
	epoch    int32
	failures int // in a row
	asked    int // whom to ask next, when not the leader
	shunned  int // so many fetches before the leader is asked again
	// behind says that the end of the log is not the voters': this node was a voter and has entries that were overruled.
	behind bool
}

// fetchPlan is one fetch: the entries behind index, from node.
type fetchPlan struct {
	node        cluster.NodeID
	index, term uint64 // of the last entry that is here
	committed   uint64 // the index up to which this node knows that entries are
	delay       time.Duration
}

// fetchResult is what a fetch has brought.
type fetchResult struct {
	fetchPlan
	err           error
	leader        cluster.NodeID
	epoch         int32
	highWatermark uint64 // the index up to which the voter knows that entries are committed
	entries       []*pb.Entry
	diverging     bool
	snapshot      *fetchedSnapshot
}

// member tells whether this node is a voter or a learner, as far as it knows.
func (q *Quorum) member() bool {
	conf, self := q.storage.saved.conf, q.cfg.Self.RaftID()
	return slices.Contains(conf.GetVoters(), self) || slices.Contains(conf.GetLearners(), self)
}

// follows tells whether this node has to ask for the log: nobody sends it.
func (q *Quorum) follows() bool { return !q.loop.leading && q.loop.follower.deaf >= deafTicks }

// fetchIfDue starts a fetch beside the loop. There is one at a time.
func (q *Quorum) fetchIfDue() error {
	f := &q.loop.follower
	if q.cfg.Fetch == nil || f.fetching || !q.follows() {
		return nil
	}
	node, ok := q.whomToAsk()
	if !ok {
		return nil
	}
	plan := fetchPlan{node: node}
	if f.failures > 0 {
		d := min(fetchDelayMin<<min(f.failures, 10), fetchDelayMax)
		plan.delay = d/2 + rand.N(d)
	}
	var err error
	if plan.index, err = q.storage.memory.LastIndex(); err != nil {
		return err
	}
	plan.committed = q.raft.BasicStatus().GetCommit()
	if f.behind {
		plan.index = plan.committed
	}
	if plan.term, err = q.storage.memory.Term(plan.index); err != nil {
		return err
	}
	f.fetching = true
	q.done.Go(func() { q.fetches <- q.fetch(plan) })
	return nil
}

// whomToAsk returns the leader, or the others in turn when it cannot be reached or is not known.
func (q *Quorum) whomToAsk() (cluster.NodeID, bool) {
	f := &q.loop.follower
	var nodes []cluster.NodeID
	for _, v := range q.cfg.Voters {
		nodes = append(nodes, v.NodeID)
	}
	for id, v := range q.loop.voters {
		if slices.Contains(q.storage.saved.conf.GetVoters(), id) {
			nodes = append(nodes, v.NodeID)
		}
	}
	slices.Sort(nodes)
	nodes = slices.DeleteFunc(slices.Compact(nodes), func(id cluster.NodeID) bool { return id == q.cfg.Self.NodeID })
	if len(nodes) == 0 {
		return 0, false
	}
	if f.shunned == 0 && slices.Contains(nodes, f.leader) {
		return f.leader, true
	}
	f.shunned = max(f.shunned-1, 0)
	f.asked++
	return nodes[f.asked%len(nodes)], true
}

// fetch asks a voter. It runs beside the loop.
func (q *Quorum) fetch(plan fetchPlan) (r fetchResult) {
	r = fetchResult{fetchPlan: plan, leader: cluster.NoLeader, epoch: -1}
	select {
	case <-time.After(plan.delay):
	case <-q.ctx.Done():
		r.err = ErrClosed
		return r
	}
	ctx, cancel := context.WithTimeout(q.ctx, fetchTimeout)
	defer cancel()
	resp, release, err := q.cfg.Fetch(ctx, plan.node, q.fetchRequest(plan))
	if err != nil {
		r.err = err
		return r
	}
	defer release()
	reply, err := onlyPartition(resp)
	if err != nil {
		r.err = err
		return r
	}
	r.leader, r.epoch = reply.CurrentLeader.LeaderID, reply.CurrentLeader.LeaderEpoch
	r.highWatermark = uint64(max(reply.HighWatermark, 0))
	r.diverging = reply.DivergingEpoch != wire.NoEpochEnd
	if reply.SnapshotID != wire.NoEpochEnd {
		r.snapshot, r.err = q.fetchSnapshot(plan.node, reply.SnapshotID)
	} else if !r.diverging && reply.Records != nil {
		r.err = r.readEntries(reply.Records)
	}
	return r
}

func (q *Quorum) fetchRequest(plan fetchPlan) *wire.FetchRequest {
	p := wire.NewFetchPartition(0, int64(plan.index))
	p.PartitionMaxBytes, p.ReplicaDirectoryID = fetchBytesMax, q.cfg.Self.DirectoryID
	p.HighWatermark = int64(plan.committed)
	if plan.index > 0 {
		p.LastFetchedEpoch = int32(plan.term)
	}
	return &wire.FetchRequest{
		Version: wire.FetchVersion, ClusterID: &q.cfg.ClusterID, ReplicaID: q.cfg.Self.NodeID, ReplicaEpoch: -1,
		MaxWaitMillis: int32(fetchWait / time.Millisecond), MinBytes: 1, MaxBytes: fetchBytesMax, SessionEpoch: -1,
		Topics: []wire.FetchTopic{{Topic: MetadataTopic, TopicID: MetadataTopicID, Partitions: []wire.FetchPartition{p}}},
	}
}

// onlyPartition returns the one partition that an answer is about.
func onlyPartition(resp *wire.FetchResponse) (*wire.FetchPartitionReply, error) {
	if resp.Error != wire.None {
		return nil, fmt.Errorf("fetch of the metadata log: %v", resp.Error)
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return nil, errors.New("fetch of the metadata log: the answer is not about one partition")
	}
	reply := &resp.Topics[0].Partitions[0]
	if reply.Error != wire.None {
		return nil, fmt.Errorf("fetch of the metadata log: %v", reply.Error)
	}
	return reply, nil
}

// readEntries takes the entries out of an answer and verifies that they continue what is here, and are committed.
func (r *fetchResult) readEntries(records wire.RecordSource) error {
	b, err := records.AppendTo(nil)
	if err != nil {
		return err
	}
	index, term := r.index, r.term
	for len(b) > 0 && len(r.entries) < entriesPerFetch {
		h, err := record.ReadHeader(b)
		if err != nil {
			return err
		}
		if h.Size() > len(b) {
			return fmt.Errorf("metadata offset %d: %d of %d bytes", h.BaseOffset, len(b), h.Size())
		}
		if _, err := record.CheckInternal(b[:h.Size()]); err != nil {
			return fmt.Errorf("metadata offset %d: %w", h.BaseOffset, err)
		}
		e, err := readEntry(b[:h.Size()])
		if err != nil {
			return err
		}
		if e.GetIndex() != index+1 || e.GetTerm() < term || e.GetIndex() > r.highWatermark {
			return fmt.Errorf("metadata offset %d of epoch %d behind offset %d of epoch %d, committed below %d",
				e.GetIndex()-1, e.GetTerm(), int64(index)-1, term, r.highWatermark)
		}
		index, term = e.GetIndex(), e.GetTerm()
		r.entries, b = append(r.entries, e), b[h.Size():]
	}
	return nil
}

// fetched takes over what a fetch has brought. It runs in the loop.
func (q *Quorum) fetched(r fetchResult) error {
	f := &q.loop.follower
	f.fetching = false
	if r.err != nil {
		f.failures++
		if r.node == f.leader {
			f.shunned = shunnedFetches
		}
		if f.failures == 10 {
			q.log.Warn("the metadata log cannot be fetched", "node", r.node, "err", r.err)
		}
		return nil
	}
	f.failures = 0
	if !q.follows() { // raft's own messages have come meanwhile
		return nil
	}
	q.heardOfLeader(r.leader, r.epoch)
	switch {
	case r.diverging:
		return q.diverged(r)
	case r.snapshot != nil:
		return q.installFetched(r)
	}
	f.behind = false
	return q.feed(r)
}

// heardOfLeader notes which node leads, for a node that raft does not tell.
func (q *Quorum) heardOfLeader(leader cluster.NodeID, epoch int32) {
	f := &q.loop.follower
	if epoch < f.epoch {
		return // of a voter that does not know better
	}
	if leader != f.leader {
		f.shunned = 0
	}
	f.leader, f.epoch = leader, epoch
	q.noteController()
	if q.leader() != cluster.NoLeader {
		q.retryWaiting()
	}
}

// feed gives fetched entries to raft as a message of no leader: they are committed.
func (q *Quorum) feed(r fetchResult) error {
	status := q.raft.BasicStatus()
	commit := min(r.highWatermark, r.index+uint64(len(r.entries)))
	// A voter that has not got as far as this node has not compared the two logs.
	if r.index > r.highWatermark || r.index < status.GetCommit() || commit <= status.GetCommit() {
		return nil
	}
	term := max(status.GetTerm(), uint64(max(r.epoch, 0)), r.term)
	if n := len(r.entries); n > 0 {
		term = max(term, r.entries[n-1].GetTerm())
	}
	return q.raft.Step(&pb.Message{
		Type: pb.MsgApp.Enum(), To: new(q.cfg.Self.RaftID()), Term: new(term),
		Index: new(r.index), LogTerm: new(r.term), Entries: r.entries, Commit: new(commit),
	})
}

// diverged begins again at what is known to be committed here. Where a leader of a later epoch does not have that either, one
// of the two has lost what was committed, and which one is not for this node to guess. One of the same epoch or an earlier one
// may have been overruled and not know it yet.
func (q *Quorum) diverged(r fetchResult) error {
	f := &q.loop.follower
	if !f.behind {
		f.behind = true
		return nil
	}
	if r.node != r.leader || int64(r.epoch) <= int64(r.term) || r.index > q.raft.BasicStatus().GetCommit() {
		f.failures++
		f.shunned = shunnedFetches
		return nil
	}
	return fmt.Errorf("%w: the metadata log of this node has an entry of epoch %d at offset %d that was committed, and the leader, node %d, does not have it: one of the two has lost data or is of another cluster; when it is this node, empty its metadata folder and start it again",
		errDamaged, r.term, int64(r.index)-1, r.leader)
}
