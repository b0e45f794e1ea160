package quorum

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/vfs"
	"github.com/logbahn/logbahn/internal/wire"
)

// simulated is a cluster in memory, in a synctest bubble: nodes on disks that lose power, over a network that loses, doubles,
// delays and reorders messages, and is cut. Whatever happens, it checks what a quorum promises.
type simulated struct {
	t        *testing.T
	seed     uint64
	change   func(*Config) // of every node's configuration
	attempts int           // of mustDo

	mu    sync.Mutex // never held while anything waits
	rng   *rand.Rand
	nodes map[cluster.NodeID]*simNode
	byID  map[uint64]*simNode // by raft id, of every directory that a node has had
	begun []Voter             // what the cluster began with
	cut   map[[2]cluster.NodeID]bool
	loss  float64
	check checker
	trace []string
}

// traceMax is how many of the last events are printed when a seed fails.
const traceMax = 4000

func (s *simulated) note(id cluster.NodeID, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.trace) == traceMax {
		s.trace = slices.Delete(s.trace, 0, traceMax/4)
	}
	s.trace = append(s.trace, fmt.Sprintf("%s node %d: %s", time.Now().Format("05.000"), id, fmt.Sprintf(format, args...)))
}

// traced is a node's logger, into the trace.
type traced struct {
	slog.Handler
	s  *simulated
	id cluster.NodeID
}

func (h traced) Enabled(context.Context, slog.Level) bool { return true }

func (h traced) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
	h.s.note(h.id, "%s", text)
	return nil
}

type simNode struct {
	id   cluster.NodeID
	mem  *vfs.Mem
	disk *vfs.Faults
	self Voter
	v    *voterNode // nil while it is down
	// after is what a power loss in the middle of its work has left; the node has not been stopped yet.
	after *vfs.Mem
}

func simulate(t *testing.T, seed uint64, voters int) *simulated {
	s := &simulated{
		t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 77)),
		nodes: map[cluster.NodeID]*simNode{}, byID: map[uint64]*simNode{}, cut: map[[2]cluster.NodeID]bool{},
	}
	s.check = checker{
		fail:     func(format string, args ...any) { t.Errorf("seed %d: "+format, append([]any{seed}, args...)...) },
		byOffset: map[int64]link{}, offsets: map[string]int64{}, leaders: map[uint64]uint64{}, votes: map[[2]uint64]uint64{}, terms: map[uint64]uint64{},
		acked: map[string]bool{}, refused: map[string]bool{},
	}
	for id := range cluster.NodeID(voters) {
		s.begun = append(s.begun, s.add(id+1).self)
	}
	return s
}

// add makes a node with an empty disk.
func (s *simulated) add(id cluster.NodeID) *simNode {
	n := &simNode{id: id}
	s.wipe(n)
	s.nodes[id] = n
	return n
}

// wipe gives a node that is down an empty disk, with a directory id of its own.
func (s *simulated) wipe(n *simNode) {
	n.mem = vfs.NewMem()
	dir, err := commitlog.OpenDir(commitlog.DirConfig{FS: n.mem, Path: "data", ClusterID: "c", NodeID: n.id})
	if err != nil {
		s.t.Fatal(err)
	}
	n.self = Voter{NodeID: n.id, DirectoryID: dir.DirectoryID()}
	if err := dir.Close(); err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byID[n.self.RaftID()] = n
}

