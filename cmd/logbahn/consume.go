package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type consumeFlags struct {
	group, from, format, output string
	partitions                  []int32
	count                       int
	exit                        bool

	start position // from, parsed
	// idle is after how long without a record --exit finds out whether the cluster is still there.
	idle time.Duration
}

func consumeCommand() *cobra.Command {
	return readingCommand("consume", "end", "Read records, alone or as a member of a group", `  logbahn consume rides --from start --exit
  logbahn consume rides -f '%T %k %v\n' --from @2015-05-15T00:08:13Z -n 10
  logbahn consume rides -o json --from -1 | jq .value
  logbahn consume rides -g analytics --from start`)
}

// topicTail is consume that begins a little before the end.
func topicTail() *cobra.Command {
	return readingCommand("tail", "-10", "Show the last records, and those to come", `  logbahn topic tail rides
  logbahn topic tail rides --from -1 --exit`)
}

func readingCommand(name, from, short, example string) *cobra.Command {
	f := consumeFlags{idle: requestTimeout}
	c := &cobra.Command{
		Use:               name + " TOPIC...",
		Short:             short,
		Long:              short + ".\n\nPositions (--from): " + positionHelp + ".\n\nFormats (-f):\n" + recordFormatHelp,
		Example:           example,
		Args:              minArgs(1),
		ValidArgsFunction: completeTopics,
		RunE:              func(c *cobra.Command, topics []string) error { return consume(c, f, topics) },
	}
	brokersFlag(c)
	c.Flags().StringVarP(&f.group, "group", "g", "", "read as a member of this group and commit what was printed")
	c.Flags().StringVar(&f.from, "from", from, "where to begin; a group's commit goes before it")
	c.Flags().Int32SliceVarP(&f.partitions, "partition", "p", nil, "read these partitions only")
	c.Flags().IntVarP(&f.count, "num", "n", 0, "stop after so many records (0: never)")
	c.Flags().BoolVarP(&f.exit, "exit", "e", false, "stop at the end that the partitions had at the start")
	c.Flags().StringVarP(&f.format, "format", "f", `%v\n`, "what to print of each record")
	c.Flags().StringVarP(&f.output, "output", "o", "text", "text (see --format), or json: an object a line")
	_ = c.RegisterFlagCompletionFunc("group", completeGroups)
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// check finds what is wrong with the flags before a broker is asked.
func (f *consumeFlags) check() error {
	var err error
	if f.start, err = parsePosition("--from", f.from); err != nil {
		return err
	}
	if f.output != "text" && f.output != "json" {
		return usageErrorf("-o %s: there are text and json", f.output)
	}
	if f.count < 0 {
		return usageErrorf("-n %d: a number of records, or 0 for all", f.count)
	}
	if f.group != "" && len(f.partitions) > 0 {
		return usageErrorf("--group and --partition exclude each other: a group shares out the partitions itself")
	}
	if _, err := parsePosition("-f", f.format); err == nil {
		return &cliError{code: exitUsage, err: fmt.Errorf("-f %s: a format without a %%", f.format), hint: "--from " + f.format + " says where to begin"}
	}
	_, err = parseRecordFormat(f.format)
	return err
}

func consume(c *cobra.Command, f consumeFlags, topics []string) error {
	if err := errors.Join(f.check(), checkNames(topics)); err != nil {
		return err
	}
	client, err := connect(c, f.options(topics)...)
	if err != nil {
		return err
	}
	defer client.Close()
	left, err := remaining(c.Context(), client, f, topics)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(c.OutOrStdout())
	err = f.poll(c.Context(), client, left, out)
	return errors.Join(err, leave(c.Context(), client, f.group))
}

// options ask for control records too: where a partition ends in one, --exit would wait for ever.
func (f consumeFlags) options(topics []string) []kgo.Opt {
	opts := []kgo.Opt{kgo.ConsumeResetOffset(f.start.offset()), kgo.KeepControlRecords()}
	if f.group != "" {
		return append(opts, kgo.ConsumeTopics(topics...), kgo.ConsumerGroup(f.group), kgo.AutoCommitMarks())
	}
	if len(f.partitions) == 0 {
		return append(opts, kgo.ConsumeTopics(topics...))
	}
	places := map[string]map[int32]kgo.Offset{}
	for _, t := range topics {
		places[t] = map[int32]kgo.Offset{}
		for _, p := range f.partitions {
			places[t][p] = f.start.offset()
		}
	}
	return append(opts, kgo.ConsumePartitions(places))
}

// leave commits what was printed. It runs after Ctrl-C as well.
func leave(ctx context.Context, client *kgo.Client, group string) error {
	if group == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	return client.CommitMarkedOffsets(ctx)
}

// ends is what is still to be read of each partition: its end offset when the command began.
type ends map[string]map[int32]int64

// remaining finds the topics, which gives a clear error for one that is missing, and with --exit their ends.
func remaining(ctx context.Context, client *kgo.Client, f consumeFlags, topics []string) (ends, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	admin := kadm.NewClient(client)
	found, err := admin.ListTopicsWithInternal(ctx, topics...)
	if err != nil {
		return nil, err
	}
	for _, t := range found.Sorted() {
		if t.Err != nil {
			return nil, named("topic", t.Topic, t.Err, "")
		}
		for _, p := range f.partitions {
			if _, ok := t.Partitions[p]; !ok {
				return nil, &missingPartition{t.Topic, p}
			}
		}
	}
	if !f.exit {
		return nil, nil
	}
	return f.remaining(ctx, admin, topics)
}

// remaining tells what --exit waits for, which must be what will come: reading begins at a group's commit, else at
// --from.
func (f consumeFlags) remaining(ctx context.Context, admin *kadm.Client, topics []string) (ends, error) {
	b, err := f.start.bounds(ctx, admin, topics...)
	if err != nil {
		return nil, err
	}
	committed := kadm.OffsetResponses{}
	if f.group != "" {
		if committed, err = admin.FetchOffsets(ctx, f.group); err != nil && !isNotFound(err) {
			return nil, err
		}
	}
	left := ends{}
	for _, end := range listed(b.ends) {
		if !f.reads(end.Partition) {
			continue
		}
		begin, err := b.resolve(f.start, end.Topic, end.Partition)
		if err != nil {
			return nil, err
		}
		if c, ok := committed.Lookup(end.Topic, end.Partition); ok && c.Err == nil && c.At >= 0 {
			begin = c.At
		}
		if begin < end.Offset {
			if left[end.Topic] == nil {
				left[end.Topic] = map[int32]int64{}
			}
			left[end.Topic][end.Partition] = end.Offset
		}
	}
	return left, nil
}

func listed(offsets kadm.ListedOffsets) []kadm.ListedOffset {
	var list []kadm.ListedOffset
	offsets.Each(func(o kadm.ListedOffset) { list = append(list, o) })
	return list
}

func (f consumeFlags) reads(partition int32) bool {
	for _, p := range f.partitions {
		if p == partition {
			return true
		}
	}
	return len(f.partitions) == 0
}

// done notes that r was read and reports whether nothing is left.
func (left ends) done(topic string, partition int32, next int64) bool {
	if end, ok := left[topic][partition]; ok && next >= end {
		delete(left[topic], partition)
		if len(left[topic]) == 0 {
			delete(left, topic)
		}
	}
	return len(left) == 0
}

// fetch returns what has come. With --exit it fails when nothing comes and no broker answers: the client library would try for
// ever, and whoever waits for the end of the command as well. Without, a broker that comes back is waited for.
func (f consumeFlags) fetch(ctx context.Context, client *kgo.Client) (kgo.Fetches, error) {
	for f.exit {
		idle, cancel := context.WithTimeout(ctx, f.idle)
		fetches := client.PollFetches(idle)
		expired := idle.Err() != nil
		cancel()
		if !expired || fetches.NumRecords() > 0 || ctx.Err() != nil {
			return fetches, nil
		}
		reach, cancel := context.WithTimeout(ctx, requestTimeout)
		err := client.Ping(reach)
		cancel()
		if err != nil && ctx.Err() == nil {
			return nil, &cliError{code: exitUnreachable, err: fmt.Errorf("no broker answers any more: %w", plainly(err))}
		}
	}
	return client.PollFetches(ctx), nil
}

func (f consumeFlags) poll(ctx context.Context, client *kgo.Client, left ends, out *bufio.Writer) error {
	if f.exit && len(left) == 0 {
		return nil
	}
	print, err := recordPrinter(out, f.output == "json", f.format)
	if err != nil {
		return err
	}
	for n, done := 0, false; !done; {
		fetches, err := f.fetch(ctx, client)
		if ctx.Err() != nil || err != nil {
			return err
		}
		for _, e := range fetches.Errors() {
			if errors.Is(e.Err, context.DeadlineExceeded) { // of fetch
				continue
			}
			return fmt.Errorf("topic %q partition %d: %w", e.Topic, e.Partition, e.Err)
		}
		var read []*kgo.Record
		for it := fetches.RecordIter(); !it.Done() && !done; {
			r := it.Next()
			read = append(read, r)
			if !r.Attrs.IsControl() {
				if err := print(r); err != nil {
					return err
				}
				n++
			}
			done = n > 0 && n == f.count || f.exit && left.done(r.Topic, r.Partition, r.Offset+1)
		}
		if err := out.Flush(); err != nil {
			return err
		}
		client.MarkCommitRecords(read...) // what could not be written is not committed
	}
	return nil
}
