package ops

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/coordinator"
	"github.com/logbahn/logbahn/internal/record"
)

// groupLag is what a group has committed.
type groupLag struct {
	group   string
	members int // -1: unknown
	offsets []offsetLag
}

// offsetLag is what a group has committed of one partition.
type offsetLag struct {
	topic     string
	partition int32
	committed int64
	lag       int64   // records; -1 when the partition is not here
	seconds   float64 // since the first record that is not consumed was made; 0 without a lag
}

const (
	lagPatience    = 5 * time.Second // for the coordinator
	lagFresh       = time.Second     // what is younger is not asked for again
	lagSearchesMax = 10_000          // records whose time is looked up in one collection
)

// lagCollector finds out how far groups are behind. The time of a record does not change: it is looked up once for each
// committed offset, so that a group that stands still costs nothing.
type lagCollector struct {
	mu struct {
		sync.Mutex
		at     time.Time
		groups []groupLag
		err    error
		times  map[lagKey]recordTime
	}
}

type lagKey struct {
	group, topic string
	partition    int32
}

type recordTime struct {
	offset int64
	topic  [16]byte
	ms     int64
}

// collect returns the groups, sorted by name; their offsets are sorted by topic and partition. The error says why there
// are none. It waits for a collection that another caller has begun.
func (c *lagCollector) collect(ctx context.Context, src *Sources) ([]groupLag, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.mu.at) < lagFresh {
		return c.mu.groups, c.mu.err
	}
	ctx, cancel := context.WithTimeout(ctx, lagPatience)
	defer cancel()
	c.mu.groups, c.mu.err = committedOffsets(ctx, src)
	if ctx.Err() == nil {
		c.mu.at = time.Now()
	}
	c.measureLocked(src)
	return c.mu.groups, c.mu.err
}

var scraper = coordinator.Client{ID: "metrics"}

// committedOffsets asks the coordinator as a client would.
func committedOffsets(ctx context.Context, src *Sources) ([]groupLag, error) {
	list := kmsg.NewPtrListGroupsRequest()
	listed := src.Groups.ListGroups(ctx, scraper, list)(ctx)
	switch err := kerr.ErrorForCode(listed.ErrorCode); {
	case errors.Is(err, kerr.CoordinatorNotAvailable): // no group has ever been
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("list groups: %w", err)
	}
	names := make([]string, len(listed.Groups))
	fetch, describe := kmsg.NewPtrOffsetFetchRequest(), kmsg.NewPtrDescribeGroupsRequest()
	fetch.Version, describe.Version = 8, 5
	for i, g := range listed.Groups {
		names[i] = g.Group
	}
	slices.Sort(names)
	describe.Groups = names
	for _, name := range names {
		one := kmsg.NewOffsetFetchRequestGroup()
		one.Group, one.Topics = name, nil
		fetch.Groups = append(fetch.Groups, one)
	}
	fetched := src.Groups.OffsetFetch(ctx, scraper, fetch)
	described := src.Groups.DescribeGroups(ctx, scraper, describe)
	return joinGroups(fetched(ctx), described(ctx)), nil
}

// joinGroups puts together what both replies, which are in one order, say of a group.
func joinGroups(fetched *kmsg.OffsetFetchResponse, described *kmsg.DescribeGroupsResponse) []groupLag {
	groups := make([]groupLag, len(fetched.Groups))
	for i, f := range fetched.Groups {
		groups[i] = groupLag{group: f.Group, members: -1}
		if d := described.Groups[i]; d.ErrorCode == 0 {
			groups[i].members = len(d.Members)
		}
		for _, t := range f.Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode == 0 && p.Offset >= 0 {
					groups[i].offsets = append(groups[i].offsets, offsetLag{topic: t.Topic, partition: p.Partition, committed: p.Offset})
				}
			}
		}
		slices.SortFunc(groups[i].offsets, func(a, b offsetLag) int {
			return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.partition, b.partition))
		})
	}
	return groups
}

// measureLocked fills in how far the groups are behind.
func (c *lagCollector) measureLocked(src *Sources) {
	known := c.mu.times
	c.mu.times = make(map[lagKey]recordTime)
	searches := 0
	for i := range c.mu.groups {
		for j := range c.mu.groups[i].offsets {
			o := &c.mu.groups[i].offsets[j]
			p, ok := src.Partitions.Get(o.topic, o.partition)
			if !ok || p.Log() == nil {
				o.lag = -1
				continue
			}
			if o.lag = max(p.HighWatermark()-o.committed, 0); o.lag == 0 {
				continue
			}
			key := lagKey{c.mu.groups[i].group, o.topic, o.partition}
			next := max(o.committed, p.StartOffset()) // what retention has taken can be consumed by nobody
			at, ok := known[key]
			if !ok || at.offset != next || at.topic != p.TopicID() {
				if searches++; searches > lagSearchesMax {
					continue
				}
				at = recordTime{offset: next, topic: p.TopicID(), ms: timeOf(p.Log(), next)}
			}
			c.mu.times[key] = at
			if at.ms != record.NoTimestamp {
				o.seconds = max(time.Since(time.UnixMilli(at.ms)).Seconds(), 0)
			}
		}
	}
}

func timeOf(log *commitlog.Log, offset int64) int64 {
	ms, err := log.TimestampAt(offset)
	if err != nil { // the record has gone meanwhile, or the log is closed
		return record.NoTimestamp
	}
	return ms
}