// start opens a node on what its disk holds.
func (s *simulated) start(n *simNode) error {
	n.disk = vfs.Inject(n.mem)
	v, err := openVoter(s.t, n.disk, n.id, func(c *Config) {
		c.Voters, c.SnapshotBytes, c.Machine, c.Transport = s.begun, 1500, chain{}, simPort{s, n}
		c.Fetch, c.Request = simPort{s, n}.fetch, simPort{s, n}.request
		c.Logger = slog.New(traced{slog.DiscardHandler, s, n.id})
		if s.change != nil {
			s.change(c)
		}
	})
	if err != nil {
		return fmt.Errorf("node %d: %w", n.id, err)
	}
	st := v.q.Status()
	s.note(n.id, "started: raft id %x epoch %d committed %d end %d", n.self.RaftID(), st.Epoch, st.HighWatermark, st.EndOffset)
	s.mu.Lock()
	n.v = v
	s.mu.Unlock()
	last := int64(-2)
	v.q.Subscribe(func(img *cluster.Image, _ cluster.Delta) {
		if img.Offset() < last {
			s.check.fail("node %d publishes offset %d after %d", n.id, img.Offset(), last)
		}
		last = img.Offset()
		s.check.image(n.id, img)
	})
	return nil
}

func (s *simulated) mustStart(nodes ...*simNode) {
	for _, n := range nodes {
		if err := s.start(n); err != nil {
			s.t.Fatalf("seed %d: %v", s.seed, err)
		}
	}
}

func (s *simulated) startAll() {
	for _, id := range slices.Sorted(maps.Keys(s.nodes)) {
		if n := s.nodes[id]; n.v == nil {
			s.mustStart(n)
		}
	}
}

// stop ends a node: in order, by kill -9, or by a power loss.
func (s *simulated) stop(n *simNode, how func(*vfs.Mem) *vfs.Mem) {
	n.disk.Clear() // a stop in order has something to write
	s.mu.Lock()
	v, ordered := n.v, false
	n.v = nil
	switch {
	case n.after != nil:
		n.mem, n.after = n.after, nil
	case how != nil:
		n.mem = how(n.mem)
	default:
		ordered = true
	}
	s.mu.Unlock()
	s.note(n.id, "stopped, in order: %v", ordered)
	v.q.Close()
	if err := v.dir.Close(); err != nil && ordered {
		s.check.fail("node %d stops: %v", n.id, err)
	}
}

// losePowerAt makes a node lose power at one of its next calls of the disk.
func (s *simulated) losePowerAt(n *simNode, call int, seed uint64) {
	mem := n.mem
	n.disk.Add(vfs.Rule{From: call, Times: 1, Fault: vfs.Fault{Before: func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if n.mem == mem && n.after == nil {
			n.after = mem.Crash(seed)
		}
	}}})
}

// restartCrashed starts the nodes again that have lost power in the middle of their work.
func (s *simulated) restartCrashed() {
	for _, id := range slices.Sorted(maps.Keys(s.nodes)) {
		n := s.nodes[id]
		s.mu.Lock()
		crashed := n.after != nil
		s.mu.Unlock()
		if crashed && n.v != nil {
			s.stop(n, nil)
			s.mustStart(n)
		}
	}
}

func kill(m *vfs.Mem) *vfs.Mem { return m.Kill() }

func powerLoss(seed uint64) func(*vfs.Mem) *vfs.Mem {
	return func(m *vfs.Mem) *vfs.Mem { return m.Crash(seed) }
}

func (s *simulated) stopAll() {
	for _, n := range s.nodes {
		if n.v != nil {
			s.stop(n, nil)
		}
	}
}

// running returns the quorum of a node, nil while it is down.
func (s *simulated) running(id cluster.NodeID) *Quorum {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.nodes[id]; n != nil && n.v != nil {
		return n.v.q
	}
	return nil
}

// leader returns the node that leads, nil when none does.
func (s *simulated) leader() *simNode {
	var leader *simNode
	for _, n := range s.nodes {
		if q := s.running(n.id); q != nil {
			if st := q.Status(); st.Leading && (leader == nil || st.Epoch > s.running(leader.id).Status().Epoch) {
				leader = n
			}
		}
	}
	return leader
}

// await lets virtual time pass until ok is true.
func (s *simulated) await(d time.Duration, what string, ok func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(d); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("seed %d: %s: not within %v\n%s", s.seed, what, d, s.describe())
		}
	}
}

