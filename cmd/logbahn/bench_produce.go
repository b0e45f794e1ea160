package main

import (
	"cmp"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
)

func benchProduce() *cobra.Command {
	var f benchFlags
	c := &cobra.Command{Use: "produce", Short: "Measure how records are written", Args: exactArgs(0), ValidArgsFunction: cobra.NoFileCompletions,
		Example: "  logbahn bench produce\n  logbahn bench produce --rate 20000 --size 100 --acks 1 --duration 30s\n  logbahn bench produce -z zstd --connections 4 --partitions 12 -o json"}
	f.addTarget(c)
	f.addLoad(c, 0)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := f.check(1); err != nil {
			return err
		}
		opts, err := f.loadOptions()
		if err != nil {
			return err
		}
		return f.onTopic(c, func(topic string, partitions []int32) error {
			clients, closeAll, err := f.connectAll(c, func(int) []kgo.Opt { return opts })
			if err != nil {
				return err
			}
			defer closeAll()
			value := randomBytes(f.size)
			l := &load{flags: &f, topic: topic, clients: clients, value: func(time.Duration) []byte { return value }}
			if err := l.warmUp(c.Context()); err != nil {
				return err
			}
			end := progress(c.ErrOrStderr(), rateLine(&l.acked, &l.bytes))
			err = l.run(c.Context())
			end()
			r := l.result("produce", len(partitions))
			return cmp.Or(r.show(c), err)
		})
	}
	return c
}

func (l *load) result(kind string, partitions int) *benchResult {
	f := l.flags
	r := &benchResult{Kind: kind, Topic: l.topic, Partitions: partitions, Connections: f.connections, Size: f.size, Rate: f.rate, Acks: f.acks, Codec: f.codec,
		Records: l.acked.Load(), Bytes: l.bytes.Load(), Acknowledged: summary(l.latencies)}
	r.finish(time.Duration(l.last.Load()))
	return r
}
