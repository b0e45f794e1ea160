package interop

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestKcat produces and consumes with librdkafka's own tool: plain, with keys and headers, each codec, and a group.
func TestKcat(t *testing.T) {
	kcat := tool(t, "kcat")
	s := start(t, t.TempDir(), "")
	var want []string
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		value := "value of " + codec
		run(t, "key:"+value, nil, kcat, "-P", "-b", s.addr, "-t", "drives", "-K", ":", "-H", "codec="+codec, "-z", codec)
		want = append(want, fmt.Sprintf("key %s codec=%s\n", value, codec))
	}
	got := run(t, "", nil, kcat, "-C", "-b", s.addr, "-t", "drives", "-o", "beginning", "-e", "-q", "-f", "%k %s %h\n")
	if got != strings.Join(want, "") {
		t.Fatalf("kcat consumed\n%s\nwant\n%s", got, strings.Join(want, ""))
	}
	grouped := run(t, "", nil, kcat, "-b", s.addr, "-G", "kcat-group", "-X", "auto.offset.reset=earliest", "-c", "5", "-q", "-f", "%k %s %h\n", "drives")
	if grouped != got {
		t.Fatalf("the group of kcat read\n%s\nwant\n%s", grouped, got)
	}
}

// TestKafkaPython is today's kafka-python: every codec, headers, a group that commits and resumes.
func TestKafkaPython(t *testing.T) {
	python := client(t, "python", "bin", "python")
	s := start(t, t.TempDir(), "")
	got := run(t, "", nil, python, "testdata/python_current.py", s.addr, "drives", "none,gzip")
	var want []string
	for _, codec := range []string{"none", "gzip"} {
		for i := range 10 {
			want = append(want, fmt.Sprintf("%s-%d", codec, i))
		}
	}
	if lines := strings.Fields(got); !slices.Equal(lines, want) {
		t.Fatalf("kafka-python read %q, want %q", lines, want)
	}
}

// TestKafkaJS is kafkajs: admin, idempotent producer, group.
func TestKafkaJS(t *testing.T) {
	node, modules := tool(t, "node"), client(t, "node")
	s := start(t, t.TempDir(), "")
	got := run(t, "", nil, node, "testdata/kafkajs.js", modules, s.addr, "drives")
	if want := "v0x v0x v1x v1x v2x v2x v3x v3x v4x v4x 10\n"; got != want {
		t.Fatalf("kafkajs printed %q, want %q", got, want)
	}
}

// TestFranzGo shares a group between two members and moves all partitions to the one that stays.
func TestFranzGo(t *testing.T) {
	s := start(t, t.TempDir(), "", "num.partitions=4", "group.initial.rebalance.delay.ms=0")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	producer := newClient(t, s.addr)
	const records = 400
	for i := range records {
		producer.Produce(ctx, &kgo.Record{Topic: "drives", Key: fmt.Append(nil, i), Value: fmt.Append(nil, i)}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("produce: %v", err)
			}
		})
	}
	if err := producer.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	group := []kgo.Opt{kgo.ConsumerGroup("go"), kgo.ConsumeTopics("drives"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}
	a, b := newClient(t, s.addr, group...), newClient(t, s.addr, group...)
	seen := map[string]int{}
	for total := 0; total < records; {
		for _, c := range []*kgo.Client{a, b} {
			poll, stop := context.WithTimeout(ctx, 100*time.Millisecond)
			c.PollFetches(poll).EachRecord(func(r *kgo.Record) { seen[string(r.Value)]++; total++ })
			stop()
		}
		if ctx.Err() != nil {
			t.Fatalf("%d of %d records after a minute", len(seen), records)
		}
	}
	if len(seen) != records {
		t.Fatalf("%d distinct records, want %d", len(seen), records)
	}
}