func (s *simulated) describe() string {
	text := ""
	for _, id := range slices.Sorted(maps.Keys(s.nodes)) {
		q := s.running(id)
		if q == nil {
			text += fmt.Sprintf("node %d is down\n", id)
			continue
		}
		st := q.Status()
		text += fmt.Sprintf("node %d: leader %d epoch %d committed %d end %d image %d failed %v members %v\n",
			id, st.Leader, st.Epoch, st.HighWatermark, st.EndOffset, q.Image().Offset(), q.Err(), st.Members)
	}
	return text
}

// do commits a key through any node that leads, and remembers what it is told of it.
func (s *simulated) do(ctx context.Context, key string) bool {
	n := s.leader()
	return n != nil && s.doAt(ctx, n, key)
}

func (s *simulated) doAt(ctx context.Context, n *simNode, key string) bool {
	q := s.running(n.id)
	if q == nil {
		return false
	}
	_, err := q.Do(ctx, set(key))
	s.check.outcome(key, q.Image(), err)
	return err == nil
}

// mustDo commits keys through whoever leads. Each attempt has a name of its own: the checker tells those that were refused.
func (s *simulated) mustDo(keys ...string) {
	s.t.Helper()
	for _, key := range keys {
		s.await(20*time.Second, "commit "+key, func() bool {
			ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
			defer cancel()
			s.attempts++
			return s.do(ctx, fmt.Sprintf("%s/%d", key, s.attempts))
		})
	}
}

// ask runs a request at whoever leads, until it is answered.
func simAsk[R kmsg.Response](s *simulated, req kmsg.Request) (resp R) {
	s.t.Helper()
	s.await(60*time.Second, fmt.Sprintf("answer to %T", req), func() bool {
		n := s.leader()
		if n == nil {
			return false
		}
		ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
		defer cancel()
		answer, err := s.running(n.id).Do(ctx, req)
		if err != nil {
			return false
		}
		resp = answer.(R)
		return true
	})
	return resp
}

// settle heals everything and waits until all nodes have the same image, with all that was acknowledged.
func (s *simulated) settle() {
	s.t.Helper()
	s.mu.Lock()
	clear(s.cut)
	s.loss = 0
	s.mu.Unlock()
	for _, n := range s.nodes {
		n.disk.Clear()
	}
	s.restartCrashed()
	s.startAll()
	s.mustDo("settled")
	s.await(60*time.Second, "all nodes have the same image", func() bool {
		var first *cluster.Image
		for _, n := range s.nodes {
			img := s.running(n.id).Image()
			if first == nil {
				first = img
			}
			if img.Offset() != first.Offset() || img.ControllerID() == cluster.NoLeader {
				return false
			}
		}
		return true
	})
	for _, n := range s.nodes {
		s.check.complete(n.id, s.running(n.id).Image())
	}
	s.t.Logf("seed %d: %d keys acknowledged, %d refused, %d leaders, %d votes\n%s",
		s.seed, len(s.check.acked), len(s.check.refused), len(s.check.leaders), len(s.check.votes), s.describe())
}

func (s *simulated) isolate(id cluster.NodeID, cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for other := range s.nodes {
		s.cut[[2]cluster.NodeID{id, other}], s.cut[[2]cluster.NodeID{other, id}] = cut, cut
	}
}

// simPort is what a node sees of the network.
type simPort struct {
	s *simulated
	n *simNode
}

// Send implements Transport.
func (p simPort) Send(messages []*pb.Message) {
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range messages {
		s.check.message(m)
		to := s.byID[m.GetTo()]
		if to == nil {
			continue
		}
		for copies := s.copies(); copies > 0; copies-- {
			m := proto.Clone(m).(*pb.Message)
			time.AfterFunc(s.delay(), func() { s.deliver(p.n.id, to, m) })
		}
	}
}

