package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type consumeFlags struct {
	group, from, format, output string
	count                       int
	exit                        bool
}

func consumeCommand() *cobra.Command {
	var f consumeFlags
	c := &cobra.Command{
		Use:   "consume TOPIC...",
		Short: "Read records, alone or as a member of a group",
		Args:  minArgs(1),
		RunE:  func(c *cobra.Command, topics []string) error { return consume(c, f, topics) },
	}
	brokersFlag(c)
	c.Flags().StringVarP(&f.group, "group", "g", "", "read as a member of this group and commit what was printed")
	c.Flags().StringVarP(&f.from, "from", "f", "end", "where to begin: start, end, an offset, -N (the last N of each partition), or @ a time (RFC 3339 or Unix ms)")
	c.Flags().IntVarP(&f.count, "num", "n", 0, "stop after so many records (0: never)")
	c.Flags().BoolVarP(&f.exit, "exit", "e", false, "stop at the end that the partitions had at the start")
	c.Flags().StringVar(&f.format, "format", `%v\n`, "what to print: %t topic %p partition %o offset %k key %v value %T timestamp %h headers")
	c.Flags().StringVarP(&f.output, "output", "o", "text", "text (see --format), or json: an object a line")
	return c
}

func (f consumeFlags) offset() (kgo.Offset, error) {
	o := kgo.NewOffset()
	switch {
	case f.from == "start":
		return o.AtStart(), nil
	case f.from == "end":
		return o.AtEnd(), nil
	case strings.HasPrefix(f.from, "@"):
		at := f.from[1:]
		if ms, err := strconv.ParseInt(at, 10, 64); err == nil {
			return o.AfterMilli(ms), nil
		}
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			return o, usageErrorf("--from %s: neither RFC 3339 nor Unix milliseconds", f.from)
		}
		return o.AfterMilli(when.UnixMilli()), nil
	}
	n, err := strconv.ParseInt(f.from, 10, 64)
	if err != nil {
		return o, usageErrorf("--from %s: there are start, end, an offset, -N, and @time", f.from)
	}
	if n < 0 {
		return o.AtEnd().Relative(n), nil
	}
	return o.At(n), nil
}

func consume(c *cobra.Command, f consumeFlags, topics []string) error {
	start, err := f.offset()
	if err != nil {
		return err
	}
	if f.output != "text" && f.output != "json" {
		return usageErrorf("-o %s: there are text and json", f.output)
	}
	opts := []kgo.Opt{kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(start)}
	if f.group != "" {
		opts = append(opts, kgo.ConsumerGroup(f.group), kgo.AutoCommitMarks())
	}
	client, err := connect(c, opts...)
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
	return errors.Join(err, out.Flush(), leave(c.Context(), client, f.group))
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
	}
	if !f.exit {
		return nil, nil
	}
	positions, err := f.positions(ctx, admin, topics)
	if err != nil {
		return nil, err
	}
	listed, err := admin.ListEndOffsets(ctx, topics...)
	if err != nil {
		return nil, err
	}
	left := ends{}
	listed.Each(func(end kadm.ListedOffset) {
		if positions(end) < end.Offset {
			if left[end.Topic] == nil {
				left[end.Topic] = map[int32]int64{}
			}
			left[end.Topic][end.Partition] = end.Offset
		}
	})
	return left, nil
}

