package group

import (
	"bytes"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// More than rapid's default, less than a command line that asks.
func init() {
	flag.Set("rapid.checks", "500")
	flag.Set("rapid.steps", "60")
}

// TestRandomClients lets a handful of clients do what clients do, in any order and with any delay, restarts of the
// coordinator included, and holds the machine to what must always be true:
//
//   - a generation has one leader, one assignment, and every member is told of it what the leader decided;
//   - a commit is taken from members of the current generation only, and an offset never changes without a commit;
//   - a machine that replays the log has the offsets and the stored groups of the live one;
//   - every call is answered once, when enough time has passed;
//   - once nothing but what clients ought to do is done, the group is Stable soon: see settle.
func TestRandomClients(t *testing.T) {
	busy, settlings := 0, make(map[bool]int)
	defer func() {
		if busy == 0 || settlings[false] == 0 || settlings[true] == 0 {
			t.Error("no generation ever had two members, or the group was never held to its time: the test tests nothing")
		}
	}()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		t.Repeat(map[string]func(*rapid.T){
			"":           w.check,
			"proceed":    w.proceed,
			"proceed2":   w.proceed, // more likely than the wild ones
			"proceed3":   w.proceed,
			"proceed4":   w.proceed,
			"join":       w.join,
			"sync":       w.sync,
			"heartbeat":  w.heartbeat,
			"leave":      w.leave,
			"commit":     w.commit,
			"wait":       w.wait,
			"disconnect": w.disconnect,
			"crash":      w.crash,
			"settle":     w.settleSometimes,
			"restart":    w.restart,
			"delete":     w.delete,
		})
		w.end(t)
		for ghosts, n := range w.settlings {
			settlings[ghosts] += n
		}
		for _, members := range w.synced {
			if members > 1 {
				busy++
			}
		}
	})
	t.Logf("%d generations had more than one member, the group had to settle %d times, %d times with ghosts", busy, settlings[false]+settlings[true], settlings[true])
}

const worldGroup = "g"

type world struct {
	machine *Machine
	cfg     Config
	now     time.Time
	log     []Record
	nextID  uint64
	calls   map[uint64]asked
	clients []*client

	leaders  map[int32]string            // per generation, as told in JoinGroup
	decided  map[int32]map[string]string // per generation, what the leader sent and the log holds
	offsets  map[string]int64            // model of the committed offsets
	versions int64
	synced   map[int32]int // SyncGroups answered well, per generation

	settlings map[bool]int // with ghosts and without
}

// client is one process: it knows what the last reply told it.
type client struct {
	name       string
	instance   *string
	version    int16
	member     string
	generation int32
	leads      bool
	peers      []string
	parked     bool
	joined     bool // its generation waits for its SyncGroup
	synced     bool
	left       bool // does not come back by itself
}

// asked is what a call asked, and for whom; client is nil when its connection is gone.
type asked struct {
	client     *client
	member     string
	generation int32
}

func newWorld(t *rapid.T) *world {
	w := &world{now: time.UnixMilli(1), calls: make(map[uint64]asked)}
	ids := 0
	w.cfg = Config{
		NewID:                 func() string { ids++; return fmt.Sprint(ids) },
		InitialRebalanceDelay: initialDelay,
		OffsetsRetention:      time.Hour,
		SizeMax:               rapid.SampledFrom([]int{0, 3}).Draw(t, "size"),
	}
	w.forget()
	w.offsets, w.synced, w.settlings = make(map[string]int64), make(map[int32]int), make(map[bool]int)
	w.load(t)
	for i := range 4 {
		c := &client{name: string(rune('a' + i)), version: rapid.SampledFrom([]int16{3, 5, 9}).Draw(t, "version")}
		if c.version > 3 && i%2 == 1 {
			c.instance = ptr("i" + c.name)
		}
		w.clients = append(w.clients, c)
	}
	return w
}

func (w *world) forget() {
	w.leaders = make(map[int32]string)
	w.decided = make(map[int32]map[string]string)
}

func (w *world) load(t *rapid.T) {
	w.machine = New(w.cfg)
	for _, r := range w.log {
		if err := w.machine.Replay(r.Key, r.Value); err != nil {
			t.Fatal(err)
		}
	}
	w.machine.Loaded(w.now)
}

func (w *world) call(t *rapid.T, c *client, req kmsg.Request) {
	w.nextID++
	w.calls[w.nextID] = asked{c, c.member, c.generation}
	c.parked = true
	w.apply(t, w.machine.Handle(w.now, Call{ID: w.nextID, Client: Client{ID: c.name, Host: "h"}, Request: req}))
}

func (w *world) apply(t *rapid.T, r Result) {
	for _, rec := range r.Records {
		if err := w.machine.Replay(rec.Key, rec.Value); err != nil {
			t.Fatal(err)
		}
		w.log = append(w.log, rec)
		w.note(t, rec)
	}
	for _, reply := range r.Replies {
		call, waits := w.calls[reply.ID]
		if !waits {
			t.Fatalf("call %d is answered twice", reply.ID)
		}
		delete(w.calls, reply.ID)
		if c := call.client; c != nil {
			c.parked = w.requests(c) > 0
			w.answer(t, call, reply.Response)
		}
	}
}

