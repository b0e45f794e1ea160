package controller

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// TestNoCommittedRecordIsLost plays a cluster of three to six brokers that replicate as Kafka's protocol has it, each with a
// view of the metadata that lags, while they crash, lose disks, stop, return, and operators move, resize and reconfigure
// what they hold. Whoever is elected must have every record that was committed, unless the election is flagged as unclean;
// and that none is unless it was allowed. LOGBAHN_CONTROLLER_SEEDS=from:to plays other seeds, LOGBAHN_SEED=n one.
func TestNoCommittedRecordIsLost(t *testing.T) {
	from, to := seedRange(t, 1500)
	elections, committed := 0, 0
	for seed := from; seed < to; seed++ {
		g := newGame(t, seed)
		for range 150 {
			g.step()
		}
		elections += g.elections
		for _, records := range g.committed {
			committed += len(records)
		}
	}
	if to-from >= 100 && (elections < int(to-from) || committed < int(to-from)) {
		t.Errorf("%d elections and %d records in %d games: nothing was played", elections, committed, to-from)
	}
}

func seedRange(t *testing.T, n uint64) (from, to uint64) {
	t.Helper()
	number := func(s string) uint64 {
		v, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if s := os.Getenv("LOGBAHN_SEED"); s != "" {
		return number(s), number(s) + 1
	}
	if s := os.Getenv("LOGBAHN_CONTROLLER_SEEDS"); s != "" {
		first, last, _ := strings.Cut(s, ":")
		return number(first), number(last)
	}
	return 0, n
}

// rec is a record: the epoch that it was written in, and which one it is.
type rec struct {
	epoch int32
	id    int
}

// player is a broker, with what it knows and what it has on its disk.
type player struct {
	id        cluster.NodeID
	up        bool
	stopping  bool
	run       byte
	dir       byte
	epoch     int64 // -1 while it is not registered in this run
	cleanStop int64 // the epoch of the last run if that was stopped, -1
	view      *cluster.Image
	logs      map[partitionKey][]rec
	watermark map[partitionKey]int
	leads     map[partitionKey]*lead
}

// lead is what a leader knows in one epoch.
type lead struct {
	epoch    int32
	start    int // its end when it began
	ends     map[cluster.NodeID]int
	epochs   map[cluster.NodeID]int64
	proposed []cluster.NodeID // the in-sync set asked for, until the view has another partition epoch
	upon     int32
}

type game struct {
	t         *testing.T
	seed      uint64
	r         *rand.Rand
	w         *world
	images    []*cluster.Image
	players   []*player
	committed map[partitionKey][]rec
	forgiven  map[partitionKey]int32 // the leader epoch of the last loss that was allowed
	unclean   bool                   // elections may be unclean
	flushOS   bool
	nextID    int
	elections int
	runs      byte
	trace     []string
}

func newGame(t *testing.T, seed uint64) *game {
	r := rand.New(rand.NewPCG(seed, 5))
	g := &game{t: t, seed: seed, r: r, committed: make(map[partitionKey][]rec), forgiven: make(map[partitionKey]int32), unclean: r.IntN(4) == 0, flushOS: r.IntN(3) == 0}
	g.w = newWorld(t, Config{FlushOS: g.flushOS, Rebalance: true, RebalanceMs: 20_000})
	g.images = []*cluster.Image{g.w.img}
	for i := range 3 + r.IntN(4) {
		p := &player{id: cluster.NodeID(i + 1), epoch: -1, cleanStop: -1, dir: byte(i + 1)}
		p.erase()
		g.players = append(g.players, p)
		g.start(p)
		g.register(p)
		g.look(p, true)
		g.heartbeat(p)
	}
	g.createTopic()
	return g
}

func (p *player) erase() {
	p.logs, p.watermark, p.leads = make(map[partitionKey][]rec), make(map[partitionKey]int), make(map[partitionKey]*lead)
}

func (g *game) note(format string, args ...any) {
	g.trace = append(g.trace, fmt.Sprintf(format, args...))
}

func (g *game) fail(format string, args ...any) {
	g.t.Helper()
	g.t.Fatalf("seed %d (flush=os %v, unclean allowed %v): %s\n%s", g.seed, g.flushOS, g.unclean,
		fmt.Sprintf(format, args...), strings.Join(g.trace[max(0, len(g.trace)-60):], "\n"))
}

// do hands a request to the machine, and checks what its changes lead to.
func (g *game) do(req kmsg.Request) kmsg.Response {
	before := g.w.img
	resp, changes := g.w.do(req)
	g.check(before, changes)
	return resp
}

func (g *game) step() {
	p := g.players[g.r.IntN(len(g.players))]
	switch n := g.r.IntN(100); {
	case n < 18:
		g.heartbeat(p)
	case n < 30:
		g.look(p, false)
	case n < 50:
		g.fetch(p)
	case n < 62:
		g.lead(p)
	case n < 74:
		g.alterISR(p)
	case n < 82:
		g.pass()
	case n < 85:
		g.stopOrStart(p)
	case n < 87:
		g.bounce(p)
	case n < 90:
		g.reassign()
	case n < 93:
		g.elect()
	case n < 96:
		g.configure()
	case n < 97:
		g.createTopic()
	case n < 98:
		g.unregister(p)
	case n < 99:
		g.w.m = New(g.w.m.cfg)
		g.note("another controller")
	default:
		g.recover()
	}
}

// recover lets everybody do everything a few times, so that a game does not end in ruins.
func (g *game) recover() {
	for range 3 {
		for _, p := range g.players {
			if !p.up {
				g.start(p)
			}
			g.register(p)
			g.look(p, true)
			g.heartbeat(p)
			g.fetch(p)
		}
		for _, p := range g.players {
			g.lead(p)
			g.alterISR(p)
		}
	}
}

func (g *game) pass() {
	g.w.nowMs += g.r.Int64N(4000)
	for {
		before := g.w.img
		changes, more := g.w.m.Tick(g.w.nowMs, g.w.img)
		g.w.apply(changes)
		g.check(before, changes)
		if !more {
			break
		}
	}
	g.checkSettled()
}

func (g *game) start(p *player) {
	g.runs++
	p.up, p.stopping, p.run, p.epoch, p.view = true, false, g.runs, -1, nil
	p.leads = make(map[partitionKey]*lead)
}

func (g *game) stopOrStart(p *player) {
	switch {
	case !p.up:
		if g.r.IntN(10) == 0 {
			g.loseDisk(p)
		}
		g.start(p)
		g.register(p)
	case g.r.IntN(3) == 0:
		p.stopping = true
		g.note("%d is stopping", p.id)
	case g.up() > 1:
		g.crash(p)
	}
}

// bounce crashes a broker and lets it come back as soon as the others have missed it, before its leaders hear of it.
func (g *game) bounce(p *player) {
	if !p.up || g.up() == 1 {
		return
	}
	g.crash(p)
	for range 4 {
		g.pass()
		for _, other := range g.players {
			g.heartbeat(other)
		}
	}
	if g.r.IntN(4) == 0 {
		g.loseDisk(p)
	}
	g.start(p)
	g.register(p)
	g.look(p, true)
	g.heartbeat(p)
}

func (g *game) crash(p *player) {
	g.note("%d crashes", p.id)
	p.up, p.epoch, p.cleanStop = false, -1, -1
	if g.flushOS {
		for _, key := range slices.SortedFunc(maps.Keys(p.logs), compareKeys) {
			p.logs[key] = p.logs[key][:g.r.IntN(len(p.logs[key])+1)]
		}
	}
}

func (g *game) loseDisk(p *player) {
	p.dir += 20
	p.cleanStop = -1
	p.erase()
	g.note("%d has lost its disk", p.id)
}

func (g *game) up() (n int) {
	for _, p := range g.players {
		if p.up {
			n++
		}
	}
	return n
}

func (g *game) register(p *player) {
	if !p.up || p.epoch >= 0 {
		return
	}
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.Version = 4
	req.BrokerID, req.ClusterID, req.IncarnationID = p.id, "c", [16]byte{p.run, 1}
	req.LogDirs, req.PreviousBrokerEpoch = [][16]byte{{p.dir}}, p.cleanStop
	req.Listeners = append(req.Listeners, kmsg.BrokerRegistrationRequestListener{Name: "PLAINTEXT", Host: "localhost", Port: 9})
	resp := g.do(req).(*kmsg.BrokerRegistrationResponse)
	if resp.ErrorCode == 0 {
		g.note("%d registers with epoch %d after %d", p.id, resp.BrokerEpoch, p.cleanStop)
		p.epoch, p.cleanStop = resp.BrokerEpoch, -1
	} else if code := wire.Error(resp.ErrorCode); code != wire.DuplicateBrokerRegistration {
		g.fail("registration: %v", code)
	}
}

func (g *game) heartbeat(p *player) {
	g.register(p)
	if !p.up || p.epoch < 0 {
		return
	}
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	req.BrokerID, req.BrokerEpoch, req.WantShutdown = p.id, p.epoch, p.stopping
	req.CurrentMetadataOffset = -1
	if p.view != nil {
		req.CurrentMetadataOffset = p.view.Offset()
	}
	resp := g.do(req).(*kmsg.BrokerHeartbeatResponse)
	switch {
	case resp.ErrorCode != 0: // it was unregistered
		g.start(p)
	case resp.ShouldShutdown:
		g.note("%d has stopped", p.id)
		p.up, p.cleanStop, p.epoch = false, p.epoch, -1
	}
}

// look moves a broker's view to the newest image, or one on the way.
func (g *game) look(p *player, newest bool) {
	if !p.up || p.epoch < 0 {
		return
	}
	first := 0
	if p.view != nil {
		first = slices.Index(g.images, p.view)
	}
	at := len(g.images) - 1
	if !newest {
		at = first + g.r.IntN(len(g.images)-first)
	}
	b, ok := g.images[at].Broker(p.id)
	if p.view == nil && (!ok || b.Epoch != p.epoch) {
		return // it acts on an image that has its registration
	}
	p.view = g.images[at]
	for _, key := range slices.SortedFunc(maps.Keys(p.leads), compareKeys) {
		if part := partitionIn(p.view, key); part == nil || part.Leader != p.id || part.LeaderEpoch != p.leads[key].epoch {
			delete(p.leads, key)
		}
	}
	for topic := range p.view.TopicsOf(p.id) {
		for i := range topic.Partitions {
			key, part := partitionKey{topic.ID, int32(i)}, &topic.Partitions[i]
			switch l := p.leads[key]; {
			case part.Leader != p.id:
			case l == nil:
				p.leads[key] = &lead{epoch: part.LeaderEpoch, start: len(p.logs[key]),
					ends: map[cluster.NodeID]int{}, epochs: map[cluster.NodeID]int64{}}
			case l.upon != part.PartitionEpoch:
				l.proposed = nil
			}
		}
	}
}

func compareKeys(a, b partitionKey) int {
	return cmp.Or(slices.Compare(a.topic[:], b.topic[:]), cmp.Compare(a.index, b.index))
}

func partitionIn(img *cluster.Image, key partitionKey) *cluster.Partition {
	t, ok := img.TopicByID(key.topic)
	if !ok || int(key.index) >= len(t.Partitions) {
		return nil
	}
	return &t.Partitions[key.index]
}

// fetch lets a broker follow: it drops what its leader does not have, and takes what it has more.
func (g *game) fetch(p *player) {
	if !p.up || p.view == nil {
		return
	}
	for topic := range p.view.TopicsOf(p.id) {
		for i := range topic.Partitions {
			key, part := partitionKey{topic.ID, int32(i)}, &topic.Partitions[i]
			if part.Leader == p.id || part.Leader == cluster.NoLeader || !slices.Contains(part.Replicas, p.id) {
				continue
			}
			leader := g.players[part.Leader-1]
			l := leader.leads[key]
			if !leader.up || l == nil || l.epoch != part.LeaderEpoch {
				continue
			}
			from := leader.logs[key]
			same := common(p.logs[key], from)
			p.logs[key] = append(slices.Clone(p.logs[key][:same]), from[same:same+g.r.IntN(len(from)-same+1)]...)
			p.watermark[key] = min(len(p.logs[key]), leader.watermark[key])
			l.ends[p.id], l.epochs[p.id] = len(p.logs[key]), p.epoch
		}
	}
}

func common(a, b []rec) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// lead lets a broker append to what it leads, and commit what its view allows.
func (g *game) lead(p *player) {
	if !p.up || p.view == nil {
		return
	}
	for _, key := range slices.SortedFunc(maps.Keys(p.leads), compareKeys) {
		l, part := p.leads[key], partitionIn(p.view, key)
		if g.r.IntN(2) == 0 {
			g.nextID++
			p.logs[key] = append(p.logs[key], rec{l.epoch, g.nextID})
		}
		t, _ := p.view.TopicByID(key.topic)
		if len(part.ISR) < rulesOf(g.w.m, p.view, t).minISR(len(part.Replicas)) {
			continue
		}
		end := len(p.logs[key])
		for _, id := range append(slices.Clone(part.ISR), l.proposed...) {
			if id != p.id {
				end = min(end, l.ends[id])
			}
		}
		p.watermark[key] = max(p.watermark[key], end)
		if doomed := g.forgiven[key] > l.epoch; !doomed && end > len(g.committed[key]) {
			if lost := g.committed[key]; common(p.logs[key], lost) < len(lost) {
				g.fail("%d commits to %v what is not on what was committed: %v", p.id, key.index, lost)
			}
			g.committed[key] = slices.Clone(p.logs[key][:end])
			g.note("%d commits %d records of %x-%d in epoch %d", p.id, end, key.topic[:2], key.index, l.epoch)
		}
	}
}

// alterISR lets a leader take somebody out of the in-sync set, or let in who has caught up, or resign.
func (g *game) alterISR(p *player) {
	if !p.up || p.view == nil || p.epoch < 0 {
		return
	}
	for _, key := range slices.SortedFunc(maps.Keys(p.leads), compareKeys) {
		l, part := p.leads[key], partitionIn(p.view, key)
		var isr []cluster.NodeID
		for _, id := range part.Replicas {
			in := slices.Contains(part.ISR, id)
			caughtUp := l.epochs[id] != 0 && l.ends[id] >= max(p.watermark[key], l.start)
			if id == p.id || in && g.r.IntN(5) > 0 || !in && caughtUp {
				isr = append(isr, id)
			}
		}
		if g.r.IntN(12) == 0 {
			isr = slices.DeleteFunc(slices.Clone(part.ISR), func(id cluster.NodeID) bool { return id == p.id })
		}
		if l.proposed != nil || slices.Equal(isr, part.ISR) {
			continue
		}
		l.proposed, l.upon = isr, part.PartitionEpoch
		if code := g.proposeISR(p, key, part, isr, l); code != wire.None && code != wire.NewLeaderElected {
			l.proposed = nil // it was refused
		}
	}
}

func (g *game) proposeISR(p *player, key partitionKey, part *cluster.Partition, isr []cluster.NodeID, l *lead) wire.Error {
	req := kmsg.NewPtrAlterPartitionRequest()
	req.Version, req.BrokerID, req.BrokerEpoch = 3, p.id, p.epoch
	rp := kmsg.NewAlterPartitionRequestTopicPartition()
	rp.Partition, rp.LeaderEpoch, rp.PartitionEpoch = key.index, part.LeaderEpoch, part.PartitionEpoch
	for _, id := range isr {
		m := kmsg.NewAlterPartitionRequestTopicPartitionNewEpochISR()
		m.BrokerID = id
		if !slices.Contains(part.ISR, id) {
			m.BrokerEpoch = l.epochs[id]
		}
		rp.NewEpochISR = append(rp.NewEpochISR, m)
	}
	req.Topics = []kmsg.AlterPartitionRequestTopic{{TopicID: key.topic, Partitions: []kmsg.AlterPartitionRequestTopicPartition{rp}}}
	resp := g.do(req).(*kmsg.AlterPartitionResponse)
	code := wire.Error(resp.ErrorCode)
	if code == wire.None {
		code = wire.Error(resp.Topics[0].Partitions[0].ErrorCode)
	}
	g.note("%d asks for %v of %x-%d upon %d: %v", p.id, isr, key.topic[:2], key.index, part.PartitionEpoch, code)
	return code
}

func rulesOf(m *Machine, img *cluster.Image, t *cluster.Topic) rules {
	b := m.brokers(img)
	return b.rules(t)
}

func (g *game) anyPartition() (*cluster.Topic, int32) {
	topics := slices.Collect(g.w.img.Topics())
	if len(topics) == 0 {
		return nil, 0
	}
	t := topics[g.r.IntN(len(topics))]
	return t, g.r.Int32N(int32(len(t.Partitions)))
}

func (g *game) createTopic() {
	req := kmsg.NewPtrCreateTopicsRequest()
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic = fmt.Sprintf("t%d", g.r.IntN(3))
	rt.NumPartitions, rt.ReplicationFactor = 1+g.r.Int32N(2), 1+int16(g.r.IntN(min(4, len(g.players))))
	minISR := fmt.Sprint(1 + g.r.IntN(3))
	rt.Configs = []kmsg.CreateTopicsRequestTopicConfig{{Name: minISRKey, Value: &minISR}}
	req.Topics = append(req.Topics, rt)
	g.do(req)
}

func (g *game) reassign() {
	t, index := g.anyPartition()
	if t == nil {
		return
	}
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	rp := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
	rp.Partition = index
	if g.r.IntN(3) > 0 {
		for _, i := range g.r.Perm(len(g.players))[:1+g.r.IntN(3)] {
			rp.Replicas = append(rp.Replicas, g.players[i].id)
		}
	}
	req.Topics = []kmsg.AlterPartitionAssignmentsRequestTopic{{Topic: t.Name, Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{rp}}}
	resp := g.do(req).(*kmsg.AlterPartitionAssignmentsResponse)
	g.note("reassign %s-%d to %v: %v", t.Name, index, rp.Replicas, wire.Error(resp.Topics[0].Partitions[0].ErrorCode))
}

func (g *game) elect() {
	t, index := g.anyPartition()
	if t == nil {
		return
	}
	req := kmsg.NewPtrElectLeadersRequest()
	req.Version = 2
	if g.unclean && g.r.IntN(3) == 0 {
		req.ElectionType = uncleanElection
	}
	req.Topics = []kmsg.ElectLeadersRequestTopic{{Topic: t.Name, Partitions: []int32{index}}}
	g.do(req)
}

func (g *game) configure() {
	t, _ := g.anyPartition()
	if t == nil {
		return
	}
	key, value := minISRKey, fmt.Sprint(1+g.r.IntN(3))
	if g.unclean && g.r.IntN(2) == 0 {
		key, value = uncleanKey, fmt.Sprint(g.r.IntN(2) == 0)
	}
	resource := kmsg.IncrementalAlterConfigsRequestResource{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: t.Name}
	if g.r.IntN(3) == 0 {
		resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeBroker, ""
	}
	resource.Configs = []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: key, Value: &value}}
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Resources = append(req.Resources, resource)
	g.do(req)
	g.note("%s=%s of %q", key, value, resource.ResourceName)
}

