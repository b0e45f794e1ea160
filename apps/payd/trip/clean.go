package trip

import "hash/fnv"

// futureMsMax is how far a device's clock may be ahead of the log's: a day, as Traccar allows.
const futureMsMax = 24 * 3600 * 1000

// recentMax is how many of a device's last messages the cleaner remembers for finding doubled ones. An older copy is
// caught by the [Sequencer], which forgets nothing of the order.
const recentMax = 64

// Verdict is what becomes of a valid record.
type Verdict int

// The verdicts.
const (
	Accepted  Verdict = iota
	Duplicate         // the same message again
	Late              // older than what is already settled
)

// Cleaner checks the records of one source partition against their neighbours. It is memory only: forgetting it lets
// a doubled message through to the next stage, which drops it by its time.
type Cleaner struct {
	devices map[string]*recent
}

// NewCleaner returns a cleaner that has seen nothing.
func NewCleaner() *Cleaner { return &Cleaner{devices: make(map[string]*recent)} }

type recent struct {
	seen [recentMax]seen
	next int
}

type seen struct {
	timeMs int64
	seq    int64
	hash   uint64
}

// Check marks r's position where it is not fit for distance, and decides what becomes of it. receivedMs is when the
// log took the message; negative where it does not say, as of clients of old on a topic that somebody else made: then no
// time is ahead of it. The error is a [*Rejection].
func (c *Cleaner) Check(r *Record, receivedMs int64) (Verdict, error) {
	if receivedMs >= 0 && r.TimeMs-receivedMs > futureMsMax {
		return Accepted, reject(ReasonFuture, "%d hours ahead", (r.TimeMs-receivedMs)/3600_000)
	}
	markPosition(r)
	hash, err := contentHash(r)
	if err != nil {
		return Accepted, err
	}
	r.ReceivedMs = max(receivedMs, 0)
	device := c.devices[r.Device]
	if device == nil {
		device = &recent{}
		c.devices[r.Device] = device
	}
	for _, s := range device.seen {
		if s.timeMs != r.TimeMs {
			continue
		}
		if s.hash == hash {
			return Duplicate, nil
		}
		return Accepted, reject(ReasonConflict, "seq %d and %d both say ts_ms %d", s.seq, r.Seq, r.TimeMs)
	}
	device.seen[device.next] = seen{timeMs: r.TimeMs, seq: r.Seq, hash: hash}
	device.next = (device.next + 1) % recentMax
	return Accepted, nil
}

// markPosition notes why a position is a sign of life only: no fix, null island, or too coarse.
func markPosition(r *Record) {
	const hdopMax = 5
	switch {
	case r.Lat == nil || (*r.Lat == 0 && *r.Lon == 0):
		r.addQuality(QualityNoFix)
	case r.HDOP != nil && *r.HDOP > hdopMax:
		r.addQuality(QualityCoarse)
	}
}

func (r *Record) addQuality(mark string) {
	if len(r.Quality) < qualityMax {
		r.Quality = append(r.Quality, mark)
	}
}

// contentHash covers what the device sent, so it is taken before the log's own time is added.
func contentHash(r *Record) (uint64, error) {
	copied := *r
	copied.ReceivedMs = 0
	b, err := copied.AppendJSON(nil)
	if err != nil {
		return 0, err
	}
	h := fnv.New64a()
	h.Write(b)
	return h.Sum64(), nil
}
