package workload

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/logbahn/logbahn/internal/sim/check"
)

// History gathers the events of all clients. Its methods may be called by any goroutine.
type History struct {
	topic string

	mu       sync.Mutex
	sends    []check.Send
	sent     map[string]int // index in sends, of values under way
	reads    []check.Read
	starts   map[consumption]int // index in reads, of positions that are not known yet
	commits  []check.Commit
	fetched  []check.Fetched
	problems []string
	acks     []Ack
	next     map[consumption]int64
	more     chan struct{} // closed and replaced at every event
}

// consumption is one consumer in one partition.
type consumption struct {
	consumer  string
	partition int32
}

// Ack is when a partition took a write of a client.
type Ack struct {
	Time      time.Time
	Client    string
	Partition int32
}

// NewHistory returns an empty history of one topic.
func NewHistory(topic string) *History {
	return &History{topic: topic, sent: map[string]int{}, starts: map[consumption]int{}, next: map[consumption]int64{}, more: make(chan struct{})}
}

func micros(t int64) time.Duration { return time.Duration(t) * time.Microsecond }

// Add takes in an event of a client.
func (h *History) Add(client string, e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	partition := check.Partition{Topic: h.topic, Index: e.Partition}
	switch e.Kind {
	case Sent:
		h.sent[e.Value] = len(h.sends)
		h.sends = append(h.sends, check.Send{Partition: partition, Producer: e.Producer, Value: e.Value, Outcome: check.Info, Offset: -1,
			Begin: micros(e.Time), Durable: true, Idempotent: true})
	case Acked, Unknown:
		h.outcome(client, e)
	case Assign, Read:
		h.read(partition, e)
	case Commit:
		c := check.Commit{Partition: partition, Group: e.Group, Offset: e.Offset, Begin: micros(e.Begin)}
		if e.Error == "" {
			c.Outcome, c.End = check.OK, micros(e.Time)
		}
		h.commits = append(h.commits, c)
	case Fetched:
		h.fetched = append(h.fetched, check.Fetched{Partition: partition, Group: e.Group, Offset: e.Offset, Begin: micros(e.Begin), End: micros(e.Time)})
	case Problem:
		h.problems = append(h.problems, client+": "+e.Error)
	}
	close(h.more)
	h.more = make(chan struct{})
}

func (h *History) outcome(client string, e Event) {
	i, ok := h.sent[e.Value]
	if !ok {
		h.problems = append(h.problems, fmt.Sprintf("%s: %s of %q, which is not under way", client, e.Kind, e.Value))
		return
	}
	delete(h.sent, e.Value)
	if e.Kind == Unknown {
		return
	}
	h.sends[i].Outcome, h.sends[i].Offset, h.sends[i].End = check.OK, e.Offset, micros(e.Time)
	h.acks = append(h.acks, Ack{Time: time.UnixMicro(e.Time), Client: client, Partition: e.Partition})
}

// read takes in a record or a position. A consumer that does not know where it starts starts at the first record that
// it gets.
func (h *History) read(partition check.Partition, e Event) {
	who := consumption{e.Consumer, e.Partition}
	r := check.Read{Partition: partition, Consumer: e.Consumer, Group: e.Group, Poll: e.Poll, Offset: e.Offset, Value: e.Value}
	if e.Kind == Assign {
		r.Assigned = true
		delete(h.starts, who)
		if e.Offset < 0 {
			h.starts[who] = len(h.reads)
		}
	} else {
		if i, ok := h.starts[who]; ok {
			h.reads[i].Offset = e.Offset
			delete(h.starts, who)
		}
		h.next[who] = e.Offset + 1
	}
	h.reads = append(h.reads, r)
}

// Check returns what the clients have seen, with the replicas' contents. Clients have ended.
func (h *History) Check(finals []check.Final) *check.History {
	h.mu.Lock()
	defer h.mu.Unlock()
	reads := h.reads[:0:0]
	for i := range h.reads {
		if !h.reads[i].Assigned || h.reads[i].Offset >= 0 { // else the consumer got nothing before the next assignment
			reads = append(reads, h.reads[i])
		}
	}
	return &check.History{Sends: h.sends, Reads: reads, Commits: h.commits, Fetched: h.fetched, Finals: finals}
}

// Acks returns when writes succeeded, in the order in which that was reported.
func (h *History) Acks() []Ack {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.acks[:len(h.acks):len(h.acks)]
}

// Problems returns what clients should not have met.
func (h *History) Problems() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.problems[:len(h.problems):len(h.problems)]
}

// Counts returns how many records were sent, acknowledged and read.
func (h *History) Counts() (sent, acked, read int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.sends), len(h.acks), len(h.reads)
}

// Next returns the offset behind the last record that a consumer has got from a partition.
func (h *History) Next(consumer string, partition int32) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.next[consumption{consumer, partition}]
}

// More returns a channel that is closed at the next event.
func (h *History) More() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.more
}

// recorder writes a client's events to its file and to the history.
type recorder struct {
	client  string
	history *History

	mu     sync.Mutex
	file   *os.File
	buffer *bufio.Writer
	failed error
}

func newRecorder(dir, client string, history *History) (*recorder, error) {
	file, err := os.Create(filepath.Join(dir, "history-"+client+".jsonl"))
	if err != nil {
		return nil, err
	}
	return &recorder{client: client, history: history, file: file, buffer: bufio.NewWriter(file)}, nil
}

// add keeps an event. Its order in the file and in the history is the same.
func (r *recorder) add(e Event) {
	line, err := json.Marshal(e)
	if err != nil {
		panic("workload: an event cannot be encoded: " + err.Error())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.buffer.Write(append(line, '\n')); err != nil && r.failed == nil {
		r.failed = err
	}
	r.history.Add(r.client, e)
}

func (r *recorder) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.buffer.Flush(); r.failed == nil {
		r.failed = err
	}
	if err := r.file.Close(); r.failed == nil {
		r.failed = err
	}
	return r.failed
}
