package kafkacli_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/kafkacli"
	"github.com/logbahn/logbahn/internal/kafkacli/transcript"
	"github.com/logbahn/logbahn/logbahntest"
)

const transcripts = "../../interop/testdata/tools"

// TestTranscripts runs these tools against this broker and compares with what Kafka's own tools printed of Kafka.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(transcripts, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts in %s: %v", transcripts, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			script, err := transcript.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			script.Compare(t, ours(t, logbahntest.Run(t, logbahntest.Dir(t.TempDir()))))
		})
	}
}

// ours is these tools in this process.
func ours(t *testing.T, broker *logbahntest.Cluster) transcript.Target {
	client := append(broker.ClientOptions(), kgo.MetadataMinAge(50*time.Millisecond))
	return transcript.Target{
		Server: broker.Addr(),
		Run: func(stdin string, args []string) transcript.Result {
			return run(t, client, stdin, args...)
		},
		Join: func(group, topic string) func() { return transcript.Member(t, group, topic, client...) },
	}
}

func run(t *testing.T, client []kgo.Opt, stdin string, args ...string) transcript.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	name, ok := kafkacli.Lookup(args[0])
	if !ok {
		t.Fatalf("there is no tool %s", args[0])
	}
	env := kafkacli.Env{Stdin: strings.NewReader(stdin), Stdout: &stdout, Stderr: &stderr, Client: client}
	code := kafkacli.Run(ctx, env, name, args[1:])
	return transcript.Result{Code: code, Stdout: stdout.String(), Stderr: stderr.String()}
}

// TestInterrupt stops a producer at a line that was just entered: the line is sent, and the exit code is a shell's.
func TestInterrupt(t *testing.T) {
	broker := logbahntest.Run(t, logbahntest.Dir(t.TempDir()))
	client := append(broker.ClientOptions(), kgo.MetadataMinAge(50*time.Millisecond))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	stdin, typing := io.Pipe()
	defer typing.Close()
	go func() {
		_, _ = io.WriteString(typing, "a line\nhalf a li")
		_, _ = io.WriteString(typing, "ne\n") // returns when what is above has been read
		stop()
	}()
	env := kafkacli.Env{Stdin: stdin, Stdout: io.Discard, Stderr: io.Discard, Client: client}
	server := []string{"--bootstrap-server", broker.Addr(), "--topic", "typed"}
	if code := kafkacli.Run(ctx, env, "kafka-console-producer", append(server, "--timeout", "60000")); code != 130 {
		t.Errorf("the producer exits with %d, want 130", code)
	}
	r := run(t, client, "", append([]string{"kafka-console-consumer", "--from-beginning", "--max-messages", "1", "--timeout-ms", "10000"}, server...)...)
	if r.Stdout != "a line\n" {
		t.Errorf("the consumer reads %q, want the line that was entered", r.Stdout)
	}
}

// lines is what a tool writes, line by line as they come.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	l <- string(b)
	return len(b), nil
}

// TestProducerSaysThatTheBrokerIsGone enters a line after the broker has died.
func TestProducerSaysThatTheBrokerIsGone(t *testing.T) {
	broker := logbahntest.Run(t, logbahntest.Dir(t.TempDir()))
	client := append(broker.ClientOptions(), kgo.MetadataMinAge(50*time.Millisecond))
	stdin, typing := io.Pipe()
	said := make(lines, 100)
	ended := make(chan int, 1)
	go func() {
		env := kafkacli.Env{Stdin: stdin, Stdout: io.Discard, Stderr: said, Client: client}
		ended <- kafkacli.Run(t.Context(), env, "kafka-console-producer", []string{"--bootstrap-server", broker.Addr(), "--topic", "typed",
			"--sync", "--command-property", "delivery.timeout.ms=2000"})
	}()
	if _, err := io.WriteString(typing, "a line\nanother\n"); err != nil { // returns when the first has been sent
		t.Fatal(err)
	}
	broker.Node(1).Kill()
	go func() {
		_, _ = io.WriteString(typing, "one more\n")
		_ = typing.Close()
	}()
	for {
		select {
		case line := <-said:
			if strings.Contains(line, "WARN [Producer clientId=console-producer] Connection to node 1 (") && strings.Contains(line, "could not be established") {
				go func() {
					for range said {
					}
				}()
				<-ended
				close(said)
				return
			}
		case code := <-ended:
			t.Fatalf("it ended with %d and said nothing of the broker", code)
		}
	}
}

// breaking is a connection that breaks when topics are to be created over it.
type breaking struct{ net.Conn }

func (c breaking) Write(b []byte) (int, error) {
	if len(b) > 6 && binary.BigEndian.Uint16(b[4:]) == uint16(kmsg.CreateTopics) {
		return 0, &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.EPIPE)}
	}
	return c.Conn.Write(b)
}

// gone is a standard output that nobody reads.
type gone struct{}

func (gone) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.EPIPE}
}

// TestBrokenPipe tells a reader that has gone, which is no failure, from a connection that has broken, which is one.
func TestBrokenPipe(t *testing.T) {
	broker := logbahntest.Run(t)
	breaks := append(broker.ClientOptions(), kgo.RequestRetries(0), kgo.Dialer(func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := broker.Node(1).Dial(ctx, network, address)
		return breaking{conn}, err
	}))
	args := []string{"--bootstrap-server", broker.Addr(), "--create", "--topic", "rides"}
	if r := run(t, breaks, "", append([]string{"kafka-topics"}, args...)...); r.Code != 1 || r.Stdout+r.Stderr == "" {
		t.Errorf("exit %d over a broken connection: %s%s", r.Code, r.Stdout, r.Stderr)
	}
	env := kafkacli.Env{Stdin: strings.NewReader(""), Stdout: gone{}, Stderr: io.Discard, Client: broker.ClientOptions()}
	if code := kafkacli.Run(t.Context(), env, "kafka-topics", args); code != 0 {
		t.Errorf("exit %d when nobody reads", code)
	}
}
