//go:build linux

package system

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// kafkaHeap is what Kafka's own start script sets.
var kafkaHeap = []string{"-Xmx1G", "-Xms1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
	"-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true"}

func startKafka(env *Env, at seat) *exec.Cmd {
	args := append(append([]string{}, kafkaHeap...), "-cp", env.KafkaCP, "kafka.Kafka", at.properties())
	return exec.Command("java", args...)
}

func (s seat) properties() string { return filepath.Join(s.dir, "server.properties") }

// shipped are the settings that Kafka ships for a combined node, but for those that say where it is and how many there are.
var shipped = []string{"process.roles=broker,controller", "controller.listener.names=CONTROLLER", "inter.broker.listener.name=PLAINTEXT",
	"listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT", "num.network.threads=3", "num.io.threads=8",
	"socket.send.buffer.bytes=102400", "socket.receive.buffer.bytes=102400"}

// replicated are the settings of a cluster's node: topics have as many replicas as there are nodes, two of which have to have
// a record.
func (s seat) replicated() []string {
	if s.size == 0 {
		return nil
	}
	return []string{fmt.Sprintf("default.replication.factor=%d", s.size), "min.insync.replicas=2"}
}

// formatKafka writes the settings of a combined node, and formats the directory.
func formatKafka(more ...string) func(context.Context, *Env, seat) error {
	return func(ctx context.Context, env *Env, at seat) error {
		if env.KafkaCP == "" {
			return ErrNotInstalled
		}
		listeners := fmt.Sprintf("listeners=PLAINTEXT://%s,CONTROLLER://%s", at.addr(at.id), at.controller(at.id))
		quorum, standalone := "controller.quorum.voters="+at.voters(at.controller), []string{}
		if at.size == 0 {
			quorum, standalone = "controller.quorum.bootstrap.servers="+at.controller(at.id), []string{"--standalone"}
		}
		replicas, inSync := max(at.size, 1), min(max(at.size, 1), 2)
		settings := append([]string{
			fmt.Sprintf("node.id=%d", at.id), quorum, listeners, "advertised." + listeners, "log.dirs=" + at.data(),
			fmt.Sprintf("offsets.topic.replication.factor=%d", replicas),
			fmt.Sprintf("share.coordinator.state.topic.replication.factor=%d", replicas),
			fmt.Sprintf("share.coordinator.state.topic.min.isr=%d", inSync),
			fmt.Sprintf("transaction.state.log.replication.factor=%d", replicas),
			fmt.Sprintf("transaction.state.log.min.isr=%d", inSync),
		}, shipped...)
		settings = append(append(settings, at.replicated()...), more...)
		if err := os.WriteFile(at.properties(), []byte(strings.Join(settings, "\n")+"\n"), 0o644); err != nil {
			return err
		}
		args := append([]string{"-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", env.KafkaCP, "kafka.tools.StorageTool", "format",
			"-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", at.properties()}, standalone...)
		if out, err := exec.CommandContext(ctx, "java", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("format: %w: %s", err, out)
		}
		return nil
	}
}
