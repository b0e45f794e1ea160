package kafkacli_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/logbahn/logbahn/internal/kafkacli"
	"github.com/logbahn/logbahn/internal/kafkacli/transcript"
	"github.com/logbahn/logbahn/logbahntest"
)

// TestToolsOnThreeBrokers moves a partition, elects its preferred leader, and looks at the quorum, with Kafka's tools.
func TestToolsOnThreeBrokers(t *testing.T) {
	cluster := logbahntest.Run(t, logbahntest.Brokers(3))
	client := append(cluster.ClientOptions(), kgo.MetadataMinAge(20*time.Millisecond))
	cluster.CreateTopic("rides", 1)
	cluster.Produce("rides", "a", "b")
	plan := filepath.Join(t.TempDir(), "plan.json")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(plan, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	prints := func(pattern, line string) {
		t.Helper()
		args := append(strings.Fields(line), "--bootstrap-server", cluster.Addr())
		if strings.HasPrefix(line, "kafka-metadata-quorum") { // whose connection comes first
			args = append([]string{args[0], "--bootstrap-server", cluster.Addr()}, args[1:len(args)-2]...)
		}
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			r := run(t, client, "", args...)
			if r.Code == 0 && regexp.MustCompile("(?m)"+pattern).MatchString(r.Stdout) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: exit %d, nothing matches %s\n%s%s", line, r.Code, pattern, r.Stdout, r.Stderr)
			}
		}
	}
	write(`{"version":1,"topics":[{"topic":"rides"}]}`)
	prints(`^Proposed partition reassignment configuration\n\{"version":1,"partitions":\[\{"topic":"rides","partition":0,"replicas":\[\d,\d,\d\]`,
		"kafka-reassign-partitions --generate --broker-list 1,2,3 --topics-to-move-json-file "+plan)
	write(`{"version":1,"partitions":[{"topic":"rides","partition":0,"replicas":[3,2]}]}`)
	prints(`^Successfully started partition reassignment for rides-0$`, "kafka-reassign-partitions --execute --throttle 50000000 --reassignment-json-file "+plan)
	prints(`^Reassignment of partition rides-0 is completed\.$`, "kafka-reassign-partitions --verify --reassignment-json-file "+plan)
	prints(`^No partition reassignments found\.$`, "kafka-reassign-partitions --list")
	prints(`(completed leader election \(PREFERRED\) for partitions|already elected for partitions) rides-0$`,
		"kafka-leader-election --election-type preferred --topic rides --partition 0")
	if leader := cluster.Leader("rides", 0); leader != 3 {
		t.Errorf("broker %d leads, want 3", leader)
	}
	prints(`^\tTopic: rides\tPartition: 0\tLeader: 3\tReplicas: 3,2\tIsr: `, "kafka-topics --describe --topic rides")
	prints(`^CurrentVoters: +\[\{"id": 1, "directoryId": "[\w-]{22}".*\{"id": 3, .*\]$`, "kafka-metadata-quorum describe --status")
	prints(`^\d +\t[\w-]{22} *\t\d+ +\t0 +\t\S+ +\t\S+ +\tLeader *\t$`, "kafka-metadata-quorum describe --replication")
	if got := cluster.Consume("rides", 2); len(got) != 2 {
		t.Errorf("%v is left", got)
	}
}

// TestClusterTranscripts runs these tools against three brokers and compares with what Kafka's own printed of three of Kafka.
func TestClusterTranscripts(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(transcripts, "cluster", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts of clusters in %s: %v", transcripts, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			script, err := transcript.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			cluster := logbahntest.Run(t, logbahntest.Brokers(3), logbahntest.Dir(t.TempDir()), logbahntest.Setting("broker.session.timeout.ms", "60000"))
			target := ours(t, cluster)
			// Kafka's tools were asked while the broker that was killed was still counted on. Here the controller finds out at once
			// that a process has ended, unless it cannot reach its machine.
			kill := func(id int32) {
				for other := range int32(3) {
					if other+1 != id {
						cluster.Cut(id, other+1)
					}
				}
				cluster.Kill(id)
			}
			target.Broker = func(what string, id int) {
				map[string]func(int32){"stop": cluster.Stop, "kill": kill, "start": cluster.Restart}[what](int32(id))
			}
			script.Compare(t, target)
		})
	}
}

// TestReplicasVerified compares the copies of three brokers from their start on, until all that was written has been compared.
func TestReplicasVerified(t *testing.T) {
	cluster := logbahntest.Run(t, logbahntest.Brokers(3))
	client := append(cluster.ClientOptions(), kgo.MetadataMinAge(20*time.Millisecond))
	cluster.CreateTopic("rides", 1)
	cluster.Produce("rides", "a", "b", "c")
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	said, ended := make(lines, 1000), make(chan int, 1)
	go func() {
		ended <- kafkacli.Run(ctx, kafkacli.Env{Stdout: said, Stderr: io.Discard, Client: client}, "kafka-replica-verification",
			[]string{"--broker-list", cluster.Addr(), "--topics-include", "rid.*", "--time", "-2", "--max-wait-ms", "50", "--report-interval-ms", "1"})
	}()
	var all strings.Builder
	for compared := regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}: max lag is 0 for partition rides-0 at offset 3 among 1 partitions$`); !compared.MatchString(all.String()); {
		select {
		case text := <-said:
			all.WriteString(text)
		case code := <-ended:
			t.Fatalf("exit %d after:\n%s", code, all.String())
		}
	}
	if !strings.Contains(all.String(), ": verification process is started\n") || strings.Contains(all.String(), "match") {
		t.Errorf("it said:\n%s", all.String())
	}
	stop()
	go func() {
		for range said {
		}
	}()
	if code := <-ended; code != 130 {
		t.Errorf("stopped with exit %d, want 130", code)
	}
	close(said)
}
