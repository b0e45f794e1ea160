package coordinator

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the first run of TestConsumersUnderFailures, 0 for a random one")

// TestConsumersUnderFailures runs consumers of one group against a partition whose appends fail, whose flushes lag, and
// whose leader changes, and checks what they see: a partition has one owner per generation, and an offset that a
// consumer was told is committed, or has read, never goes back. COORDINATOR_RUNS is how many runs, one by default 20.
func TestConsumersUnderFailures(t *testing.T) {
	runs, _ := strconv.Atoi(os.Getenv("COORDINATOR_RUNS"))
	if runs == 0 {
		runs = 20
	}
	first := *seedFlag
	if first == 0 {
		first = rand.Uint64()
	}
	for i := range uint64(runs) {
		seed := first + i
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { consumersUnderFailures(t, seed) })
		})
	}
}

const (
	sharedPartitions = 4
	consumers        = 4
)

// consumerWorld is what all consumers together have seen.
type consumerWorld struct {
	*fixture
	t         *testing.T
	mu        sync.Mutex
	owners    map[string]string // "generation/partition" -> member
	committed [sharedPartitions]int64
	progress  atomic.Int64
}

func consumersUnderFailures(t *testing.T, seed uint64) {
	f := newFixture(t)
	w := &consumerWorld{fixture: f, t: t, owners: make(map[string]string)}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var running sync.WaitGroup
	for i := range consumers {
		running.Go(func() { w.consume(ctx, fmt.Sprintf("c%d", i), rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	running.Go(func() { w.disturb(ctx, rand.New(rand.NewPCG(seed, 99))) })
	running.Wait()
	if w.progress.Load() < 10 {
		t.Fatalf("only %d commits in five minutes", w.progress.Load())
	}
	f.restart()
	for p := range sharedPartitions {
		if got := w.offset(t.Context(), int32(p)); got < w.committed[p] {
			t.Errorf("partition %d ends at %d, committed was %d", p, got, w.committed[p])
		}
	}
	f.Close()
}

func (w *consumerWorld) disturb(ctx context.Context, rnd *rand.Rand) {
	for sleep(ctx, time.Duration(rnd.IntN(8000))*time.Millisecond) {
		switch rnd.IntN(4) {
		case 0:
			w.log.change(func() { w.log.failing = 1 })
		case 1:
			w.log.change(func() { w.log.held = true })
			sleep(ctx, time.Duration(rnd.IntN(500))*time.Millisecond)
			w.log.change(func() { w.log.held = false })
		case 2:
			w.log.change(func() { w.log.held = true })
			sleep(ctx, time.Duration(rnd.IntN(500))*time.Millisecond)
			w.log.change(w.log.loseTail)
			w.ImageApplied(nil)
			sleep(ctx, time.Duration(rnd.IntN(500))*time.Millisecond)
			w.log.change(func() { w.log.leading, w.log.held = true, false })
		case 3:
			w.log.change(func() { w.log.broken = true })
			sleep(ctx, time.Duration(rnd.IntN(50))*time.Millisecond)
			w.log.change(func() { w.log.broken = false })
		}
	}
	w.log.change(func() { w.log.held, w.log.failing, w.log.leading, w.log.broken = false, 0, true, false })
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// consume is a consumer: it joins, reads where the group stands, commits, heartbeats, leaves now and then.
func (w *consumerWorld) consume(ctx context.Context, name string, rnd *rand.Rand) {
	member := ""
	for sleep(ctx, 100*time.Millisecond) {
		joined := joinGroup(ctx, w.fixture, name, member)(ctx)
		if joined.ErrorCode != 0 {
			if errorName(joined.ErrorCode) == "UNKNOWN_MEMBER_ID" {
				member = ""
			}
			continue
		}
		member = joined.MemberID
		synced := w.sync(ctx, joined)
		if synced.ErrorCode != 0 {
			continue
		}
		mine := w.own(joined, string(synced.MemberAssignment))
		for sleep(ctx, time.Duration(rnd.IntN(3000))*time.Millisecond) && heartbeat(ctx, w.fixture, joined) == "ok" {
			for _, p := range mine {
				w.work(ctx, joined, p)
			}
		}
		if rnd.IntN(4) == 0 {
			leave := kmsg.NewPtrLeaveGroupRequest()
			leave.Group, leave.MemberID = "g", member
			if w.LeaveGroup(ctx, Client{}, leave)(ctx).ErrorCode == 0 {
				member = ""
			}
		}
	}
}

// sync sends, when the member leads, an assignment of every partition to one member.
func (w *consumerWorld) sync(ctx context.Context, joined *kmsg.JoinGroupResponse) *kmsg.SyncGroupResponse {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Group, req.MemberID, req.Generation = "g", joined.MemberID, joined.Generation
	for i, m := range joined.Members {
		var mine []string
		for p := i; p < sharedPartitions; p += len(joined.Members) {
			mine = append(mine, strconv.Itoa(p))
		}
		req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: m.MemberID, MemberAssignment: []byte(strings.Join(mine, ","))})
	}
	return w.SyncGroup(ctx, Client{}, req)(ctx)
}

func (w *consumerWorld) own(joined *kmsg.JoinGroupResponse, assignment string) []int32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	var mine []int32
	for _, s := range strings.FieldsFunc(assignment, func(r rune) bool { return r == ',' }) {
		key := fmt.Sprintf("%d/%s", joined.Generation, s)
		if owner := w.owners[key]; owner != "" && owner != joined.MemberID {
			w.t.Errorf("partition and generation %s have the owners %s and %s", key, owner, joined.MemberID)
		}
		w.owners[key] = joined.MemberID
		p, _ := strconv.Atoi(s)
		mine = append(mine, int32(p))
	}
	return mine
}

// work reads a committed offset, which must not be behind what anyone was told is committed, and commits the next.
func (w *consumerWorld) work(ctx context.Context, joined *kmsg.JoinGroupResponse, p int32) {
	w.mu.Lock()
	floor := w.committed[p]
	w.mu.Unlock()
	at := w.offset(ctx, p)
	if at < 0 {
		return
	}
	if at < floor {
		w.t.Errorf("partition %d was committed at %d and is read at %d", p, floor, at)
	}
	req := commitRequest("t", p, at+1)
	req.MemberID, req.Generation = joined.MemberID, joined.Generation
	resp := w.OffsetCommit(ctx, Client{}, req)(ctx)
	if resp.Topics[0].Partitions[0].ErrorCode != 0 {
		return
	}
	w.progress.Add(1)
	w.mu.Lock()
	w.committed[p] = max(w.committed[p], at+1)
	w.mu.Unlock()
}

// offset returns the committed offset, 0 for none, -1 when the coordinator does not say.
func (w *consumerWorld) offset(ctx context.Context, p int32) int64 {
	g := w.OffsetFetch(ctx, Client{}, fetchRequest("t", p))(ctx).Groups[0]
	if g.ErrorCode != 0 {
		return -1
	}
	return max(g.Topics[0].Partitions[0].Offset, 0)
}
