package payd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// newClient returns a client with the options that all of payd's clients share.
func (c *Config) newClient(id string, opts ...kgo.Opt) (*kgo.Client, error) {
	all := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...), kgo.ClientID("payd-" + id),
		kgo.RecordPartitioner(partitioner{}),
		kgo.ProducerLinger(0),
		kgo.FetchMaxWait(fetchWait),
		kgo.MetadataMinAge(metadataMinAge),
	}
	all = append(append(all, opts...), c.Opts...)
	client, err := kgo.NewClient(all...)
	if err != nil {
		return nil, fmt.Errorf("payd: client %s: %w", id, err)
	}
	return client, nil
}

// fetchWait bounds how long the log holds back an answer for want of records, and so how long it takes to leave.
const fetchWait = time.Second

// metadataMinAge is how soon a client asks again for the leader that a partition has got: the cars should not wait.
const metadataMinAge = 500 * time.Millisecond

// partitioner sends by key what devices send, and everything else to the partition that the record says: that of the
// record it was made of.
type partitioner struct{}

func (partitioner) ForTopic(topic string) kgo.TopicPartitioner {
	switch topic {
	case topicRaw, topicClean, topicHistory:
		return kgo.StickyKeyPartitioner(nil).ForTopic(topic)
	}
	return kgo.BasicConsistentPartitioner(func(string) func(*kgo.Record, int) int {
		return func(r *kgo.Record, n int) int { return int(r.Partition) % n }
	}).ForTopic(topic)
}

func header(r *kgo.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

func headerOf(key, value string) kgo.RecordHeader {
	return kgo.RecordHeader{Key: key, Value: []byte(value)}
}

// origin is the place in the log that a record was made of.
type origin struct {
	topic     string
	partition int32
	offset    int64
}

func originOf(r *kgo.Record) origin { return origin{r.Topic, r.Partition, r.Offset} }

func (o origin) header() kgo.RecordHeader {
	return headerOf(headerFrom, fmt.Sprintf("%s/%d/%d", o.topic, o.partition, o.offset))
}

// readOrigin returns where a record says it was made of, and whether it says so legibly.
func readOrigin(r *kgo.Record) (origin, bool) {
	fields := strings.Split(header(r, headerFrom), "/")
	if len(fields) != 3 {
		return origin{}, false
	}
	p, err := strconv.ParseInt(fields[1], 10, 32)
	if err != nil {
		return origin{}, false
	}
	offset, err := strconv.ParseInt(fields[2], 10, 64)
	return origin{fields[0], int32(p), offset}, err == nil
}

// seenOrigins drops records that were written twice: those made of an offset at or below one already seen.
type seenOrigins map[string]int64

func (s seenOrigins) again(o origin) bool {
	key := o.topic + "/" + strconv.Itoa(int(o.partition))
	if last, ok := s[key]; ok && o.offset <= last {
		return true
	}
	s[key] = o.offset
	return false
}

// readAll reads the partitions of topic from their offsets to their ends as of now. It fails rather than read less: a log
// that does not answer must not pass for one that ends.
func readAll(ctx context.Context, config *Config, topic string, from map[int32]int64, each func(*kgo.Record)) error {
	ends, err := unread(ctx, config, topic, from)
	if err != nil || len(ends) == 0 {
		return err
	}
	next := make(map[int32]int64)
	starts := make(map[int32]kgo.Offset)
	for p := range ends {
		next[p] = from[p]
		starts[p] = kgo.NewOffset().At(from[p])
	}
	// A topic may end with what transactions leave: it is no record of ours, and an end all the same.
	client, err := config.newClient("read", kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: starts}),
		kgo.FetchMaxWait(readWait), kgo.KeepControlRecords())
	if err != nil {
		return err
	}
	defer client.Close()
	for silent := 0; len(ends) > 0; {
		fetches, err := pollOnce(ctx, client, 4*readWait)
		if err != nil {
			return err
		}
		if !fetches.Empty() {
			silent = 0
			fetches.EachRecord(func(r *kgo.Record) {
				end, open := ends[r.Partition]
				if open && r.Offset < end && !r.Attrs.IsControl() {
					each(r)
				}
				next[r.Partition] = r.Offset + 1
				if open && r.Offset+1 >= end {
					delete(ends, r.Partition)
					client.PauseFetchPartitions(map[string][]int32{topic: {r.Partition}}) // it may grow for ever
				}
			})
			continue
		}
		if silent++; silent > silentPollsMax {
			return fmt.Errorf("payd: read %s: %d partitions are not read to their ends, and nothing more comes", topic, len(ends))
		}
		if err := forgetRead(ctx, config, topic, next, ends); err != nil {
			return err
		}
	}
	return nil
}

