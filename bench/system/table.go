//go:build linux

package system

import (
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

	// Clusters of three nodes.
	ThreeLogbahnSync  = "logbahn-sync-3"
	ThreeLogbahnOS    = "logbahn-os-3"
	ThreeLogbahnQuick = "logbahn-quick-3"
	ThreeKafkaDefault = "kafka-3"
	ThreeKafkaFlush   = "kafka-flush-3"
	ThreeKafkaQuick   = "kafka-quick-3"
)

// Settings of Kafka's vocabulary.
const (
	kafkaFlushes  = "log.flush.interval.messages=1"
	logbahnSyncs  = "flush=sync"
	logbahnTrusts = "flush=os"
)

// quick are sessions shorter than both systems have them.
var quick = []string{"broker.session.timeout.ms=3000", "broker.heartbeat.interval.ms=500"}

// All lists the systems in the order of the tables.
var All = []System{
	{Key: LogbahnSync, Name: "Logbahn, defaults (flushed)", command: startLogbahn(logbahnSyncs)},
	{Key: LogbahnOS, Name: "Logbahn, flush=os", command: startLogbahn(logbahnTrusts)},
	{Key: KafkaDefault, Name: "Apache Kafka, defaults (unflushed)", Slow: true, prepare: formatKafka(), command: startKafka},
	{Key: KafkaFlush, Name: "Apache Kafka, log.flush.interval.messages=1", Slow: true, prepare: formatKafka(kafkaFlushes), command: startKafka},
	{Key: KfakeMemory, Name: "kfake, memory", command: serve("kfake-memory")},
	{Key: KfakeDisk, Name: "kfake, DataDir", command: serve("kfake-disk")},
	{Key: KfakeSync, Name: "kfake, DataDir and SyncWrites", command: serve("kfake-sync")},
	{Key: NATS, Name: "NATS JetStream, defaults (unflushed)", Protocol: JetStream, command: serve("nats")},
	{Key: NATSSync, Name: "NATS JetStream, sync_interval=always", Protocol: JetStream, command: serve("nats-sync")},
	{Key: BareLoop, Name: "bare loop", Protocol: Bare, command: serve("bare")},
	{Key: BareAhead, Name: "bare loop, preallocated", Protocol: Bare, command: serve("bare-ahead")},
	{Key: ThreeLogbahnSync, Name: "3 x Logbahn, defaults (flushed)", Size: 3, command: startLogbahn(logbahnSyncs)},
	{Key: ThreeLogbahnOS, Name: "3 x Logbahn, flush=os", Size: 3, command: startLogbahn(logbahnTrusts)},
	{Key: ThreeKafkaDefault, Name: "3 x Apache Kafka, defaults (unflushed)", Size: 3, Slow: true, prepare: formatKafka(), command: startKafka},
	{Key: ThreeKafkaFlush, Name: "3 x Apache Kafka, log.flush.interval.messages=1", Size: 3, Slow: true,
		prepare: formatKafka(kafkaFlushes), command: startKafka},
	{Key: ThreeLogbahnQuick, Name: "3 x Logbahn, sessions of 3 s", Size: 3, command: startLogbahn(append(quick, logbahnSyncs)...)},
	{Key: ThreeKafkaQuick, Name: "3 x Apache Kafka, sessions of 3 s", Size: 3, Slow: true, prepare: formatKafka(quick...), command: startKafka},
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

func startLogbahn(settings ...string) func(*Env, seat) *exec.Cmd {
	return func(env *Env, at seat) *exec.Cmd {
		args := []string{"start"}
		if at.size > 0 {
			args = append(args, "--node-id", strconv.Itoa(at.id), "--voters", at.voters(at.addr))
		}
		all := append([]string{"listeners=PLAINTEXT://" + at.addr(at.id), "ops.listener=" + at.ops(), "log.dirs=" + at.data()}, at.replicated()...)
		for _, s := range append(all, settings...) {
			args = append(args, "--override", s)
		}
		return exec.Command(env.Logbahn, args...)
	}
}

// serve starts this benchmark's binary again as one of the peers (Serve).
func serve(what string) func(*Env, seat) *exec.Cmd {
	return func(env *Env, at seat) *exec.Cmd {
		return exec.Command(env.Self, "serve", what, at.data(), strconv.Itoa(at.port))
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
