package controller

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

func TestRequestOfSomebodyElse(t *testing.T) {
	resp, changes := New(Config{}).Handle(0, cluster.NewImage("c"), kmsg.NewPtrMetadataRequest())
	if resp != nil || changes != nil {
		t.Errorf("%v, %v", resp, changes)
	}
}

// TestElectedFinishesWhatAnotherHasLeft takes the leadership from a controller for so short a time that it does not notice by
// the clock. The other one has fenced a broker, and not come to its partitions.
func TestElectedFinishesWhatAnotherHasLeft(t *testing.T) {
	w := newWorld(t, Config{})
	for _, line := range []string{
		"register id=1 dirs=1", "heartbeat id=1 epoch=0", "register id=2 dirs=2", "heartbeat id=2 epoch=1", "create name=t assign=1-2",
	} {
		w.run(strings.Fields(line))
	}
	w.tick()
	w.apply([]cluster.Change{cluster.SetBrokerState{ID: 1, Epoch: 0, Fenced: true}})
	w.nowMs += 100
	w.tick()
	if topic, _ := w.img.Topic("t"); topic.Partitions[0].Leader != 1 {
		t.Fatal("without an election all partitions are looked at: the test shows nothing")
	}
	w.m.Elected()
	w.nowMs += 100
	w.tick()
	if topic, _ := w.img.Topic("t"); topic.Partitions[0].Leader != 2 {
		t.Errorf("%+v", topic.Partitions[0])
	}
}

// TestElectedKeepsBrokersTheirPlaces has another node ask for a broker's place, which has been refused by the last controller, before
// the next one has heard of anybody or looked at the time.
func TestElectedKeepsBrokersTheirPlaces(t *testing.T) {
	w := newWorld(t, Config{SessionTimeoutMs: 9000})
	for _, line := range []string{"register id=1 dirs=1", "heartbeat id=1 epoch=0", "register id=2 dirs=2", "create name=t assign=1-2"} {
		w.run(strings.Fields(line))
	}
	asks := func(id int) string {
		return w.run(strings.Fields(fmt.Sprintf("register id=%d dirs=9%d run=2", id, id)))[0]
	}
	w.m.Elected()
	if got := asks(1); got != "DUPLICATE_BROKER_REGISTRATION epoch -1" {
		t.Errorf("in the place of a broker that has not spoken to this controller yet: %s", got)
	}
	if got := asks(2); got != "OK epoch 2" {
		t.Errorf("in the place of one that is fenced: %s", got)
	}
	for range 8 {
		w.run(strings.Fields("clock ms=1000"))
		if got := asks(1); got != "DUPLICATE_BROKER_REGISTRATION epoch -1" {
			t.Fatalf("within its session: %s", got)
		}
	}
	w.run(strings.Fields("clock ms=1000"))
	if got := asks(1); got != "OK epoch 3" {
		t.Errorf("after its session: %s", got)
	}
}

// TestLostIsAnExpiredSession has the same happen to two clusters, in one of which a broker's session ends early and in the other
// by its silence: what is changed is the same, whatever is in sync and eligible, and with flush=os.
func TestLostIsAnExpiredSession(t *testing.T) {
	scripts := map[string][]string{
		"in sync":         {},
		"alone in sync":   {"fence id=2", "fence id=3"},
		"eligible others": {"fence id=1", "heartbeat id=1 epoch=0"},
		"draining":        {"heartbeat id=1 epoch=0 shutdown"},
	}
	for what, before := range scripts {
		for _, flushOS := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, flush=os %t", what, flushOS), func(t *testing.T) {
				var changed [2][]string
				for i, ends := range [2]string{"lost id=1 epoch=0 silent=200", "clock ms=100"} {
					w := newWorld(t, Config{FlushOS: flushOS, SessionTimeoutMs: 9000})
					begin := []string{"register id=1 dirs=1", "heartbeat id=1 epoch=0", "register id=2 dirs=2", "heartbeat id=2 epoch=1",
						"register id=3 dirs=3", "heartbeat id=3 epoch=2", "create name=t assign=1-2-3,2-3-1,3-1-2 config=min.insync.replicas:2", "tick"}
					for _, line := range append(begin, before...) {
						w.run(strings.Fields(line))
					}
					for range 3 { // of which the broker is silent
						w.run(strings.Fields("clock ms=2980"))
						w.run(strings.Fields("heartbeat id=2 epoch=1"))
						w.run(strings.Fields("heartbeat id=3 epoch=2"))
						w.tick()
					}
					w.run(strings.Fields(ends))
					changed[i] = w.tick()
				}
				if len(changed[0]) == 0 || !slices.Equal(changed[0], changed[1]) {
					t.Errorf("lost:\n%s\nexpired:\n%s", strings.Join(changed[0], "\n"), strings.Join(changed[1], "\n"))
				}
			})
		}
	}
}

