package interop

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/logbahn/logbahn/interop/kafka"
)

// TestTools09 runs the command-line tools of Apache Kafka 0.9: its two producers with every codec, its consumer, and
// what reads offsets, partitions and groups. They speak the first version of each request and read what was stored as
// the first message format.
//
// Left out is what asks ZooKeeper instead of a broker, which Logbahn does not have: kafka-topics, kafka-configs, the old
// consumer and the groups of the old consumer.
func TestTools09(t *testing.T) {
	old := startTools09(t)
	lines := old.produce(t)
	t.Run("console consumer", func(t *testing.T) { old.consume(t, lines) })
	t.Run("get offsets", func(t *testing.T) { old.offsets(t, len(lines)) })
	t.Run("simple consumer", func(t *testing.T) { old.readPartition(t, lines) })
	t.Run("consumer groups", func(t *testing.T) { old.groups(t, len(lines)) })
	t.Run("without acks", old.unacknowledged)
	t.Run("producer performance", old.performance)
}

// tools09 is the tools and where they find the nodes that they talk to.
type tools09 struct {
	java []string // the program and what each of its runs begins with
	addr string
}

func startTools09(t *testing.T) *tools09 {
	t.Helper()
	jars := filepath.Join(client(t, "kafka-"+kafka.V09, "libs"), "*")
	return &tools09{
		java: []string{tool(t, "java"), "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", jars},
		addr: startNodes(t, "num.partitions=1", "offsets.topic.num.partitions=1", "group.initial.rebalance.delay.ms=0").bootstrap(),
	}
}

func (o *tools09) run(t *testing.T, stdin, class string, args ...string) string {
	t.Helper()
	return run(t, stdin, nil, o.java[0], slices.Concat(o.java[1:], []string{class}, args)...)
}

const topic09 = "drives"

var printKey = []string{"--property", "print.key=true", "--property", "key.separator=:"}

// produce fills the topic with each producer and codec in turn and returns the lines in the order of their offsets.
// A run is more than a block of lz4, which has 64 KiB.
func (o *tools09) produce(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, producer := range []string{"new", "old"} {
		for _, codec := range []string{"none", "gzip", "snappy", "lz4"} {
			var lines []string
			for i := range 200 {
				lines = append(lines, fmt.Sprintf("device-%d:%s %s %d %s", i%7, producer, codec, i, strings.Repeat("reading ", 50)))
			}
			lines = append(lines, ":an empty key", "an empty value:")
			args := []string{
				"--broker-list", o.addr, "--topic", topic09, "--request-required-acks", "-1", "--compression-codec", codec,
				"--property", "parse.key=true", "--property", "key.separator=:",
			}
			if producer == "old" {
				args = append(args, "--old-producer")
			}
			o.run(t, strings.Join(lines, "\n")+"\n", "kafka.tools.ConsoleProducer", args...)
			all = append(all, lines...)
		}
	}
	return all
}

// consume reads the topic in a group, whose offset the consumer commits when it ends.
func (o *tools09) consume(t *testing.T, lines []string) {
	config := properties(t, "group.id=closing")
	got := o.run(t, "", "kafka.tools.ConsoleConsumer", append([]string{
		"--new-consumer", "--bootstrap-server", o.addr, "--topic", topic09,
		"--from-beginning", "--max-messages", fmt.Sprint(len(lines)), "--consumer.config", config,
	}, printKey...)...)
	sameLines(t, got, lines)
	committed, err := kadm.NewClient(newClient(t, o.addr)).FetchOffsets(t.Context(), "closing")
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := committed.Lookup(topic09, 0); !ok || c.At != int64(len(lines)) {
		t.Errorf("the group has committed %+v, want offset %d", c, len(lines))
	}
}

func (o *tools09) offsets(t *testing.T, end int) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--time", "-1"}, fmt.Sprint(end)},
		{[]string{"--time", "-2"}, "0"},
		{[]string{"--time", "-1", "--offsets", "3"}, fmt.Sprintf("%d,0", end)}, // the end and the segment's first
	} {
		got := o.run(t, "", "kafka.tools.GetOffsetShell", append([]string{"--broker-list", o.addr, "--topic", topic09}, c.args...)...)
		if want := fmt.Sprintf("%s:0:%s\n", topic09, c.want); got != want {
			t.Errorf("GetOffsetShell %v printed %q, want %q", c.args, got, want)
		}
	}
}

// readPartition fetches as the debugging consumer, replica -2, does. The tool prints all that a fetch answers: Logbahn
// leaves out what is before the offset asked for, where Kafka gives the whole of a compressed message and has clients skip.
func (o *tools09) readPartition(t *testing.T, lines []string) {
	shell := func(args ...string) string {
		return o.run(t, "", "kafka.tools.SimpleConsumerShell", slices.Concat(
			[]string{"--broker-list", o.addr, "--topic", topic09, "--partition", "0", "--no-wait-at-logend"}, printKey, args)...)
	}
	sameLines(t, shell("--offset", "-2", "--max-messages", fmt.Sprint(len(lines))), lines)

	end := len(lines)
	var want []string
	for i := end - 10; i < end; i++ {
		want = append(want, fmt.Sprintf("next offset = %d", i+1), lines[i])
	}
	want = append(want, fmt.Sprintf("Terminating. Reached the end of partition (%s, 0) at offset %d", topic09, end))
	sameLines(t, shell("--offset", fmt.Sprint(end-10), "--print-offsets"), want)
}

