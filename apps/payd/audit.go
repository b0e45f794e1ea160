package payd

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/logbahn/logbahn/apps/payd/web"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// audit follows every message that this run sends to telematics, from the moment that it is handed to the log until a
// consumer has it: each has a number of its own in a header. What the log has acknowledged must come out once, and be the
// record at the place that the acknowledgement named or at another; the reader has passed that place without it: lost.
//
// The reader keeps its own position, without a group: what it gets twice, the log has given twice.
type audit struct {
	run string // of the numbers: those of earlier runs are no concern of this one

	mu       sync.Mutex
	reading  bool              // there is a reader: messages are numbered
	next     int64             // number of the next message
	fates    map[int64]*fate   // of the messages of which more is to come
	awaited  map[int32][]*fate // acknowledged, not read yet, by partition and offset
	read     map[int32]int64   // where the reader is, by partition
	counters web.Audit         // without what is computed from the others
}

// fate is what is known of a message.
type fate struct {
	offset       int64 // where the log has it, once acknowledged
	acknowledged bool
	arrived      bool
	lost         bool
}

const headerAudit = "audit" // of a message: run and number

func newAudit() *audit {
	var id [6]byte
	_, _ = rand.Read(id[:]) // never fails
	return &audit{
		run: hex.EncodeToString(id[:]), fates: make(map[int64]*fate), awaited: make(map[int32][]*fate),
		read: make(map[int32]int64),
	}
}

// send numbers a message that is about to be handed to the log.
func (a *audit) send(r *kgo.Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.reading {
		return
	}
	r.Headers = append(r.Headers, headerOf(headerAudit, a.run+"/"+strconv.FormatInt(a.next, 10)))
	a.fates[a.next] = &fate{}
	a.next++
	a.counters.Sent++
}

// number returns the number of a message of this run.
func (a *audit) number(r *kgo.Record) (int64, bool) {
	run, text, found := strings.Cut(header(r, headerAudit), "/")
	if !found || run != a.run {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && n >= 0 && n < a.next
}

// answer notes what the log has said of a message: it is safe at the record's partition and offset, or err.
func (a *audit) answer(r *kgo.Record, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, ok := a.number(r)
	f := a.fates[n]
	if !ok || f == nil {
		return
	}
	if err != nil { // nothing is promised; it may come all the same
		a.counters.GivenUp++
		return
	}
	f.acknowledged, f.offset = true, r.Offset
	a.counters.Acknowledged++
	switch {
	case f.arrived:
		delete(a.fates, n)
	case a.read[r.Partition] > r.Offset:
		a.lose(f)
	default:
		a.awaited[r.Partition] = append(a.awaited[r.Partition], f)
	}
}

// arrive notes a message that the reader has got.
func (a *audit) arrive(r *kgo.Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.read[r.Partition] = max(a.read[r.Partition], r.Offset+1)
	if n, ok := a.number(r); ok {
		a.count(n)
	}
	rest := a.awaited[r.Partition]
	for len(rest) > 0 && rest[0].offset <= r.Offset {
		if f := rest[0]; !f.arrived {
			a.lose(f)
		}
		rest = rest[1:]
	}
	a.awaited[r.Partition] = rest
}

// count counts a message of this run that has come. One of which nothing more was to come has come before.
func (a *audit) count(n int64) {
	f := a.fates[n]
	if f == nil || f.arrived {
		a.counters.Doubled++
		return
	}
	f.arrived = true
	a.counters.Arrived++
	if f.lost { // it has come after all, from another place
		f.lost = false
		a.counters.Lost--
	}
	if f.acknowledged {
		delete(a.fates, n)
	}
}

func (a *audit) lose(f *fate) {
	f.lost = true
	a.counters.Lost++
}

// figures returns the counters as of now.
func (a *audit) figures() web.Audit {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := a.counters
	for _, awaited := range a.awaited {
		for _, f := range awaited {
			if !f.arrived {
				out.Waiting++
			}
		}
	}
	return out
}

// follow is the reader: it reads telematics from where the topic ends when it begins. What is sent before that is not
// numbered.
func (a *audit) follow(ctx context.Context, config *Config) {
	starts := a.begin(ctx, config)
	if starts == nil {
		return // ctx has ended
	}
	client, err := config.newClient("audit", kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topicRaw: starts}))
	if err != nil {
		config.Log.Error("nobody counts what arrives", "error", err)
		return
	}
	defer client.Close()
	a.mu.Lock()
	a.reading = true
	a.mu.Unlock()
	for ctx.Err() == nil {
		fetches := client.PollFetches(ctx)
		if err := fetchError(ctx, fetches); err != nil && ctx.Err() == nil {
			config.Log.Warn("the audit cannot read", "error", err)
		}
		fetches.EachRecord(a.arrive)
	}
}

// begin finds the ends of all partitions; nil when the context ends before they are all known.
func (a *audit) begin(ctx context.Context, config *Config) map[int32]kgo.Offset {
	client, err := config.newClient("audit")
	if err != nil {
		config.Log.Error("nobody counts what arrives", "error", err)
		return nil
	}
	defer client.Close()
	for {
		starts := make(map[int32]kgo.Offset)
		ends, err := kadm.NewClient(client).ListEndOffsets(ctx, topicRaw)
		ends.Each(func(o kadm.ListedOffset) {
			if err = cmp.Or(err, o.Err); o.Err == nil {
				starts[o.Partition] = kgo.NewOffset().At(o.Offset)
			}
		})
		if err == nil {
			return starts
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pollWait):
		}
	}
}