// TestTickRepeatsWhatWasLost drops a list of changes that follows from a look at all partitions, and the last one that follows
// from a broker that went: the next tick has it again.
func TestTickRepeatsWhatWasLost(t *testing.T) {
	w := newWorld(t, Config{})
	for _, line := range []string{"register id=1 dirs=1", "heartbeat id=1 epoch=0", "register id=2 dirs=2", "heartbeat id=2 epoch=1"} {
		w.run(strings.Fields(line))
	}
	many := cluster.Topic{Name: "t", ID: cluster.UUID{1}}
	for range changesMax + 1 {
		many.Partitions = append(many.Partitions, cluster.Partition{Replicas: []cluster.NodeID{1, 2}, ISR: []cluster.NodeID{1, 2}, Leader: 1})
	}
	w.apply([]cluster.Change{cluster.CreateTopic{Topic: many}})
	w.tick()
	w.apply([]cluster.Change{cluster.ChangePartition{TopicID: many.ID, Partition: cluster.Partition{
		Replicas: []cluster.NodeID{1, 2}, ISR: []cluster.NodeID{1, 2}, Leader: cluster.NoLeader, LeaderEpoch: 1, PartitionEpoch: 1,
	}}})
	w.m.Elected()
	for i := range 3 {
		if changes, more := w.m.Tick(w.nowMs, w.img); len(changes) != 1 || !more {
			t.Fatalf("sweep %d: %d changes", i, len(changes))
		}
	}
	w.tick()
	w.run([]string{"fence", "id=1"})
	for i := range 3 {
		if changes, more := w.m.Tick(w.nowMs, w.img); len(changes) != 1 || !more {
			t.Fatalf("tick %d: %d changes", i, len(changes))
		}
	}
	w.tick()
	if changes, more := w.m.Tick(w.nowMs, w.img); len(changes) != 0 || more {
		t.Errorf("%d changes of what is settled", len(changes))
	}
}

// TestRequestOfTooManyChanges names a partition more than one list of changes holds, for each request whose changes are as many
// as the partitions that it names: the last one is to be asked for again, and is then changed.
func TestRequestOfTooManyChanges(t *testing.T) {
	tooMany := map[string]func(img *cluster.Image, partitions int) (req kmsg.Request, codes func(kmsg.Response) []int16){
		"in-sync sets": inSyncSets, "reassignments": reassignments, "elections": unpreferred,
	}
	for what, request := range tooMany {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t, Config{})
			epochs := map[cluster.NodeID]int64{1: 0, 2: 1, 3: 2}
			for id := range cluster.NodeID(3) {
				w.run([]string{"register", fmt.Sprintf("id=%d", id+1), fmt.Sprintf("dirs=%d", id+1)})
				w.run([]string{"heartbeat", fmt.Sprintf("id=%d", id+1), fmt.Sprintf("epoch=%d", epochs[id+1])})
			}
			many := cluster.Topic{Name: "t", ID: cluster.UUID{1}}
			for range changesMax + 1 {
				many.Partitions = append(many.Partitions, cluster.Partition{Replicas: []cluster.NodeID{1, 2}, ISR: []cluster.NodeID{1, 2}, Leader: 2})
			}
			w.apply([]cluster.Change{cluster.CreateTopic{Topic: many}})
			for round, left := range []int{changesMax + 1, 1} {
				req, codes := request(w.img, left)
				resp, changes := w.do(req)
				refused := slices.DeleteFunc(codes(resp), func(code int16) bool { return code == wire.None.Code() })
				if len(changes) != min(left, changesMax) || len(refused) != left-len(changes) {
					t.Fatalf("round %d: %d changes, %d refused", round, len(changes), len(refused))
				}
				if len(refused) > 0 && wire.Error(refused[0]) != wire.RequestTimedOut {
					t.Errorf("refused with %v", wire.Error(refused[0]))
				}
			}
		})
	}
}