func (g *game) unregister(p *player) {
	if p.up {
		return
	}
	req := kmsg.NewPtrUnregisterBrokerRequest()
	req.BrokerID = p.id
	g.do(req)
	g.note("%d is unregistered", p.id)
}

// check compares the images before and after some changes, and each new leader's log with what was committed.
func (g *game) check(before *cluster.Image, changes []cluster.Change) {
	g.t.Helper()
	if len(changes) == 0 {
		return
	}
	g.images = append(g.images, g.w.img)
	for _, line := range describeChanges(g.w.img, changes) {
		g.note("  %s", line)
	}
	h := history{t: g.t, seed: g.seed, gone: map[cluster.UUID]bool{}, moves: true}
	h.follows(before, g.w.img)
	for t := range g.w.img.Topics() {
		r := rulesOf(g.w.m, g.w.img, t)
		for i := range t.Partitions {
			key, p := partitionKey{t.ID, int32(i)}, &t.Partitions[i]
			g.checkPartition(r, p)
			old := partitionIn(before, key)
			if old == nil || p.Leader == cluster.NoLeader || p.LeaderEpoch == old.LeaderEpoch {
				continue
			}
			g.elections++
			g.checkElection(r, key, old, p)
		}
	}
}

func (g *game) checkPartition(r rules, p *cluster.Partition) {
	g.t.Helper()
	both := slices.ContainsFunc(p.ELR, func(id cluster.NodeID) bool { return slices.Contains(p.ISR, id) })
	switch {
	case both:
		g.fail("in sync and eligible: %s", describePartition(*p))
	case len(p.ELR) > 0 && len(p.ISR) >= r.minISR(len(p.Replicas)):
		g.fail("eligible although enough are in sync: %s", describePartition(*p))
	case len(p.LastKnownELR) > 0 && p.Leader != cluster.NoLeader:
		g.fail("last known although somebody leads: %s", describePartition(*p))
	case !slices.IsSortedFunc(p.ISR, func(a, b cluster.NodeID) int {
		return slices.Index(p.Replicas, a) - slices.Index(p.Replicas, b)
	}):
		g.fail("the in-sync set is not in the order of the replicas: %s", describePartition(*p))
	}
}

