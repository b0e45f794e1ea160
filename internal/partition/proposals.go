package partition

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/partition/replica"
)

const (
	// proposalPatience bounds the wait for one answer of the controller.
	proposalPatience = 30 * time.Second
	// proposalPause is between a proposal that did not succeed and the next try: the answer to a refused one is held back
	// as long, so that a replica which the controller does not want is not proposed with each of its fetches.
	proposalPause = 200 * time.Millisecond
	// lateRequestPatience is how long a request that was given up may still reach the controller. A refusal in that time
	// is not the last word: what was refused now may be taken then.
	lateRequestPatience = 10 * time.Second
	// proposalBatchMax is how many partitions one request names.
	proposalBatchMax = 5000
)

// proposals carries changes of in-sync sets to the controller, those of many partitions in one request, and the answers
// back to the machines. A proposal is kept until its outcome is known: see package replica.
type proposals struct {
	set      *Set
	wake     chan struct{} // made with the goroutine
	failures int           // of the controller, one after the other; the goroutine's own
	mu       struct {
		sync.Mutex
		waiting map[*Partition]waitingProposal
		closed  bool
	}
}

func (q *proposals) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.mu.closed = true
}

// waitingProposal is a proposal without an outcome.
type waitingProposal struct {
	replica.ISRChange
	unknown time.Time // when a request with it last failed without an answer; zero: never
}

// add takes a partition's newest proposal. It does not wait. Without a controller to ask the proposal stays open.
func (q *proposals) add(p *Partition, c replica.ISRChange) {
	if q.set.cfg.Controller == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.mu.closed {
		return
	}
	if q.mu.waiting == nil {
		q.mu.waiting = make(map[*Partition]waitingProposal)
		q.wake = make(chan struct{}, 1)
		q.set.running.Go(q.run)
	}
	q.mu.waiting[p] = waitingProposal{ISRChange: c}
	signal(q.wake)
}