// inSyncSets takes broker 1 out of the in-sync sets of the last so many partitions.
func inSyncSets(img *cluster.Image, partitions int) (kmsg.Request, func(kmsg.Response) []int16) {
	req := kmsg.NewPtrAlterPartitionRequest()
	req.Version, req.BrokerID, req.BrokerEpoch = 2, 2, 1
	all, _ := img.Topic("t")
	topic := kmsg.NewAlterPartitionRequestTopic()
	topic.TopicID = all.ID
	for i := len(all.Partitions) - partitions; i < len(all.Partitions); i++ {
		p := kmsg.NewAlterPartitionRequestTopicPartition()
		p.Partition, p.NewISR = int32(i), []int32{2}
		topic.Partitions = append(topic.Partitions, p)
	}
	req.Topics = append(req.Topics, topic)
	return req, func(resp kmsg.Response) (codes []int16) {
		for _, p := range resp.(*kmsg.AlterPartitionResponse).Topics[0].Partitions {
			codes = append(codes, p.ErrorCode)
		}
		return codes
	}
}

// reassignments brings broker 3 to the last so many partitions.
func reassignments(img *cluster.Image, partitions int) (kmsg.Request, func(kmsg.Response) []int16) {
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	all, _ := img.Topic("t")
	topic := kmsg.NewAlterPartitionAssignmentsRequestTopic()
	topic.Topic = "t"
	for i := len(all.Partitions) - partitions; i < len(all.Partitions); i++ {
		p := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
		p.Partition, p.Replicas = int32(i), []int32{2, 3}
		topic.Partitions = append(topic.Partitions, p)
	}
	req.Topics = append(req.Topics, topic)
	return req, func(resp kmsg.Response) (codes []int16) {
		for _, p := range resp.(*kmsg.AlterPartitionAssignmentsResponse).Topics[0].Partitions {
			codes = append(codes, p.ErrorCode)
		}
		return codes
	}
}

// unpreferred elects the preferred leaders of all partitions that have another one.
func unpreferred(*cluster.Image, int) (kmsg.Request, func(kmsg.Response) []int16) {
	req := kmsg.NewPtrElectLeadersRequest()
	req.Version = 2
	return req, func(resp kmsg.Response) (codes []int16) {
		for _, p := range resp.(*kmsg.ElectLeadersResponse).Topics[0].Partitions {
			codes = append(codes, p.ErrorCode)
		}
		return codes
	}
}

func TestTopicDeletionDisabled(t *testing.T) {
	w := newWorld(t, Config{NoTopicDeletion: true})
	for version, want := range map[int16]wire.Error{1: wire.InvalidRequest, 3: wire.TopicDeletionDisabled, 6: wire.TopicDeletionDisabled} {
		w.run([]string{"register", "id=1"})
		w.run([]string{"heartbeat", "id=1", "epoch=0"})
		w.run([]string{"create", "name=t", "n=1"})
		req := kmsg.NewPtrDeleteTopicsRequest()
		topic := kmsg.NewDeleteTopicsRequestTopic()
		topic.Topic = new("t")
		req.Version, req.TopicNames, req.Topics = version, []string{"t"}, []kmsg.DeleteTopicsRequestTopic{topic}
		resp, changes := w.do(req)
		if got := wire.Error(resp.(*kmsg.DeleteTopicsResponse).Topics[0].ErrorCode); got != want || changes != nil {
			t.Errorf("version %d: %v, %v", version, got, changes)
		}
	}
}