// TestJavaTools runs Apache Kafka's own console tools and has kafka-dump-log read every file that they led to.
func TestJavaTools(t *testing.T) {
	java, jars := tool(t, "java"), filepath.Join(client(t, "java", "lib"), "*")
	kafka := func(stdin, class string, args ...string) string {
		t.Helper()
		return run(t, stdin, nil, java, append([]string{"-cp", jars, "-Xmx256m", "org.apache.kafka.tools." + class}, args...)...)
	}
	dir := t.TempDir()
	s := start(t, dir, "", "offsets.topic.num.partitions=3", "segment.bytes=1048576")
	if out := kafka("", "TopicCommand", "--bootstrap-server", s.addr, "--create", "--topic", "drives", "--partitions", "1"); !strings.Contains(out, "Created topic drives.") {
		t.Fatalf("kafka-topics --create printed %q", out)
	}
	var lines strings.Builder
	for i := range 500 {
		fmt.Fprintf(&lines, "device-%d:%s\n", i%7, strings.Repeat("reading ", 20))
	}
	kafka(lines.String(), "ConsoleProducer", "--bootstrap-server", s.addr, "--topic", "drives",
		"--reader-property", "parse.key=true", "--reader-property", "key.separator=:")
	got := kafka("", "consumer.ConsoleConsumer", "--bootstrap-server", s.addr, "--topic", "drives", "--group", "java",
		"--from-beginning", "--max-messages", "500", "--formatter-property", "print.key=true", "--formatter-property", "key.separator=:")
	if got != lines.String() {
		t.Fatalf("the console consumer read %d bytes that differ from the %d produced", len(got), lines.Len())
	}
	if out := kafka("", "consumer.group.ConsumerGroupCommand", "--bootstrap-server", s.addr, "--describe", "--group", "java"); !strings.Contains(out, "drives") {
		t.Fatalf("kafka-consumer-groups --describe printed %q", out)
	}
	s.stop()
	dumpAll(t, kafka, dir)
}

// dumpAll has kafka-dump-log read each file of the data directory. It prints its complaints to the same stream as
// its findings, so the words are looked for.
func dumpAll(t *testing.T, kafka func(stdin, class string, args ...string) string, dir string) {
	t.Helper()
	var logs, offsets, others []string
	for _, kind := range []string{"log", "index", "timeindex", "snapshot"} {
		files, err := filepath.Glob(filepath.Join(dir, "*", "*."+kind))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			topic := filepath.Base(filepath.Dir(f))
			switch {
			case strings.HasPrefix(topic, "__cluster_metadata"):
			case kind == "log" && strings.HasPrefix(topic, "__consumer_offsets"):
				offsets = append(offsets, f)
			case kind == "log":
				logs = append(logs, f)
			default:
				others = append(others, f)
			}
		}
	}
	if len(logs) == 0 || len(offsets) == 0 || len(others) == 0 {
		t.Fatalf("nothing to dump in %s: %d logs, %d offsets, %d others", dir, len(logs), len(offsets), len(others))
	}
	check := func(out string) {
		t.Helper()
		for _, bad := range []string{"Mismatches in", "Found timestamp mismatch", "Found out of order timestamp", "corrupt", "invalid", "rror", "not a valid", "Non-consecutive"} {
			if strings.Contains(strings.ReplaceAll(out, "isvalid", ""), bad) {
				t.Errorf("kafka-dump-log says %q:\n%s", bad, out[:min(len(out), 4000)])
			}
		}
	}
	out := kafka("", "DumpLogSegments", "--deep-iteration", "--print-data-log", "--files", strings.Join(logs, ","))
	check(out)
	if n := strings.Count(out, "keySize"); n != 500 {
		t.Errorf("kafka-dump-log sees %d records, want 500", n)
	}
	out = kafka("", "DumpLogSegments", "--offsets-decoder", "--files", strings.Join(offsets, ","))
	check(out)
	if !strings.Contains(out, "drives") {
		t.Errorf("kafka-dump-log --offsets-decoder shows no commit for drives:\n%s", out)
	}
	check(kafka("", "DumpLogSegments", "--index-sanity-check", "--files", strings.Join(others, ",")))
	check(kafka("", "DumpLogSegments", "--files", strings.Join(others, ",")))
}

func newClient(t testing.TB, addr string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(addr), kgo.AllowAutoTopicCreation()}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}
