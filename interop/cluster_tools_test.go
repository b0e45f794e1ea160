package interop

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/logbahn/logbahn/internal/kafkacli/transcript"
	"github.com/logbahn/logbahn/interop/kafka"
)

// operable is brokers that do not hold one for dead while a tool looks for it.
const operable = "broker.session.timeout.ms=60000"

// TestToolsOnThreeBrokers runs Kafka's own tools against three nodes, with brokers that are stopped, killed and started again,
// and compares with what they printed of three brokers of Kafka. LOGBAHN_RECORD=1 records that.
func TestToolsOnThreeBrokers(t *testing.T) {
	record := os.Getenv("LOGBAHN_RECORD") != ""
	if (placeAsked(t) != place{nodes: 3}) && !record {
		t.Skip("LOGBAHN_NODES=3 runs this")
	}
	tools := startTools(t)
	files, err := filepath.Glob("testdata/tools/cluster/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			script, err := transcript.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			if record {
				server, operate := startThreeOfKafka(t)
				target := tools.against(t, server)
				target.Broker = operate
				script.Record(t, target)
				return
			}
			c := startPlace(t, place{nodes: 3}, operable)
			target := tools.against(t, c.listeners[0])
			target.Broker = c.operate
			script.Compare(t, target)
		})
	}
	if !record {
		t.Run("quorum", tools.describeQuorum)
	}
}

// operate does to a node what a transcript says.
func (c *nodes) operate(what string, id int) {
	switch what {
	case "stop":
		c.running[id-1].stop()
	case "kill":
		c.running[id-1].kill()
		c.answerFor(id - 1)
	case "start":
		c.spawn(id - 1)
	}
}

// answerFor listens where a killed node did, and hangs up: a machine that refuses in a process's place says that it has
// ended, and the broker would be fenced at once, where Kafka's has its session.
func (c *nodes) answerFor(i int) {
	l, err := net.Listen("tcp", c.listeners[i])
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
}

// startThreeOfKafka returns the address of the first broker, and what does to one what a transcript says.
func startThreeOfKafka(t *testing.T) (server string, operate func(what string, id int)) {
	t.Helper()
	b, err := kafka.Start(t.Context(), client(t), kafka.V43, t.TempDir(), 3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Stop(); err != nil {
			t.Errorf("stop Kafka: %v", err)
		}
	})
	server, _, _ = strings.Cut(b.Addr, ",")
	return server, func(what string, id int) {
		do := map[string]func(int) error{"stop": b.StopOne, "kill": b.KillOne, "start": b.StartOne}[what]
		if err := do(id); err != nil {
			t.Fatal(err)
		}
	}
}

// describeQuorum has kafka-metadata-quorum describe three voters. What it prints of Kafka's own voters depends on how these were
// formatted, so that it is held to the form that Kafka's documentation shows.
func (r *tools) describeQuorum(t *testing.T) {
	c := startPlace(t, place{nodes: 3})
	describe := func(of string) string {
		done := r.run(t, "", []string{"kafka-metadata-quorum", "--bootstrap-server", c.bootstrap(), "describe", of})
		if done.Code != 0 {
			t.Fatalf("kafka-metadata-quorum describe %s: exit %d\n%s%s", of, done.Code, done.Stdout, done.Stderr)
		}
		return done.Stdout
	}
	const voter = `\{"id": %d, "directoryId": "[\w-]{22}", "endpoints": \["\w+://127\.0\.0\.1:\d+"\]\}`
	holds(t, describe("--status"),
		`ClusterId: +[\w-]{22}`, `LeaderId: +[123]`, `LeaderEpoch: +\d+`, `HighWatermark: +\d+`, `MaxFollowerLag: +\d+`, `MaxFollowerLagTimeMs: +\d+`,
		fmt.Sprintf(`CurrentVoters: +\[`+voter+`, `+voter+`, `+voter+`\]`, 1, 2, 3), `CurrentObservers: +\[\]`)
	const row = `[123] *\t[\w-]{22} *\t\d+ *\t\d+ *\t\d+ *\t\d+ *\t`
	replication := describe("--replication")
	holds(t, replication, `NodeId *\tDirectoryId *\tLogEndOffset *\tLag *\tLastFetchTimestamp *\tLastCaughtUpTimestamp *\tStatus *\t`, row+`Leader *\t`, row+`Follower *\t`)
	if n := strings.Count(replication, "Follower"); n != 2 {
		t.Errorf("%d followers, want 2:\n%s", n, replication)
	}
}

// holds fails the test for each of the lines that what a tool printed does not have.
func holds(t *testing.T, printed string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !regexp.MustCompile(`(?m)^` + line + ` *$`).MatchString(printed) {
			t.Errorf("no line is %s:\n%s", line, printed)
		}
	}
}

// TestReplicasVerified has kafka-replica-verification read every replica, of Kafka's newest release, of the last one before 4.0,
// and this tree's, until each has compared all records.
func TestReplicasVerified(t *testing.T) {
	at := placeAsked(t)
	if at.nodes < 2 {
		t.Skip("LOGBAHN_NODES=3 or LOGBAHN_PROXY=1 runs this")
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	c := startNodes(t)
	const partitions, records = 6, 6000
	fill(t, c.bootstrap(), "compared", partitions, records)
	verifier := []string{"-Xmx256m", "-XX:+UseSerialGC", "-cp", "", "org.apache.kafka.tools.ReplicaVerificationTool"}
	for name, command := range map[string][]string{
		kafka.V43: {tool(t, "java"), filepath.Join(client(t, "java", "lib"), "*")},
		kafka.V39: {tool(t, "java"), filepath.Join(client(t, "java-3.9", "lib"), "*")},
		"logbahn": {path, "kafka-replica-verification"},
	} {
		t.Run(name, func(t *testing.T) {
			args := command[1:]
			if name != "logbahn" {
				args = append([]string{}, verifier...)
				args[3] = command[1]
			}
			verify(t, command[0], append(args, "--broker-list", c.bootstrap(), "--topics-include", "compared", "--time", "-2",
				"--max-wait-ms", "100", "--report-interval-ms", "200", "--fetch-size", "20000"), partitions)
		})
	}
}

// fill makes a topic with a replica on every node, and records in it.
func fill(t *testing.T, addr, topic string, partitions int32, records int) {
	t.Helper()
	producer := newClient(t, addr, kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), kgo.ProducerBatchMaxBytes(4000))
	if _, err := kadm.NewClient(producer).CreateTopic(t.Context(), partitions, -1, nil, topic); err != nil {
		t.Fatal(err)
	}
	for i := range records {
		producer.Produce(t.Context(), &kgo.Record{Topic: topic, Value: fmt.Append(nil, "record ", i)}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("record %d: %v", i, err)
			}
		})
	}
	if err := producer.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// verify runs a verification until nothing is left to compare, and ends it.
func verify(t *testing.T, name string, args []string, partitions int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		_ = cmd.Wait() // ended by its context
	}()
	done := regexp.MustCompile(fmt.Sprintf(`: max lag is 0 for partition compared-\d at offset \d+ among %d partitions$`, partitions))
	said := []string{}
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		said = append(said, lines.Text())
		if strings.Contains(lines.Text(), "match") {
			t.Fatal(lines.Text())
		}
		if done.MatchString(lines.Text()) {
			return
		}
	}
	t.Fatalf("it ended, or was ended after a minute, before it had compared everything:\n%s", strings.Join(said, "\n"))
}