// run is the goroutine that asks the controller.
func (q *proposals) run() {
	for q.set.ctx.Err() == nil {
		list := q.open()
		if len(list) == 0 {
			select {
			case <-q.wake:
			case <-q.set.ctx.Done():
			}
			continue
		}
		if !q.ask(list) {
			pause(q.set.ctx, proposalPause)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// proposal is one partition's change.
type proposal struct {
	partition *Partition
	change    replica.ISRChange
}

// open returns the proposals that still have no answer, sorted, at most as many as a request takes, and forgets those that
// the image has overtaken.
func (q *proposals) open() []proposal {
	q.mu.Lock()
	list := make([]proposal, 0, len(q.mu.waiting))
	for p, c := range q.mu.waiting {
		list = append(list, proposal{p, c.ISRChange})
	}
	q.mu.Unlock()
	list = slices.DeleteFunc(list, func(c proposal) bool {
		overtaken := !c.partition.proposed(c.change)
		if overtaken {
			q.forget(c)
		}
		return overtaken
	})
	slices.SortFunc(list, func(a, b proposal) int {
		return cmp.Or(bytes.Compare(a.partition.topicID[:], b.partition.topicID[:]), cmp.Compare(a.partition.index, b.partition.index))
	})
	return list[:min(len(list), proposalBatchMax)]
}

// ask sends one request and handles its answer. It returns false when something is to be tried again later.
func (q *proposals) ask(list []proposal) bool {
	ctx, cancel := context.WithTimeout(q.set.ctx, proposalPatience)
	defer cancel()
	answer, err := q.set.cfg.Controller.Do(ctx, q.request(list))
	if err != nil {
		q.failed("in-sync sets not proposed", len(list), err)
		q.outcomeUnknown(list)
		return false
	}
	resp := answer.(*kmsg.AlterPartitionResponse)
	if code := kerr.ErrorForCode(resp.ErrorCode); code != nil {
		q.failed("in-sync sets not taken", len(list), code)
		return false
	}
	q.failures = 0
	q.answered(list, resp)
	return true
}

// failed says that a request has come to nothing: the first time, and then now and again.
func (q *proposals) failed(what string, partitions int, err error) {
	if q.failures++; q.set.ctx.Err() == nil && (q.failures == 1 || q.failures%retriesPerLine == 0) {
		q.set.cfg.Log.Warn(what, "partitions", partitions, "tries", q.failures, "err", err)
	}
}

// answered tells the machines what has been refused. What was taken is in the image, or will be.
func (q *proposals) answered(list []proposal, resp *kmsg.AlterPartitionResponse) {
	codes := make(map[idKey]int16)
	for i := range resp.Topics {
		for _, p := range resp.Topics[i].Partitions {
			codes[idKey{resp.Topics[i].TopidID, p.Partition}] = p.ErrorCode
		}
	}
	var refused []proposal
	open := len(list)
	for _, c := range list {
		code, answered := codes[idKey{c.partition.topicID, c.partition.index}]
		switch {
		case answered && !replica.Refuses(code):
			q.forget(c)
			open--
			continue
		case answered:
			refused = append(refused, c)
		}
		q.set.cfg.Log.Debug("in-sync set not taken", "topic", c.partition.topic, "partition", c.partition.index,
			"isr", c.change.ISR, "err", kerr.ErrorForCode(code))
	}
	if open == 0 {
		return
	}
	pause(q.set.ctx, proposalPause)
	for _, c := range q.final(refused) {
		q.forget(c)
		c.partition.step(func(m *replica.Machine) replica.Effects { return m.ProposalRefused(c.change) })
	}
}

// outcomeUnknown notes that a request got no answer.
func (q *proposals) outcomeUnknown(list []proposal) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, c := range list {
		if w, waits := q.mu.waiting[c.partition]; waits && sameProposal(w.ISRChange, c.change) {
			w.unknown = time.Now()
			q.mu.waiting[c.partition] = w
		}
	}
}

// final returns those whose refusal is the last word. The others are asked for again.
func (q *proposals) final(refused []proposal) []proposal {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.DeleteFunc(refused, func(c proposal) bool {
		w, waits := q.mu.waiting[c.partition]
		return waits && !w.unknown.IsZero() && time.Since(w.unknown) < lateRequestPatience
	})
}

func sameProposal(a, b replica.ISRChange) bool {
	return a.PartitionEpoch == b.PartitionEpoch && a.LeaderEpoch == b.LeaderEpoch
}

// forget takes a proposal off the list, if it is still the partition's newest.
func (q *proposals) forget(c proposal) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w, waits := q.mu.waiting[c.partition]; waits && sameProposal(w.ISRChange, c.change) {
		delete(q.mu.waiting, c.partition)
	}
}

// proposed reports whether a proposal still has no answer.
func (p *Partition) proposed(c replica.ISRChange) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.machine.Proposed(c)
}

// request is an AlterPartition request, version 3 (KIP-903). The list is sorted by topic.
func (q *proposals) request(list []proposal) *kmsg.AlterPartitionRequest {
	req := kmsg.NewPtrAlterPartitionRequest()
	req.Version = 3
	req.BrokerID, req.BrokerEpoch = q.set.cfg.NodeID, q.set.cfg.BrokerEpoch()
	for _, c := range list {
		n := len(req.Topics)
		if n == 0 || req.Topics[n-1].TopicID != c.partition.topicID {
			topic := kmsg.NewAlterPartitionRequestTopic()
			topic.TopicID = c.partition.topicID
			req.Topics = append(req.Topics, topic)
			n++
		}
		p := kmsg.NewAlterPartitionRequestTopicPartition()
		p.Partition, p.LeaderEpoch, p.PartitionEpoch = c.partition.index, c.change.LeaderEpoch, c.change.PartitionEpoch
		for _, m := range c.change.ISR {
			member := kmsg.NewAlterPartitionRequestTopicPartitionNewEpochISR()
			member.BrokerID, member.BrokerEpoch = m.ID, m.BrokerEpoch
			if m.ID == req.BrokerID {
				member.BrokerEpoch = req.BrokerEpoch
			}
			p.NewEpochISR = append(p.NewEpochISR, member)
		}
		req.Topics[n-1].Partitions = append(req.Topics[n-1].Partitions, p)
	}
	return req
}