func (g *game) checkElection(r rules, key partitionKey, old, p *cluster.Partition) {
	g.t.Helper()
	leader := g.players[p.Leader-1]
	log, had := leader.logs[key], g.committed[key]
	has := common(log, had)
	if p.UncleanEpoch == old.UncleanEpoch {
		if b, _ := g.w.img.Broker(p.Leader); !leader.up || b.Incarnation != (cluster.UUID{leader.run, 1}) {
			return // it is down, and cannot lead before it has registered
		}
		if g.flushOS && len(p.Replicas) == 1 {
			g.forgive(key, p, has) // what is promised no more with flush=os
		} else if has < len(had) {
			g.fail("%d leads %x-%d with %v, committed were %v", p.Leader, key.topic[:2], key.index, log, had)
		}
		return
	}
	if !g.unclean && !g.flushOS {
		g.fail("an unclean election of %x-%d that nobody has allowed: %s", key.topic[:2], key.index, describePartition(*p))
	}
	g.forgive(key, p, has)
}

// forgive notes that a leader rightly lacks what was committed. What older leaders, who do not know, commit is lost too.
func (g *game) forgive(key partitionKey, p *cluster.Partition, has int) {
	g.committed[key], g.forgiven[key] = g.committed[key][:has], p.LeaderEpoch
}

// checkSettled checks that who can lead does, once the machine has finished.
func (g *game) checkSettled() {
	g.t.Helper()
	for t := range g.w.img.Topics() {
		for i := range t.Partitions {
			p := &t.Partitions[i]
			led := p.Leader != cluster.NoLeader && len(liveOf(g.w.img, []cluster.NodeID{p.Leader})) > 0
			if !led && len(liveOf(g.w.img, append(slices.Clone(p.ISR), p.ELR...))) > 0 {
				g.fail("nobody live leads %s-%d: %s", t.Name, i, describePartition(*p))
			}
		}
	}
}