// copies returns how often a message arrives.
func (s *simulated) copies() int {
	switch {
	case s.rng.Float64() < s.loss:
		return 0
	case s.rng.Float64() < s.loss/2:
		return 2
	}
	return 1
}

func (s *simulated) delay() time.Duration {
	d := time.Duration(s.rng.Int64N(int64(5 * time.Millisecond)))
	if s.rng.Float64() < s.loss {
		d += time.Duration(s.rng.Int64N(int64(400 * time.Millisecond)))
	}
	return d
}

func (s *simulated) reaches(from, to cluster.NodeID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.cut[[2]cluster.NodeID{from, to}]
}

func (s *simulated) deliver(from cluster.NodeID, to *simNode, m *pb.Message) {
	if q := s.running(to.id); q != nil && s.reaches(from, to.id) {
		q.Step(m)
	}
}

var errSimLost = errors.New("the network has lost it")

// carry takes as long as the way from one node to another, or fails.
func (p simPort) carry(ctx context.Context, from, to cluster.NodeID) (*Quorum, error) {
	p.s.mu.Lock()
	copies, delay := p.s.copies(), p.s.delay()
	p.s.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	q := p.s.running(to)
	if copies == 0 || q == nil || !p.s.reaches(from, to) {
		return nil, errSimLost
	}
	return q, nil
}

func (p simPort) fetch(ctx context.Context, to cluster.NodeID, req *wire.FetchRequest) (*wire.FetchResponse, func(), error) {
	asked := &wire.FetchRequest{}
	if err := asked.Decode(req.Version, req.AppendTo(nil)); err != nil {
		return nil, nil, err
	}
	q, err := p.carry(ctx, p.n.id, to)
	if err != nil {
		return nil, nil, err
	}
	body, err := q.Fetch(ctx, asked).AppendTo(nil)
	if err != nil {
		return nil, nil, err
	}
	if _, err := p.carry(ctx, to, p.n.id); err != nil {
		return nil, nil, err
	}
	resp := &wire.FetchResponse{Version: req.Version}
	return resp, func() {}, resp.Decode(body)
}

func (p simPort) request(ctx context.Context, to cluster.NodeID, req kmsg.Request) (kmsg.Response, error) {
	q, err := p.carry(ctx, p.n.id, to)
	if err != nil {
		return nil, err
	}
	resp := q.FetchSnapshot(req.(*kmsg.FetchSnapshotRequest))
	_, err = p.carry(ctx, to, p.n.id)
	return resp, err
}

// chain is a machine whose image is the last key and a hash of all keys before it, in their order.
type chain struct{ configurer }

func (chain) Handle(_ int64, img *cluster.Image, req kmsg.Request) (kmsg.Response, []cluster.Change) {
	create := req.(*kmsg.CreateTopicsRequest)
	var changes []cluster.Change
	for _, t := range create.Topics {
		next := linkOf(img).next(t.Topic)
		hash := fmt.Sprintf("%016x", next.hash)
		for key, value := range map[string]*string{"hash": &hash, "key": &next.key} {
			changes = append(changes, cluster.SetConfig{Resource: cluster.Resource{Type: cluster.BrokerDefaultResource}, Key: key, Value: value})
		}
	}
	return create.ResponseKind(), changes
}

// link is the image of a chain.
type link struct {
	hash uint64
	key  string
}

func linkOf(img *cluster.Image) (l link) {
	config := img.Config(cluster.Resource{Type: cluster.BrokerDefaultResource})
	_, _ = fmt.Sscanf(config["hash"], "%x", &l.hash)
	l.key = config["key"]
	return l
}

func (l link) next(key string) link {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, l.hash, key)
	return link{h.Sum64(), key}
}