func TestTopicIDs(t *testing.T) {
	w := newWorld(t, Config{})
	for _, words := range [][]string{{"register", "id=1"}, {"heartbeat", "id=1", "epoch=0"}} {
		w.run(words)
	}
	w.m.cfg.Rand = func() uint64 { return 0 }
	w.run([]string{"create", "name=a", "n=1"})
	var draws int
	w.m.cfg.Rand = func() uint64 { // the first id is taken, the second begins with a dash
		draws++
		switch {
		case draws <= 3: // one draw is the placement's
			return 0
		case draws <= 5:
			return 0xfb << 56
		}
		return 7
	}
	w.run([]string{"create", "name=b", "n=1"})
	b, ok := w.img.Topic("b")
	if !ok || b.ID[6]>>4 != 4 || b.ID[8]>>6 != 2 || b.ID.String()[0] == '-' {
		t.Errorf("%v %v", ok, b)
	}
	if a, _ := w.img.Topic("a"); a.ID == b.ID {
		t.Error("two topics have one id")
	}
}

// TestPlacement draws clusters and checks what every placement has to hold: the number of replicas, none twice, no rack
// twice while another is free, leaderships within one of each other, fenced brokers only where the live do not suffice.
func TestPlacement(t *testing.T) {
	for seed := uint64(0); seed < 500; seed++ {
		r := rand.New(rand.NewPCG(seed, 0))
		brokers := make([]cluster.Broker, 1+r.IntN(9))
		racks := 1 + r.IntN(4)
		live := 0
		for i := range brokers {
			brokers[i] = cluster.Broker{ID: cluster.NodeID(i), Fenced: i > 0 && r.IntN(5) == 0}
			if racks > 1 {
				brokers[i].Rack = string(rune('a' + r.IntN(racks)))
			}
			if brokers[i].Live() {
				live++
			}
		}
		n, rf := 1+r.IntN(40), 1+r.IntN(len(brokers))
		placed, why := newPlacement(brokers).place(n, rf, r.Uint64())
		if why != nil {
			t.Fatalf("seed %d: %v", seed, why)
		}
		leads := make(map[cluster.NodeID]int)
		for _, replicas := range placed {
			leads[replicas[0]]++
			if problem := badPlacement(brokers, replicas, rf, live); problem != "" {
				t.Fatalf("seed %d: %v is %s", seed, replicas, problem)
			}
		}
		least, most := n, 0
		for _, b := range brokers {
			if b.Live() {
				least, most = min(least, leads[b.ID]), max(most, leads[b.ID])
			}
		}
		if most-least > 1 {
			t.Fatalf("seed %d: leaderships %v", seed, leads)
		}
	}
}

func badPlacement(brokers []cluster.Broker, replicas []cluster.NodeID, rf, live int) string {
	liveRacks, usedRacks, usedLive := map[string]bool{}, map[string]bool{}, 0
	for _, b := range brokers {
		if b.Live() {
			liveRacks[b.Rack] = true
		}
	}
	for i, id := range replicas {
		if slices.Contains(replicas[:i], id) {
			return "one broker twice"
		}
		if brokers[id].Live() {
			usedLive++
			usedRacks[brokers[id].Rack] = true
		}
	}
	switch {
	case len(replicas) != rf:
		return "of the wrong length"
	case !brokers[replicas[0]].Live():
		return "led by a fenced broker"
	case usedLive != min(rf, live):
		return "fenced although live brokers were left"
	case brokers[0].Rack != "" && len(usedRacks) != min(usedLive, len(liveRacks)):
		return "in too few racks"
	}
	return ""
}

func TestPlacementPassesOverCordoned(t *testing.T) {
	brokers := []cluster.Broker{{ID: 0}, {ID: 1, Cordoned: true}, {ID: 2}}
	placed, why := newPlacement(brokers).place(9, 2, 0)
	for _, replicas := range placed {
		if slices.Contains(replicas, 1) {
			t.Errorf("%v has a cordoned broker", replicas)
		}
	}
	if _, tooMany := newPlacement(brokers).place(1, 3, 0); why != nil || tooMany == nil || tooMany.code != wire.InvalidReplicationFactor {
		t.Errorf("two replicas: %v, three: %v", why, tooMany)
	}
}

