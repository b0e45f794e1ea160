package interop

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestJavaTools runs Apache Kafka's own console tools and has kafka-dump-log read every file that they led to, on each node.
func TestJavaTools(t *testing.T) {
	java, jars := tool(t, "java"), filepath.Join(client(t, "java", "lib"), "*")
	kafka := func(stdin, class string, args ...string) string {
		t.Helper()
		return run(t, stdin, nil, java, append([]string{"-cp", jars, "-Xmx256m", "org.apache.kafka.tools." + class}, args...)...)
	}
	c := startNodes(t, "offsets.topic.num.partitions=3", "segment.bytes=1048576")
	addr := c.bootstrap()
	if out := kafka("", "TopicCommand", "--bootstrap-server", addr, "--create", "--topic", "drives", "--partitions", "1"); !strings.Contains(out, "Created topic drives.") {
		t.Fatalf("kafka-topics --create printed %q", out)
	}
	var lines strings.Builder
	for i := range 500 {
		fmt.Fprintf(&lines, "device-%d:%s\n", i%7, strings.Repeat("reading ", 20))
	}
	kafka(lines.String(), "ConsoleProducer", "--bootstrap-server", addr, "--topic", "drives",
		"--reader-property", "parse.key=true", "--reader-property", "key.separator=:")
	got := kafka("", "consumer.ConsoleConsumer", "--bootstrap-server", addr, "--topic", "drives", "--group", "java",
		"--from-beginning", "--max-messages", "500", "--formatter-property", "print.key=true", "--formatter-property", "key.separator=:")
	if got != lines.String() {
		t.Fatalf("the console consumer read %d bytes that differ from the %d produced", len(got), lines.Len())
	}
	if out := kafka("", "consumer.group.ConsumerGroupCommand", "--bootstrap-server", addr, "--describe", "--group", "java"); !strings.Contains(out, "drives") {
		t.Fatalf("kafka-consumer-groups --describe printed %q", out)
	}
	c.stop()
	for _, s := range c.running {
		dumpAll(t, kafka, s.dir)
	}
}

// dumpAll has kafka-dump-log read each file of a data directory. It prints its complaints to the same stream as
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
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(strings.Split(addr, ",")...), kgo.AllowAutoTopicCreation()}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}
