package interop

import (
	"bufio"
	"bytes"
	"context"
	frames "encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/kafkacli/transcript"
	"github.com/logbahn/logbahn/interop/kafka"
)

// toolClasses are the classes behind Kafka's scripts. Those that call System.exit themselves run in a JVM of their own.
var toolClasses = map[string]struct {
	class string
	alone bool
}{
	"kafka-topics":               {"org.apache.kafka.tools.TopicCommand", false},
	"kafka-console-producer":     {"org.apache.kafka.tools.ConsoleProducer", false},
	"kafka-console-consumer":     {"org.apache.kafka.tools.consumer.ConsoleConsumer", false},
	"kafka-consumer-groups":      {"org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", false},
	"kafka-groups":               {"org.apache.kafka.tools.GroupsCommand", false},
	"kafka-configs":              {"kafka.admin.ConfigCommand", false},
	"kafka-dump-log":             {"org.apache.kafka.tools.DumpLogSegments", false},
	"kafka-get-offsets":          {"org.apache.kafka.tools.GetOffsetShell", false},
	"kafka-delete-records":       {"org.apache.kafka.tools.DeleteRecordsCommand", false},
	"kafka-log-dirs":             {"org.apache.kafka.tools.LogDirsCommand", false},
	"kafka-broker-api-versions":  {"org.apache.kafka.tools.BrokerApiVersionsCommand", false},
	"kafka-consumer-perf-test":   {"org.apache.kafka.tools.ConsumerPerformance", false},
	"kafka-producer-perf-test":   {"org.apache.kafka.tools.ProducerPerformance", true},
	"kafka-verifiable-producer":  {"org.apache.kafka.tools.VerifiableProducer", true},
	"kafka-verifiable-consumer":  {"org.apache.kafka.tools.VerifiableConsumer", true},
	"kafka-storage":              {"kafka.tools.StorageTool", true},
	"kafka-cluster":              {"org.apache.kafka.tools.ClusterTool", true},
	"kafka-features":             {"org.apache.kafka.tools.FeatureCommand", true},
	"kafka-leader-election":      {"org.apache.kafka.tools.LeaderElectionCommand", false},
	"kafka-metadata-quorum":      {"org.apache.kafka.tools.MetadataQuorumCommand", true},
	"kafka-reassign-partitions":  {"org.apache.kafka.tools.reassign.ReassignPartitionsCommand", false},
	"kafka-replica-verification": {"org.apache.kafka.tools.ReplicaVerificationTool", true},
}

// everyRun are the transcripts that run each time: they need one JVM. LOGBAHN_MATRIX=all runs the others too.
var everyRun = []string{"consumer_groups", "topics"}

// TestToolTranscripts runs Kafka's own tools against Logbahn and compares with what they printed of Kafka. With
// LOGBAHN_RECORD=1 it starts Kafka itself and records that; -run TestToolTranscripts/NAME does so for one file.
func TestToolTranscripts(t *testing.T) {
	tools := startTools(t)
	files, err := filepath.Glob("testdata/tools/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) {
			if !slices.Contains(everyRun, name) {
				needsAll(t)
			}
			script, err := transcript.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			if os.Getenv("LOGBAHN_RECORD") != "" {
				script.Record(t, tools.against(t, startKafka(t)))
				return
			}
			if why, ok := ofCluster[name]; ok && placeAsked(t).proxied {
				t.Skip(why)
			}
			script.Compare(t, tools.against(t, oneBroker(t)))
		})
	}
}

// ofCluster are the transcripts in which a proxy does not look like one broker, and why.
var ofCluster = map[string]string{
	"configs":             "a cluster has a min.insync.replicas of its own, set for all brokers (KIP-966)",
	"topics":              "topics may have three replicas, and the cluster has a min.insync.replicas of its own (KIP-966)",
	"reassign_partitions": "it speaks of the brokers that there are, and partitions are moved between them",
}

// oneBroker is the address of a broker of id 1, or of the proxy that shows three as this one.
func oneBroker(t *testing.T) string {
	t.Helper()
	settings := []string{"offsets.topic.num.partitions=1", "group.initial.rebalance.delay.ms=0", "num.partitions=1"}
	at := placeAsked(t)
	if at == (place{nodes: 1}) {
		return start(t, t.TempDir(), "localhost:0", settings...).addr
	}
	if !at.proxied {
		t.Skip("the transcripts are of one broker; TestToolsOnThreeBrokers is about several")
	}
	return startPlace(t, at, settings...).proxies[0]
}