// groups describes a group while a console consumer is its member, and after that has left. The consumer commits
// nothing, so that the group lags by what it has read.
func (o *tools09) groups(t *testing.T, end int) {
	const group, committed = "meters", 150
	var offsets kadm.Offsets
	offsets.AddOffset(topic09, 0, committed, -1)
	if err := kadm.NewClient(newClient(t, o.addr)).CommitAllOffsets(t.Context(), group, offsets); err != nil {
		t.Fatal(err)
	}
	command := func(args ...string) string {
		return o.run(t, "", "kafka.admin.ConsumerGroupCommand", append([]string{"--new-consumer", "--bootstrap-server", o.addr}, args...)...)
	}
	leave := o.member(t, group, end-committed)
	if out := command("--list"); !slices.Contains(strings.Split(out, "\n"), group) {
		t.Errorf("--list printed %q, without %s", out, group)
	}
	want := fmt.Sprintf("GROUP, TOPIC, PARTITION, CURRENT OFFSET, LOG END OFFSET, LAG, OWNER\n%s, %s, 0, %d, %d, %d, reader_/127.0.0.1\n",
		group, topic09, committed, end, end-committed)
	if out := command("--describe", "--group", group); out != want {
		t.Errorf("--describe printed %q, want %q", out, want)
	}
	leave()
	want = fmt.Sprintf("Consumer group `%s` does not exist or is rebalancing.\n", group)
	if out := command("--describe", "--group", group); out != want {
		t.Errorf("--describe of a group without members printed %q, want %q", out, want)
	}
}

// member starts a console consumer in the group and returns when it has printed n records; leave ends it.
func (o *tools09) member(t *testing.T, group string, n int) (leave func()) {
	t.Helper()
	config := properties(t, "group.id="+group, "client.id=reader", "enable.auto.commit=false")
	cmd := exec.CommandContext(t.Context(), o.java[0], slices.Concat(o.java[1:], []string{
		"kafka.tools.ConsoleConsumer",
		"--new-consumer", "--bootstrap-server", o.addr, "--topic", topic09, "--consumer.config", config,
	})...)
	kafka.Bind(cmd)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stuck := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer stuck.Stop()
	in := bufio.NewScanner(stdout)
	for i := range n {
		if !in.Scan() {
			_ = cmd.Wait()
			t.Fatalf("the console consumer ended, or was ended after a minute, with %d records of %d: %v", i, n, in.Err())
		}
	}
	return func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if in.Scan() {
			t.Errorf("the console consumer printed more than %d records: %q", n, in.Text())
		}
		_ = cmd.Wait() // a JVM that a signal ends has 143 as its code
	}
}

// unacknowledged produces as the console producers do when they are not told otherwise: they wait for no answer and
// close the connection behind the last request. The topic is made before, for without acks nothing is tried
// again.
func (o *tools09) unacknowledged(t *testing.T) {
	admin := kadm.NewClient(newClient(t, o.addr))
	for _, producer := range [][]string{nil, {"--old-producer"}} {
		topic := "unacknowledged" + strings.Join(producer, "")
		if _, err := admin.CreateTopic(t.Context(), 1, 1, nil, topic); err != nil {
			t.Fatal(err)
		}
		var lines []string
		for i := range 1000 {
			lines = append(lines, fmt.Sprintf("reading %d", i))
		}
		o.run(t, strings.Join(lines, "\n")+"\n", "kafka.tools.ConsoleProducer", append([]string{"--broker-list", o.addr, "--topic", topic}, producer...)...)
		got := o.run(t, "", "kafka.tools.ConsoleConsumer",
			"--new-consumer", "--bootstrap-server", o.addr, "--topic", topic, "--from-beginning", "--max-messages", fmt.Sprint(len(lines)))
		sameLines(t, got, lines)
	}
}

func (o *tools09) performance(t *testing.T) {
	const topic = "performance"
	out := o.run(t, "", "org.apache.kafka.tools.ProducerPerformance", "--topic", topic, "--num-records", "1000",
		"--record-size", "100", "--throughput", "-1", "--producer-props", "bootstrap.servers="+o.addr, "acks=all") // with acks=1 the end that readers see may follow later
	if !strings.HasPrefix(out, "1000 records sent, ") {
		t.Errorf("ProducerPerformance printed %q", out)
	}
	ends, err := kadm.NewClient(newClient(t, o.addr)).ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	if end, ok := ends.Lookup(topic, 0); !ok || end.Offset != 1000 {
		t.Errorf("the topic ends at %+v, want offset 1000", end)
	}
}

// properties writes the lines to a file of their own.
func properties(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tool.properties")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// sameLines compares what a tool printed with what it ought to have.
func sameLines(t *testing.T, printed string, want []string) {
	t.Helper()
	got := strings.Split(strings.TrimSuffix(printed, "\n"), "\n")
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("line %d is %q, want %q", i, got[i], want[i])
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d lines, want %d", len(got), len(want))
	}
}
