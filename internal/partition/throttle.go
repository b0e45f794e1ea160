package partition

import (
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
)

// Throttles of replication (KIP-73). A topic names the replicas that are throttled, as leaders and as followers; a broker
// has a rate for what it copies to others, and one for what it copies from them. What is copied is counted, and nothing more
// is copied before the time that it takes at the rate has passed. A replica in sync is never held back: it would fall out of
// the set, and with it the produces that wait for it.

// unlimited is the rate without a throttle, Kafka's default.
const unlimited = math.MaxInt64

// throttleSaved bounds what an idle throttle lets through at once: the bytes of this time.
const throttleSaved = time.Second

// throttle is one rate. The zero value lets nothing through; NewSet's are set by the first image.
type throttle struct {
	mu   sync.Mutex
	rate int64     // bytes a second
	paid time.Time // when what was counted has taken its time
}

// setRate changes the rate. What was counted by another one is forgotten.
func (t *throttle) setRate(bytesPerSecond int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rate != bytesPerSecond {
		t.rate, t.paid = bytesPerSecond, time.Time{}
	}
}

// wait returns how long nothing more may be copied, 0 for not at all.
func (t *throttle) wait(now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rate <= 0 {
		return restMax
	}
	return max(t.paid.Sub(now), 0)
}

// count takes note of what was copied.
func (t *throttle) count(bytes int, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rate == unlimited || t.rate <= 0 || bytes <= 0 {
		return
	}
	if least := now.Add(-throttleSaved); t.paid.Before(least) {
		t.paid = least
	}
	t.paid = t.paid.Add(time.Duration(float64(bytes) / float64(t.rate) * float64(time.Second)))
}

// ReplicaList is a list of replicas in a topic's settings.
type ReplicaList struct {
	all bool
	of  map[replicaKey]bool
}

type replicaKey struct {
	partition int32
	broker    cluster.NodeID
}

// replicaList reads partition:broker pairs, or * alone. What is no pair was refused when it was set.
func replicaList(pairs []string) ReplicaList {
	if len(pairs) == 1 && strings.TrimSpace(pairs[0]) == "*" {
		return ReplicaList{all: true}
	}
	l := ReplicaList{of: make(map[replicaKey]bool, len(pairs))}
	for _, pair := range pairs {
		partition, broker, _ := strings.Cut(strings.TrimSpace(pair), ":")
		index, err := strconv.ParseInt(partition, 10, 32)
		id, err2 := strconv.ParseInt(broker, 10, 32)
		if err == nil && err2 == nil {
			l.of[replicaKey{int32(index), cluster.NodeID(id)}] = true
		}
	}
	return l
}

// Has tells whether a replica is on the list.
func (l ReplicaList) Has(partition int32, broker cluster.NodeID) bool {
	return l.all || l.of[replicaKey{partition, broker}]
}

// HoldsBack tells whether a replica that fetches from this leader gets no records for now.
func (p *Partition) HoldsBack(id cluster.NodeID) bool {
	return p.Settings().LeaderThrottled.Has(p.index, p.cfg.NodeID) && p.set.throttles.leader.wait(time.Now()) > 0 && !p.InSync(id)
}

// Served counts what another replica has been given of this one.
func (p *Partition) Served(bytes int) {
	if p.Settings().LeaderThrottled.Has(p.index, p.cfg.NodeID) {
		p.set.throttles.leader.count(bytes, time.Now())
	}
}

// heldBack returns how long this follower does not ask for records.
func (p *Partition) heldBack(now time.Time) time.Duration {
	if !p.Settings().FollowerThrottled.Has(p.index, p.cfg.NodeID) || p.inSync() {
		return 0
	}
	return p.set.throttles.follower.wait(now)
}

// copied counts what this follower has been given.
func (p *Partition) copied(bytes int) {
	if p.Settings().FollowerThrottled.Has(p.index, p.cfg.NodeID) {
		p.set.throttles.follower.count(bytes, time.Now())
	}
}