// needsAll skips what many JVMs are started for unless everything is asked for.
func needsAll(t *testing.T) {
	t.Helper()
	if os.Getenv("LOGBAHN_MATRIX") != "all" && os.Getenv("LOGBAHN_RECORD") == "" {
		t.Skip("LOGBAHN_MATRIX=all runs this")
	}
}

// tools is Kafka's tools, most of them in one JVM.
type tools struct {
	java, jars string
	mu         sync.Mutex
	in         io.WriteCloser
	out        *bufio.Reader
}

func startTools(t *testing.T) *tools {
	t.Helper()
	r := &tools{java: tool(t, "java"), jars: filepath.Join(client(t, "java", "lib"), "*")}
	cmd := exec.Command(r.java, "-Xmx300m", "-XX:+UseSerialGC", "-cp", r.jars, "testdata/tools/ToolRunner.java")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	r.in, r.out = stdin, bufio.NewReader(stdout)
	return r
}

func (r *tools) against(t *testing.T, server string) transcript.Target {
	return transcript.Target{
		Server: server,
		Run: func(stdin string, args []string) transcript.Result {
			return r.run(t, stdin, args)
		},
		Join: func(group, topic string) func() { return transcript.Member(t, group, topic, kgo.SeedBrokers(server)) },
	}
}

func (r *tools) run(t *testing.T, stdin string, args []string) transcript.Result {
	t.Helper()
	c, ok := toolClasses[args[0]]
	if !ok {
		t.Fatalf("there is no tool %s", args[0])
	}
	if c.alone {
		return r.runAlone(t, c.class, stdin, args[1:])
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	request := append([]string{c.class, stdin}, args[1:]...)
	frame := frames.BigEndian.AppendUint32(nil, uint32(len(request)))
	for _, s := range request {
		frame = append(frames.BigEndian.AppendUint32(frame, uint32(len(s))), s...)
	}
	if _, err := r.in.Write(frame); err != nil {
		t.Fatal(err)
	}
	number := func() int32 {
		var n int32
		if err := frames.Read(r.out, frames.BigEndian, &n); err != nil {
			t.Fatalf("%s ended the JVM: %v", strings.Join(args, " "), err)
		}
		return n
	}
	text := func() string {
		b := make([]byte, number())
		if _, err := io.ReadFull(r.out, b); err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	return transcript.Result{Code: int(number()), Stdout: text(), Stderr: text()}
}

func (r *tools) runAlone(t *testing.T, class, stdin string, args []string) transcript.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.java, append([]string{"-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", r.jars, class}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", class, err)
	}
	return transcript.Result{Code: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String()}
}

// startKafka starts one Apache Kafka broker without what the newest features add to every topic's description: with eligible
// leader replicas on, its cluster has a min.insync.replicas of its own.
func startKafka(t *testing.T) string {
	t.Helper()
	b, err := kafka.Start(t.Context(), client(t), kafka.V43, t.TempDir(), 1, "offsets.topic.num.partitions=1",
		"transaction.state.log.num.partitions=1", "group.initial.rebalance.delay.ms=0", "num.partitions=1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Stop(); err != nil {
			t.Errorf("stop Kafka: %v", err)
		}
	})
	admin, err := kgo.NewClient(kgo.SeedBrokers(b.Addr))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	features := kmsg.NewPtrUpdateFeaturesRequest()
	update := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
	update.Feature, update.UpgradeType = "eligible.leader.replicas.version", 2
	features.FeatureUpdates = append(features.FeatureUpdates, update)
	done, err := features.RequestWith(t.Context(), admin)
	if err == nil {
		err = kerr.ErrorForCode(done.ErrorCode)
	}
	if err != nil {
		t.Fatalf("switch eligible leader replicas off: %v", err)
	}
	if _, err := kadm.NewClient(admin).AlterBrokerConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.DeleteConfig, Name: "min.insync.replicas"}}); err != nil {
		t.Fatal(err)
	}
	return b.Addr
}