// note keeps the model: what the log says is decided.
func (w *world) note(t *rapid.T, rec Record) {
	k, err := parseKey(rec.Key)
	if err != nil {
		t.Fatal(err)
	}
	if k.version < groupKeyVersion {
		key := fmt.Sprintf("%s-%d", k.topic, k.partition)
		if rec.Value == nil {
			delete(w.offsets, key)
		}
		return
	}
	if rec.Value == nil {
		w.forget() // generations begin anew
		return
	}
	v, err := parseGroupValue(rec.Value)
	if err != nil {
		t.Fatal(err)
	}
	given := make(map[string]string)
	for _, mem := range v.members {
		given[instanceOf(mem.id)] = string(mem.assignment)
	}
	if before := w.decided[v.generation]; before != nil && fmt.Sprint(before) != fmt.Sprint(given) {
		t.Fatalf("generation %d is decided twice: %v, %v", v.generation, before, given)
	}
	w.decided[v.generation] = given
}

// instanceOf drops the random part of a member id: a static member's place has one owner under changing ids.
func instanceOf(id string) string {
	if strings.HasPrefix(id, "i") {
		id, _, _ = strings.Cut(id, "-")
	}
	return id
}

func (w *world) answer(t *rapid.T, call asked, resp kmsg.Response) {
	c := call.client
	switch resp := resp.(type) {
	case *kmsg.JoinGroupResponse:
		w.joined(t, c, resp)
	case *kmsg.LeaveGroupResponse:
		if len(resp.Members) > 0 && resp.Members[0].ErrorCode == 0 && c.member == call.member {
			c.member, c.joined, c.synced, c.left = "", false, false, !c.parked
		}
	case *kmsg.HeartbeatResponse:
		c.synced = c.synced && resp.ErrorCode == 0
	case *kmsg.SyncGroupResponse:
		c.joined, c.synced = false, resp.ErrorCode == 0
		if resp.ErrorCode == 0 {
			w.synced[call.generation]++
			want, ok := w.decided[call.generation][instanceOf(call.member)]
			if !ok || want != string(resp.MemberAssignment) {
				t.Fatalf("%s got %q in generation %d, decided is %v", call.member, resp.MemberAssignment, call.generation, w.decided[call.generation])
			}
		}
	}
}

func (w *world) joined(t *rapid.T, c *client, resp *kmsg.JoinGroupResponse) {
	c.joined, c.synced = resp.ErrorCode == 0, false
	switch errorName(resp.ErrorCode) {
	case "ok":
		c.member, c.generation, c.leads, c.peers = resp.MemberID, resp.Generation, false, nil
		if resp.LeaderID == resp.MemberID && !resp.SkipAssignment {
			c.leads = true
			for _, m := range resp.Members {
				c.peers = append(c.peers, m.MemberID)
			}
		}
		if before := w.leaders[resp.Generation]; before != "" && instanceOf(before) != instanceOf(resp.LeaderID) {
			t.Fatalf("generation %d is led by %s and %s", resp.Generation, before, resp.LeaderID)
		}
		w.leaders[resp.Generation] = resp.LeaderID
	case "MEMBER_ID_REQUIRED":
		c.member = resp.MemberID
	case "UNKNOWN_MEMBER_ID", "FENCED_INSTANCE_ID", "GROUP_MAX_SIZE_REACHED":
		c.member = ""
	}
}

func (w *world) pick(t *rapid.T) *client {
	c := rapid.SampledFrom(w.clients).Draw(t, "client")
	if c.parked && !rapid.Bool().Draw(t, "again") {
		t.Skip("waits for a reply")
	}
	return c
}

// proceed does the next right thing.
func (w *world) proceed(t *rapid.T) {
	c := rapid.SampledFrom(w.clients).Draw(t, "client")
	switch {
	case c.parked:
		t.Skip("waits for a reply")
	default:
		w.sendNext(t, c)
	}
}

func (w *world) sendNext(t *rapid.T, c *client) {
	switch {
	case c.joined:
		w.sendSync(t, c)
	case c.synced:
		w.sendHeartbeat(t, c)
	default:
		w.sendJoin(t, c, c.member)
	}
}

func (w *world) join(t *rapid.T) {
	c := w.pick(t)
	member := c.member
	if c.instance != nil && rapid.IntRange(0, 3).Draw(t, "forgets its id") == 0 {
		member = ""
	}
	w.sendJoin(t, c, member)
}

func (w *world) sendJoin(t *rapid.T, c *client, member string) {
	c.left = false
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.MemberID, req.InstanceID = c.version, worldGroup, member, c.instance
	req.ProtocolType = "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = int32(sessionOf.Milliseconds()), int32(rebalanceOf.Milliseconds())
	for _, name := range rapid.SampledFrom([][]string{{"range"}, {"range", "sticky"}, {"sticky", "range"}}).Draw(t, "protocols") {
		req.Protocols = append(req.Protocols, kmsg.JoinGroupRequestProtocol{Name: name, Metadata: subscribeTo("t")})
	}
	w.call(t, c, req)
}

