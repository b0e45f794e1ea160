//go:build linux

package system

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

// The keys of the systems.
const (
	LogbahnSync  = "logbahn-sync"
	LogbahnOS    = "logbahn-os"
	KafkaDefault = "kafka"
	KafkaFlush   = "kafka-flush"
	KfakeMemory  = "kfake-memory"
	KfakeDisk    = "kfake-disk"
	KfakeSync    = "kfake-sync"
	NATS         = "nats"
	NATSSync     = "nats-sync"
	BareLoop     = "bare"
	BareAhead    = "bare-ahead"
)

// All lists the systems in the order of the tables.
var All = []System{
	{Key: LogbahnSync, Name: "Logbahn, defaults (flushed)", command: startLogbahn("flush=sync")},
	{Key: LogbahnOS, Name: "Logbahn, flush=os", command: startLogbahn("flush=os")},
	{Key: KafkaDefault, Name: "Apache Kafka, defaults (unflushed)", Slow: true, prepare: formatKafka(""), command: kafka},
	{Key: KafkaFlush, Name: "Apache Kafka, log.flush.interval.messages=1", Slow: true,
		prepare: formatKafka("log.flush.interval.messages=1\n"), command: kafka},
	{Key: KfakeMemory, Name: "kfake, memory", command: serve("kfake-memory")},
	{Key: KfakeDisk, Name: "kfake, DataDir", command: serve("kfake-disk")},
	{Key: KfakeSync, Name: "kfake, DataDir and SyncWrites", command: serve("kfake-sync")},
	{Key: NATS, Name: "NATS JetStream, defaults (unflushed)", Protocol: JetStream, command: serve("nats")},
	{Key: NATSSync, Name: "NATS JetStream, sync_interval=always", Protocol: JetStream, command: serve("nats-sync")},
	{Key: BareLoop, Name: "bare loop", Protocol: Bare, command: serve("bare")},
	{Key: BareAhead, Name: "bare loop, preallocated", Protocol: Bare, command: serve("bare-ahead")},
}

// Of returns the systems with the keys.
func Of(keys ...string) []System {
	var list []System
	for _, key := range keys {
		for _, s := range All {
			if s.Key == key {
				list = append(list, s)
			}
		}
	}
	return list
}

func startLogbahn(setting string) func(*Env, string, int) *exec.Cmd {
	return func(env *Env, dir string, port int) *exec.Cmd {
		return exec.Command(env.Logbahn, "start", "--override", fmt.Sprintf("listeners=PLAINTEXT://127.0.0.1:%d", port),
			"--override", "ops.listener="+opsAddr(port), "--override", "log.dirs="+dir, "--override", setting)
	}
}

// opsAddr is where a Logbahn on the port has its operations endpoint: on another address of this machine, so that no
// other socket has the port already.
func opsAddr(port int) string { return net.JoinHostPort("127.0.0.9", strconv.Itoa(port)) }

// OpsAddr returns the address of a Logbahn's operations endpoint.
func (p *Process) OpsAddr() string { return opsAddr(p.port) }

// serve starts this benchmark's binary again as one of the peers (Serve).
func serve(what string) func(*Env, string, int) *exec.Cmd {
	return func(env *Env, dir string, port int) *exec.Cmd {
		return exec.Command(env.Self, "serve", what, dir, strconv.Itoa(port))
	}
}

// kafkaHeap is what Kafka's own start script sets.
var kafkaHeap = []string{"-Xmx1G", "-Xms1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
	"-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true"}

func kafka(env *Env, dir string, _ int) *exec.Cmd {
	args := append(append([]string{}, kafkaHeap...), "-cp", env.KafkaCP, "kafka.Kafka", kafkaProperties(filepath.Dir(dir)))
	return exec.Command("java", args...)
}

func kafkaProperties(dir string) string { return filepath.Join(dir, "server.properties") }

// formatKafka writes the settings that Kafka ships for one combined node, and formats the directory.
func formatKafka(more string) func(context.Context, *Env, string, int) error {
	return func(ctx context.Context, env *Env, dir string, port int) error {
		if env.KafkaCP == "" {
			return ErrNotInstalled
		}
		controller, err := freePort()
		if err != nil {
			return err
		}
		settings := fmt.Sprintf(`process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:%[2]d
listeners=PLAINTEXT://127.0.0.1:%[1]d,CONTROLLER://127.0.0.1:%[2]d
advertised.listeners=PLAINTEXT://127.0.0.1:%[1]d,CONTROLLER://127.0.0.1:%[2]d
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
log.dirs=%[3]s
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
%[4]s`, port, controller, filepath.Join(dir, "data"), more)
		if err := os.WriteFile(kafkaProperties(dir), []byte(settings), 0o644); err != nil {
			return err
		}
		out, err := exec.CommandContext(ctx, "java", "-Xmx256m", "-cp", env.KafkaCP, "kafka.tools.StorageTool", "format",
			"--standalone", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", kafkaProperties(dir)).CombinedOutput()
		if err != nil {
			return fmt.Errorf("format: %w: %s", err, out)
		}
		return nil
	}
}

// libraryVersions names the peers' versions: of Kafka the jar's, of the others the modules'.
func libraryVersions(env *Env) []string {
	var lines []string
	for _, jar := range strings.Split(env.KafkaCP, ":") {
		if name := filepath.Base(jar); strings.HasPrefix(name, "kafka_2") {
			lines = append(lines, "Apache Kafka: "+strings.TrimSuffix(name, ".jar"))
		}
	}
	info, _ := debug.ReadBuildInfo()
	for _, m := range info.Deps {
		switch m.Path {
		case "github.com/twmb/franz-go", "github.com/twmb/franz-go/pkg/kfake", "github.com/nats-io/nats-server/v2", "github.com/nats-io/nats.go":
			lines = append(lines, m.Path+" "+m.Version)
		}
	}
	return append(lines, "Go: "+info.GoVersion)
}
