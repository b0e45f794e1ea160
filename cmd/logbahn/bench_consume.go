package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func benchConsume() *cobra.Command {
	var f benchFlags
	c := &cobra.Command{Use: "consume", Short: "Measure how records are read, from the start of a topic to its end", Args: exactArgs(0), ValidArgsFunction: cobra.NoFileCompletions,
		Long: "Reads a topic from its start to the end that it had then, each partition by one of the connections. Without --topic one\n" +
			"is made and filled first, which is not counted.",
		Example: "  logbahn bench consume --topic rides\n  logbahn bench consume --num 500000 --size 100 --connections 3"}
	f.addTarget(c)
	c.Flags().IntVar(&f.size, "size", 1024, "bytes of a value in the topic that is made")
	c.Flags().Int64Var(&f.num, "num", 200_000, "records of the topic that is made; with --topic, read so many at most (0: all)")
	c.Flags().StringVarP(&f.codec, "compression", "z", "none", "compression in the topic that is made")
	c.RunE = func(c *cobra.Command, _ []string) error {
		f.acks, f.duration = "all", time.Hour
		if err := f.check(1); err != nil {
			return err
		}
		if f.topic != "" && !c.Flags().Changed("num") {
			f.num = 0
		}
		if f.topic == "" && f.num == 0 {
			return usageErrorf("--num 0: the topic that is made needs records")
		}
		if _, err := f.loadOptions(); err != nil {
			return err
		}
		return f.onTopic(c, func(topic string, partitions []int32) error {
			if f.topic == "" {
				if err := f.fill(c, topic); err != nil {
					return err
				}
			}
			return f.read(c, topic, partitions)
		})
	}
	return c
}

func (f *benchFlags) fill(c *cobra.Command, topic string) error {
	opts, err := f.loadOptions()
	if err != nil {
		return err
	}
	client, err := connect(c, opts...)
	if err != nil {
		return err
	}
	defer client.Close()
	value := randomBytes(f.size)
	l := &load{flags: f, topic: topic, clients: []*kgo.Client{client}, value: func(time.Duration) []byte { return value }}
	end := progress(c.ErrOrStderr(), func(time.Duration) string { return fmt.Sprintf("filling: %d of %d records", l.acked.Load(), f.num) })
	defer end()
	return l.run(c.Context())
}

// reading is one run of readers.
type reading struct {
	left           atomic.Int64 // records that are still to come
	records, bytes atomic.Int64
}

func (f *benchFlags) read(c *cobra.Command, topic string, partitions []int32) error {
	places, total, err := f.places(c, topic)
	if err != nil {
		return err
	}
	if total == 0 {
		return &cliError{code: exitRefused, err: fmt.Errorf("topic %q is empty", topic), hint: "`logbahn bench produce --topic " + topic + "` fills it"}
	}
	if f.num > 0 {
		total = min(total, f.num)
	}
	f.connections = min(f.connections, len(places))
	clients, closeAll, err := f.connectAll(c, func(i int) []kgo.Opt {
		mine := map[int32]kgo.Offset{}
		for n, p := range places {
			if n%f.connections == i {
				mine[p] = kgo.NewOffset().AtStart()
			}
		}
		return []kgo.Opt{kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: mine}), kgo.KeepControlRecords()}
	})
	if err != nil {
		return err
	}
	defer closeAll()
	r := &reading{}
	r.left.Store(total)
	end := progress(c.ErrOrStderr(), rateLine(&r.records, &r.bytes))
	took, err := r.run(c.Context(), clients)
	end()
	result := &benchResult{Kind: "consume", Topic: topic, Partitions: len(partitions), Connections: f.connections, Records: r.records.Load(), Bytes: r.bytes.Load()}
	result.finish(took)
	return cmp.Or(result.show(c), err)
}

// places returns the partitions that have something, and how many offsets that is in all.
func (f *benchFlags) places(c *cobra.Command, topic string) (partitions []int32, total int64, err error) {
	err = withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
		b, err := position{}.bounds(ctx, admin, topic)
		if err != nil {
			return err
		}
		for _, end := range listed(b.ends) {
			start, _ := b.starts.Lookup(topic, end.Partition)
			if err := errors.Join(start.Err, end.Err); err != nil {
				return err
			}
			if n := end.Offset - start.Offset; n > 0 {
				partitions, total = append(partitions, end.Partition), total+n
			}
		}
		return nil
	})
	return partitions, total, err
}

// idlePatience ends a run whose partitions have fewer records than offsets, as compacted ones do.
const idlePatience = 5 * time.Second

// run returns how long it took until the last record came.
func (r *reading) run(ctx context.Context, clients []*kgo.Client) (time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	start := time.Now()
	var last atomic.Int64
	var readers sync.WaitGroup
	for _, client := range clients {
		readers.Go(func() {
			for ctx.Err() == nil {
				idle, stop := context.WithTimeout(ctx, idlePatience)
				fetches := client.PollFetches(idle)
				silent := idle.Err() != nil && ctx.Err() == nil
				stop()
				if silent {
					return
				}
				for _, e := range fetches.Errors() {
					if ctx.Err() == nil {
						cancel(fmt.Errorf("topic %q partition %d: %w", e.Topic, e.Partition, e.Err))
					}
					return
				}
				if r.took(fetches) {
					last.Store(int64(time.Since(start)))
				}
				if r.left.Load() <= 0 {
					cancel(errAllRead)
				}
			}
		})
	}
	readers.Wait()
	err := context.Cause(ctx)
	if errors.Is(err, errAllRead) {
		err = nil
	}
	return time.Duration(last.Load()), err
}

// errAllRead ends the readers when nothing is left.
var errAllRead = errors.New("everything is read")

func (r *reading) took(fetches kgo.Fetches) bool {
	n, bytes := int64(0), int64(0)
	for it := fetches.RecordIter(); !it.Done(); n++ {
		record := it.Next()
		bytes += int64(len(record.Key) + len(record.Value))
	}
	r.records.Add(n)
	r.bytes.Add(bytes)
	r.left.Add(-n)
	return n > 0
}