func (w *world) sync(t *rapid.T) { w.sendSync(t, w.pick(t)) }

func (w *world) sendSync(t *rapid.T, c *client) {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Group, req.MemberID, req.InstanceID, req.Generation = worldGroup, c.member, c.instance, c.generation
	if c.leads {
		for i, peer := range c.peers {
			req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: peer, MemberAssignment: fmt.Appendf(nil, "gen%d-p%d", c.generation, i)})
		}
	}
	w.call(t, c, req)
}

func (w *world) heartbeat(t *rapid.T) { w.sendHeartbeat(t, w.pick(t)) }

func (w *world) sendHeartbeat(t *rapid.T, c *client) {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.MemberID, req.InstanceID, req.Generation = worldGroup, c.member, c.instance, c.generation
	w.call(t, c, req)
}

func rarely(t *rapid.T) {
	if rapid.IntRange(0, 3).Draw(t, "rarely") > 0 {
		t.Skip("not now")
	}
}

func (w *world) leave(t *rapid.T) {
	rarely(t)
	c := w.pick(t)
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Version, req.Group = 3, worldGroup
	req.Members = []kmsg.LeaveGroupRequestMember{{MemberID: c.member, InstanceID: c.instance}}
	w.call(t, c, req)
}

func (w *world) commit(t *rapid.T) {
	c := w.pick(t)
	partition := rapid.Int32Range(0, 2).Draw(t, "partition")
	w.versions++
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.MemberID, req.InstanceID, req.Generation = 8, worldGroup, c.member, c.instance, c.generation
	if rapid.IntRange(0, 5).Draw(t, "standalone") == 0 {
		req.MemberID, req.InstanceID, req.Generation = "", nil, -1
	}
	req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Partition: partition, Offset: w.versions}}}}
	before := w.groupState()
	records := len(w.log)
	w.call(t, c, req)
	if len(w.log) == records {
		return
	}
	w.offsets[fmt.Sprintf("t-%d", partition)] = w.versions
	if req.Generation != before.generation && !(req.Generation == -1 && before.state == Empty) {
		t.Fatalf("a commit of generation %d is taken in generation %d (%v)", req.Generation, before.generation, before.state)
	}
}

func (w *world) groupState() *group {
	if g := w.machine.groups[worldGroup]; g != nil {
		return ptr(*g)
	}
	return newGroup(worldGroup)
}

func (w *world) wait(t *rapid.T) {
	w.advance(t, rapid.SampledFrom([]time.Duration{time.Millisecond, time.Millisecond, time.Second, 3 * time.Second, 4 * time.Second, 35 * time.Second, time.Hour}).Draw(t, "how long"))
}

func (w *world) advance(t *rapid.T, d time.Duration) {
	until := w.now.Add(d)
	for {
		at, ok := w.machine.Deadline()
		if !ok || at.After(until) {
			break
		}
		w.now = at
		w.apply(t, w.machine.Expire(at))
	}
	w.now = until
}

// restart loses the machine, and with it every call that waits.
func (w *world) restart(t *rapid.T) {
	rarely(t)
	for id, call := range w.calls {
		if call.client != nil {
			call.client.parked = false
		}
		delete(w.calls, id)
	}
	stored := int32(-1)
	for generation := range w.decided {
		stored = max(stored, generation)
	}
	for generation := range w.leaders {
		if generation > stored {
			delete(w.leaders, generation) // never stored: the number is given again
		}
	}
	w.load(t)
}

func (w *world) delete(t *rapid.T) {
	rarely(t)
	req := kmsg.NewPtrDeleteGroupsRequest()
	req.Groups = []string{worldGroup}
	w.call(t, &client{name: "admin"}, req)
}

func (w *world) check(t *rapid.T) {
	fresh := New(w.cfg)
	for _, r := range w.log {
		if err := fresh.Replay(r.Key, r.Value); err != nil {
			t.Fatal(err)
		}
	}
	live, loaded := w.groupState(), newGroup(worldGroup)
	if g := fresh.groups[worldGroup]; g != nil {
		loaded = g
	}
	got := make(map[string]int64)
	live.eachOffset(func(topic string, partition int32, c committed) {
		got[fmt.Sprintf("%s-%d", topic, partition)] = c.offset
	})
	if fmt.Sprint(got) != fmt.Sprint(w.offsets) || fmt.Sprint(live.offsets) != fmt.Sprint(loaded.offsets) {
		t.Fatalf("offsets: live %v, committed %v, in the log %v", got, w.offsets, loaded.offsets)
	}
	if live.state == Stable || live.state == Empty {
		a := live.stableRecord(live.stateMs, live.assignments())
		b := loaded.stableRecord(loaded.stateMs, loaded.assignments())
		if live.state != loaded.state || !bytes.Equal(a.Value, b.Value) {
			t.Fatalf("live %v %+v\nlog %v %+v", live.state, live, loaded.state, loaded)
		}
	}
}
