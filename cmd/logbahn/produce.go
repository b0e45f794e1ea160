package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// lineBytesMax bounds a line of standard input: the largest record that a broker takes by default is 1 MiB.
const lineBytesMax = 16 << 20

// bufferedBytesMax bounds the records that wait for the broker: several lines of the largest size.
const bufferedBytesMax = 4 * lineBytesMax

type produceFlags struct {
	key, separator, codec, acks string
	headers                     []string
	partition                   int32
	patience                    time.Duration
}

func produceCommand() *cobra.Command {
	var f produceFlags
	c := &cobra.Command{
		Use:   "produce TOPIC [VALUE...]",
		Short: "Write records: the values given, or a line of standard input each",
		Example: `  logbahn produce rides 'a value' 'another'
  logbahn produce rides -k ID-1 -H source=phone 80
  kubectl logs -f pod | logbahn produce logs -z zstd
  logbahn produce rides -K : < keyed-lines.txt`,
		Args:              minArgs(1),
		ValidArgsFunction: first(completeTopics),
		RunE:              func(c *cobra.Command, args []string) error { return produce(c, f, args[0], args[1:]) },
	}
	brokersFlag(c)
	c.Flags().StringVarP(&f.key, "key", "k", "", "key of every record")
	c.Flags().StringVarP(&f.separator, "key-separator", "K", "", "split each line at the first of these into key and value")
	c.Flags().StringArrayVarP(&f.headers, "header", "H", nil, "a header, key=value (repeatable)")
	c.Flags().Int32VarP(&f.partition, "partition", "p", -1, "partition (-1: by the key, else spread)")
	c.Flags().StringVarP(&f.codec, "compression", "z", "none", "none, gzip, snappy, lz4 or zstd")
	_ = c.RegisterFlagCompletionFunc("compression", cobra.FixedCompletions([]string{"none", "gzip", "snappy", "lz4", "zstd"}, cobra.ShellCompDirectiveNoFileComp))
	c.Flags().StringVar(&f.acks, "acks", "all", "all (on every in-sync replica's disk), 1 (on the leader's), 0 (none)")
	c.Flags().DurationVar(&f.patience, "timeout", 2*time.Minute, "give up on a record that has not been acknowledged for so long")
	return c
}

func (f produceFlags) options() ([]kgo.Opt, error) {
	opts := []kgo.Opt{kgo.AllowAutoTopicCreation()}
	switch f.acks {
	case "all", "-1":
	case "1":
		opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	case "0":
		opts = append(opts, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	default:
		return nil, usageErrorf("--acks %s: there are all, 1 and 0", f.acks)
	}
	codecs := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	codec, ok := codecs[f.codec]
	if !ok {
		return nil, usageErrorf("--compression %s: there are none, gzip, snappy, lz4 and zstd", f.codec)
	}
	opts = append(opts, kgo.ProducerBatchCompression(codec))
	if f.partition >= 0 {
		opts = append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	return opts, nil
}

// bounds are how long a record may take, and how much may wait for the broker. A record that was sent and not answered is
// given up as well: nothing is sent under its number again.
func (f produceFlags) bounds() ([]kgo.Opt, error) {
	if f.patience < time.Second {
		return nil, usageErrorf("--timeout %v: a second at least", f.patience)
	}
	return []kgo.Opt{kgo.RecordDeliveryTimeout(f.patience), kgo.AllowIdempotentProduceCancellation(), kgo.MaxBufferedBytes(bufferedBytesMax)}, nil
}

func (f produceFlags) record(topic, line string) (*kgo.Record, error) {
	r := &kgo.Record{Topic: topic, Value: []byte(line), Partition: f.partition}
	if f.key != "" {
		r.Key = []byte(f.key)
	}
	if f.separator != "" {
		key, value, ok := strings.Cut(line, f.separator)
		if !ok {
			return nil, usageErrorf("no key separator %q in the line %.60q", f.separator, line)
		}
		r.Key, r.Value = []byte(key), []byte(value)
	}
	for _, h := range f.headers {
		key, value, ok := strings.Cut(h, "=")
		if !ok {
			return nil, usageErrorf("header %q is not of the form key=value", h)
		}
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: key, Value: []byte(value)})
	}
	return r, nil
}

func produce(c *cobra.Command, f produceFlags, topic string, values []string) error {
	opts, err := f.options()
	bounds, wrong := f.bounds()
	if err := cmp.Or(err, wrong, checkNames([]string{topic})); err != nil {
		return err
	}
	client, err := connect(c, append(opts, bounds...)...)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := f.checkPartition(c.Context(), client, topic); err != nil {
		return err
	}
	// Ctrl-C ends the reading of lines; what was taken is still sent. A second one ends the process.
	ctx := context.WithoutCancel(c.Context())
	sent := &sent{out: c.OutOrStdout(), quiet: len(values) == 0}
	send := func(line string) error {
		r, err := f.record(topic, line)
		if err != nil {
			return err
		}
		client.Produce(ctx, r, sent.done)
		return sent.err()
	}
	if len(values) > 0 {
		for i := 0; err == nil && i < len(values); i++ {
			err = send(values[i])
		}
	} else if err = eachLine(interruptible{c.Context(), c.InOrStdin()}, send); errors.Is(err, context.Canceled) {
		err = nil
	}
	// What came before a line that is wrong has been taken.
	err = cmp.Or(err, client.Flush(ctx))
	if sent.quiet {
		fmt.Fprintln(c.ErrOrStderr(), counted(sent.count, "record"))
	}
	return outcome(sent.count, cmp.Or(err, sent.err()))
}

// checkPartition finds out whether the topic has the partition. One that does not exist yet may be made with it.
func (f produceFlags) checkPartition(ctx context.Context, client *kgo.Client, topic string) error {
	if f.partition < 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	t, err := findTopic(ctx, kadm.NewClient(client), topic)
	if isNotFound(err) || errors.Is(err, kerr.LeaderNotAvailable) { // it is being made
		return nil
	}
	if _, ok := t.Partitions[f.partition]; err == nil && !ok {
		return &missingPartition{topic, f.partition}
	}
	return err
}

// eachLine calls do with each line. What is left behind the last line's end is one more at the end of the input only: after any
// other error, an interruption among them, nobody knows what would have followed.
func eachLine(r io.Reader, do func(line string) error) error {
	in := &untilError{Reader: r}
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), lineBytesMax)
	lines.Split(func(data []byte, atEnd bool) (int, []byte, error) {
		if atEnd && !errors.Is(in.err, io.EOF) && bytes.IndexByte(data, '\n') < 0 {
			return 0, nil, nil
		}
		return bufio.ScanLines(data, atEnd)
	})
	for lines.Scan() {
		if err := do(lines.Text()); err != nil {
			return err
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return usageErrorf("a line is longer than %d bytes", lineBytesMax)
	}
	return lines.Err()
}

// untilError is a reader that remembers why it has ended.
type untilError struct {
	io.Reader
	err error
}

func (u *untilError) Read(p []byte) (n int, err error) {
	n, u.err = u.Reader.Read(p)
	return n, u.err
}

// sent counts acknowledged records and keeps the first error. done is called by the client's goroutines.
type sent struct {
	out   io.Writer
	quiet bool

	mu    sync.Mutex
	count int
	first error
}

func (s *sent) done(r *kgo.Record, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		if s.first == nil {
			s.first = named("topic", r.Topic, err, "")
		}
		return
	}
	s.count++
	if !s.quiet {
		fmt.Fprintf(s.out, "%s partition %d offset %d\n", r.Topic, r.Partition, r.Offset)
	}
}

func (s *sent) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first
}