// silentPollsMax is how many polls in a row may bring nothing of what the log says that it has: about half a minute.
const silentPollsMax = 15

// forgetRead drops from ends the partitions that hold nothing any more between next and their end: retention has taken it.
func forgetRead(ctx context.Context, config *Config, topic string, next, ends map[int32]int64) error {
	open := make(map[int32]int64)
	for p := range ends {
		open[p] = next[p]
	}
	left, err := unread(ctx, config, topic, open)
	if err != nil {
		return err
	}
	for p := range open {
		if _, more := left[p]; !more {
			delete(ends, p)
		}
	}
	return nil
}

// readWait bounds how long the broker may hold back an answer while a topic is read to its end.
const readWait = 500 * time.Millisecond

func pollOnce(ctx context.Context, client *kgo.Client, atMost time.Duration) (kgo.Fetches, error) {
	bounded, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	fetches := client.PollFetches(bounded)
	return fetches, fetchError(ctx, fetches)
}

// unread returns the ends of those partitions in from that hold records at or after their offset. Partitions that the topic
// does not have hold none. A broker that has not heard of the topic yet, or of a partition's leader, is asked again.
func unread(ctx context.Context, config *Config, topic string, from map[int32]int64) (map[int32]int64, error) {
	client, err := config.newClient("offsets")
	if err != nil {
		return nil, err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	for until := time.Now().Add(listPatience); ; {
		ends, err := unreadOnce(ctx, admin, topic, from)
		if !kerr.IsRetriable(err) || time.Now().After(until) {
			return ends, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(readWait):
		}
	}
}

// listPatience bounds how long brokers may not know what they are asked for.
const listPatience = 20 * time.Second

func unreadOnce(ctx context.Context, admin *kadm.Client, topic string, from map[int32]int64) (map[int32]int64, error) {
	starts, err := admin.ListStartOffsets(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("payd: start offsets of %s: %w", topic, err)
	}
	listed, err := admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("payd: end offsets of %s: %w", topic, err)
	}
	return unreadOf(topic, from, starts, listed)
}

// unreadOf compares offsets with what the log has listed. A partition of which it cannot tell is an error: taken for an
// empty one it would be begun anew, and what is made of it would replace what was.
func unreadOf(topic string, from map[int32]int64, starts, listed kadm.ListedOffsets) (map[int32]int64, error) {
	ends := make(map[int32]int64)
	for p, at := range from {
		start, end := starts[topic][p], listed[topic][p]
		// Under -1 stands what is wrong with the topic.
		if err := cmp.Or(starts[topic][-1].Err, listed[topic][-1].Err, start.Err, end.Err); err != nil {
			return nil, fmt.Errorf("payd: offsets of %s/%d: %w", topic, p, err)
		}
		if end.Offset > max(at, start.Offset) {
			ends[p] = end.Offset
		}
	}
	return ends, nil
}

// fromStart names every partition of a topic of n, from its beginning.
func fromStart(n int32) map[int32]int64 {
	from := make(map[int32]int64, n)
	for p := range n {
		from[p] = 0
	}
	return from
}

// write puts records into the log and returns when all are safe, their partitions and offsets set. When ctx ends it
// returns at once, and what became of the records is not known.
func write(ctx context.Context, client *kgo.Client, records []*kgo.Record) error {
	return writeEach(ctx, client, records, func(*kgo.Record, error) {})
}

// writeEach is write with a function that is told what became of each record, by a goroutine of the client's.
func writeEach(ctx context.Context, client *kgo.Client, records []*kgo.Record, told func(*kgo.Record, error)) error {
	// kgo's ProduceSync would wait for a log that is gone, even after ctx has ended.
	results := make(chan error, len(records))
	for _, r := range records {
		client.Produce(ctx, r, func(r *kgo.Record, err error) {
			told(r, err)
			results <- err
		})
	}
	for range records {
		select {
		case err := <-results:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// fetchError returns the first error of a poll; the end of the context counts as one.
func fetchError(ctx context.Context, fetches kgo.Fetches) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, e := range fetches.Errors() {
		if !errors.Is(e.Err, context.DeadlineExceeded) {
			return fmt.Errorf("payd: fetch %s/%d: %w", e.Topic, e.Partition, e.Err)
		}
	}
	return nil
}