// TestPlacementSpreadsLosses loses each broker of a cluster with many small topics: who comes next for what it led is not
// always the same one.
func TestPlacementSpreadsLosses(t *testing.T) {
	const seed = 1
	r := rand.New(rand.NewPCG(seed, 0))
	brokers := make([]cluster.Broker, 60)
	for i := range brokers {
		brokers[i] = cluster.Broker{ID: cluster.NodeID(i), Rack: string(rune('a' + i%3))}
	}
	sites := newPlacement(brokers)
	led, next := map[cluster.NodeID]int{}, map[[2]cluster.NodeID]int{}
	for range 2000 {
		placed, why := sites.place(10, 3, r.Uint64())
		if why != nil {
			t.Fatal(why)
		}
		for _, replicas := range placed {
			led[replicas[0]]++
			next[[2]cluster.NodeID(replicas[:2])]++
		}
	}
	for pair, n := range next {
		if n > led[pair[0]]/10 {
			t.Errorf("seed %d: of %d partitions that broker %d leads, broker %d is next for %d", seed, led[pair[0]], pair[0], pair[1], n)
		}
	}
}

func TestPlacementSpreadsFollowers(t *testing.T) {
	brokers := make([]cluster.Broker, 4)
	for i := range brokers {
		brokers[i].ID = cluster.NodeID(i)
	}
	placed, _ := newPlacement(brokers).place(12, 2, 0)
	pairs := make(map[[2]cluster.NodeID]bool)
	for _, replicas := range placed {
		pairs[[2]cluster.NodeID(replicas)] = true
	}
	if len(pairs) != 12 {
		t.Errorf("%d pairs of leader and follower of 12 possible: %v", len(pairs), placed)
	}
}

// TestRandomRequests plays random requests against three brokers: each answer's changes fit the image (do checks that),
// and a partition's leader is in sync, and live whenever a live broker is in sync.
func TestRandomRequests(t *testing.T) {
	for seed := uint64(0); seed < 30; seed++ {
		r := rand.New(rand.NewPCG(seed, 0))
		w := newWorld(t, Config{})
		for range 300 {
			w.nowMs += r.Int64N(3000)
			w.run(randomCommand(r, w.img))
			for topic := range w.img.Topics() {
				for i, p := range topic.Partitions {
					checkLeader(t, w.img, p, seed, topic.Name, i)
				}
			}
		}
	}
}

func checkLeader(t *testing.T, img *cluster.Image, p cluster.Partition, seed uint64, topic string, i int) {
	t.Helper()
	live := liveOf(img, p.ISR)
	if len(live) > 0 && !slices.Contains(live, p.Leader) {
		t.Fatalf("seed %d: %s-%d: %s, live in sync are %v", seed, topic, i, describePartition(p), live)
	}
}

func randomCommand(r *rand.Rand, img *cluster.Image) []string {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	id := pick("1", "2", "3")
	epoch := "epoch=0"
	if b, ok := img.Broker(cluster.NodeID(id[0] - '0')); ok {
		epoch = "epoch=" + strconv.FormatInt(b.Epoch, 10)
	}
	name := "name=" + pick("a", "b", "c", "d.e", "d_e")
	switch r.IntN(12) {
	case 0:
		return []string{"register", "id=" + id, "run=" + pick("1", "2", "3"), "rack=" + pick("x", "y")}
	case 1:
		return []string{"heartbeat", "id=" + id, epoch, pick("fence", "shutdown")}
	case 2:
		return []string{"unregister", "id=" + id}
	case 3:
		return []string{"delete", name}
	case 4:
		return []string{"partitions", name, "count=" + pick("2", "3", "5", "8")}
	case 5:
		return []string{"alter", "of=topic/" + name[len("name="):], "ops=retention.ms:=" + pick("1", "2")}
	case 6:
		return []string{"tick"}
	case 7, 8:
		return []string{"create", name, "n=" + pick("1", "3"), "rf=" + pick("1", "2", "3")}
	default:
		return []string{"heartbeat", "id=" + id, epoch}
	}
}
