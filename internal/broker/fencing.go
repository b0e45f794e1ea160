package broker

import (
	"sync"
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
)

// latelyFenced is for how long Metadata goes on naming a broker that was fenced, to clients which forget what it does not name.
//
// librdkafka, from 2.10 on, ends its thread for a broker that an answer does not name. While that happens two of its threads can wait
// for each other for ever (docs/decisions/fenced-brokers.md). A broker that was killed, or stops for a new release, is mostly back
// within a minute; when it stays named for as long, nothing is forgotten while several of them come and go.
const latelyFenced = time.Minute

// keepAll are clients known to find their way back without a broker that was named for longer than it lives. They are told who
// lives, as by Kafka: their administrative clients ask each broker that Metadata names, as for all groups, and wait for it.
// Programs on librdkafka give names of their own (client.software.name), so that those cannot be listed instead.
var keepAll = map[string]bool{
	"":                    true, // older than KIP-511
	"apache-kafka-java":   true,
	"kafka-python":        true,
	"kgo":                 true, // franz-go
	"logbahn":             true,
	"logbahn-kafka-tools": true,
	"platformatic-kafka":  true,
	"sarama":              true,
}

// forgets tells whether a client may forget brokers that it is not told of, and not come back to them.
func (c *Conn) forgets() bool { return !keepAll[c.ClientSoftware] }

// fencing remembers when this broker saw others being fenced. It begins anew with each run: a broker that was fenced before, as
// all are when a whole cluster starts again, has been since then. It is measured with the system's monotonic clock.
type fencing struct {
	mu struct {
		sync.Mutex
		at map[cluster.NodeID]time.Time
	}
}

// applied sees what has changed of the brokers. A broker that registers again is fenced still and keeps its time.
func (f *fencing) applied(changes []cluster.BrokerChange) {
	if len(changes) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range changes {
		switch {
		case c.New == nil:
			delete(f.mu.at, c.Old.ID)
		case !c.New.Fenced:
			delete(f.mu.at, c.New.ID)
		case c.Old == nil || !c.Old.Fenced:
			f.mu.at[c.New.ID] = time.Now()
		}
	}
}

// within tells whether a broker was fenced so lately.
func (f *fencing) within(id cluster.NodeID, ago time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, ok := f.mu.at[id]
	return ok && time.Since(at) < ago
}

// ImageApplied sees how an image differs from the one before, ahead of the image itself being what Metadata.Image returns.
func (b *Broker) ImageApplied(d cluster.Delta) { b.fencing.applied(d.Brokers) }