// positions tells for each partition, given its end, where reading begins: what --exit waits for must be what will
// come. A group's commit goes before --from.
func (f consumeFlags) positions(ctx context.Context, admin *kadm.Client, topics []string) (func(end kadm.ListedOffset) int64, error) {
	starts, err := admin.ListStartOffsets(ctx, topics...)
	if err != nil {
		return nil, err
	}
	committed := kadm.OffsetResponses{}
	if f.group != "" {
		if committed, err = admin.FetchOffsets(ctx, f.group); err != nil && !isNotFound(err) {
			return nil, err
		}
	}
	from, err := f.offset()
	if err != nil {
		return nil, err
	}
	offset := from.EpochOffset().Offset
	var after kadm.ListedOffsets
	if strings.HasPrefix(f.from, "@") {
		if after, err = admin.ListOffsetsAfterMilli(ctx, offset, topics...); err != nil {
			return nil, err
		}
	}
	return func(end kadm.ListedOffset) int64 {
		start, _ := starts.Lookup(end.Topic, end.Partition)
		if c, ok := committed.Lookup(end.Topic, end.Partition); ok && c.Err == nil && c.At >= 0 {
			return max(c.At, start.Offset)
		}
		if found, ok := after.Lookup(end.Topic, end.Partition); ok {
			return max(found.Offset, start.Offset)
		}
		switch n, err := strconv.ParseInt(f.from, 10, 64); {
		case f.from == "end":
			return end.Offset
		case err == nil && n < 0:
			return max(end.Offset+n, start.Offset)
		case err == nil:
			return max(n, start.Offset)
		}
		return start.Offset
	}, nil
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

func (f consumeFlags) poll(ctx context.Context, client *kgo.Client, left ends, out *bufio.Writer) error {
	if f.exit && len(left) == 0 {
		return nil
	}
	print, err := f.printer(out)
	if err != nil {
		return err
	}
	for n := 0; ; {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil
		}
		for _, e := range fetches.Errors() {
			return fmt.Errorf("topic %q partition %d: %w", e.Topic, e.Partition, e.Err)
		}
		for it := fetches.RecordIter(); !it.Done(); {
			r := it.Next()
			if err := print(r); err != nil {
				return err
			}
			client.MarkCommitRecords(r)
			if n++; n == f.count {
				return nil
			}
			if f.exit && left.done(r.Topic, r.Partition, r.Offset+1) {
				return nil
			}
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
}

// consumed is a record as -o json prints it. Keys and values that are not UTF-8 are given in base64 instead.
type consumed struct {
	Topic       string            `json:"topic"`
	Partition   int32             `json:"partition"`
	Offset      int64             `json:"offset"`
	Timestamp   time.Time         `json:"timestamp"`
	Key         *string           `json:"key"`
	Value       *string           `json:"value"`
	KeyBase64   []byte            `json:"key_base64,omitempty"`
	ValueBase64 []byte            `json:"value_base64,omitempty"`
	Headers     map[string]string `json:"headers,omitempty"`
}

func (f consumeFlags) printer(out io.Writer) (func(*kgo.Record) error, error) {
	if f.output == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		return func(r *kgo.Record) error {
			c := consumed{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp}
			c.Key, c.KeyBase64 = text(r.Key)
			c.Value, c.ValueBase64 = text(r.Value)
			for _, h := range r.Headers {
				if c.Headers == nil {
					c.Headers = map[string]string{}
				}
				c.Headers[h.Key] = string(h.Value)
			}
			return encoder.Encode(c)
		}, nil
	}
	unescape := strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\r`, "\r", `\\`, `\`)
	parts, err := parseFormat(unescape.Replace(f.format))
	if err != nil {
		return nil, err
	}
	return func(r *kgo.Record) error {
		for _, part := range parts {
			if _, err := io.WriteString(out, part(r)); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

func text(b []byte) (*string, []byte) {
	if b == nil {
		return nil, nil
	}
	if !utf8.Valid(b) {
		return nil, b
	}
	s := string(b)
	return &s, nil
}

func parseFormat(format string) ([]func(*kgo.Record) string, error) {
	var parts []func(*kgo.Record) string
	for format != "" {
		literal, rest, found := strings.Cut(format, "%")
		if literal != "" {
			parts = append(parts, func(*kgo.Record) string { return literal })
		}
		if !found {
			break
		}
		if rest == "" {
			return nil, usageErrorf("--format ends in %%")
		}
		verb, ok := formatVerbs[rest[0]]
		if !ok {
			return nil, usageErrorf("--format: there is no %%%c", rest[0])
		}
		parts = append(parts, verb)
		format = rest[1:]
	}
	return parts, nil
}

var formatVerbs = map[byte]func(*kgo.Record) string{
	't': func(r *kgo.Record) string { return r.Topic },
	'p': func(r *kgo.Record) string { return strconv.Itoa(int(r.Partition)) },
	'o': func(r *kgo.Record) string { return strconv.FormatInt(r.Offset, 10) },
	'k': func(r *kgo.Record) string { return string(r.Key) },
	'v': func(r *kgo.Record) string { return string(r.Value) },
	'T': func(r *kgo.Record) string { return strconv.FormatInt(r.Timestamp.UnixMilli(), 10) },
	'%': func(*kgo.Record) string { return "%" },
	'h': func(r *kgo.Record) string {
		var headers []string
		for _, h := range r.Headers {
			headers = append(headers, h.Key+"="+string(h.Value))
		}
		return strings.Join(headers, ",")
	},
}