// checker holds the cluster to its promises.
type checker struct {
	fail     func(format string, args ...any)
	mu       sync.Mutex
	byOffset map[int64]link       // the image at an offset, as anybody has seen it
	offsets  map[string]int64     // of the keys in byOffset
	leaders  map[uint64]uint64    // by term
	votes    map[[2]uint64]uint64 // by voter and term
	terms    map[uint64]uint64    // by voter, the newest that it has spoken of
	acked    map[string]bool
	refused  map[string]bool
}

// image: all nodes have the same image at an offset.
func (c *checker) image(id cluster.NodeID, img *cluster.Image) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := linkOf(img)
	if before, ok := c.byOffset[img.Offset()]; ok && before != l {
		c.fail("node %d has another image at offset %d: %v, not %v", id, img.Offset(), l, before)
	}
	c.byOffset[img.Offset()], c.offsets[l.key] = l, img.Offset()
}

// message: one leader in a term, one vote of a voter in a term, no voter falls back to an earlier term.
func (c *checker) message(m *pb.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	from, term := m.GetFrom(), m.GetTerm()
	switch m.GetType() {
	case pb.MsgPreVote, pb.MsgPreVoteResp:
		return // of terms to come
	case pb.MsgApp, pb.MsgHeartbeat, pb.MsgSnap:
		if before, ok := c.leaders[term]; ok && before != from {
			c.fail("%x and %x lead in term %d", before, from, term)
		}
		c.leaders[term] = from
	case pb.MsgVote:
		c.vote(from, term, from)
	case pb.MsgVoteResp:
		if !m.GetReject() {
			c.vote(from, term, m.GetTo())
		}
	}
	if term < c.terms[from] {
		c.fail("%x speaks of term %d after %d: %v", from, term, c.terms[from], m.GetType())
	}
	c.terms[from] = term
}

func (c *checker) vote(voter, term, candidate uint64) {
	key := [2]uint64{voter, term}
	if before, ok := c.votes[key]; ok && before != candidate {
		c.fail("%x votes for %x and for %x in term %d", voter, before, candidate, term)
	}
	c.votes[key] = candidate
}

// outcome notes what a caller was told about a key.
func (c *checker) outcome(key string, img *cluster.Image, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.acked[key] = true
		if offset, ok := c.offsets[key]; !ok || img.Offset() < offset {
			c.fail("%s is acknowledged and not in the image of offset %d", key, img.Offset())
		}
	case errors.Is(err, ErrNotController):
		c.refused[key] = true
	}
}

// complete: an image of the end is made of all that was ever seen, with all that was acknowledged and nothing that was refused.
func (c *checker) complete(id cluster.NodeID, img *cluster.Image) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := link{}
	for _, offset := range slices.Sorted(maps.Keys(c.byOffset)) {
		seen := c.byOffset[offset]
		if offset > img.Offset() || offset < 0 {
			continue
		}
		if all = all.next(seen.key); all != seen {
			c.fail("%s at offset %d is not behind what was seen before it", seen.key, offset)
			return
		}
	}
	if all != linkOf(img) {
		c.fail("node %d has %v at the end, not %v", id, linkOf(img), all)
	}
	for key := range c.acked {
		if _, ok := c.offsets[key]; !ok {
			c.fail("%s was acknowledged and is nowhere", key)
		}
	}
	for key := range c.refused {
		if offset, ok := c.offsets[key]; ok {
			c.fail("%s was refused as another's to decide, and is at offset %d", key, offset)
		}
	}
}

// isMember tells whether a node takes itself for one. Its loop has to stand still: the state is the loop's own.
func (v *voterNode) isMember() bool {
	synctest.Wait()
	return v.q.member()
}

// bubble runs f in a synctest bubble on a simulated cluster, and stops its nodes.
func bubble(t *testing.T, seed uint64, voters int, f func(s *simulated)) {
	synctest.Test(t, func(t *testing.T) {
		s := simulate(t, seed, voters)
		defer func() {
			if t.Failed() {
				t.Log(strings.Join(s.trace, "\n"))
			}
			s.stopAll()
		}()
		f(s)
	})
}
