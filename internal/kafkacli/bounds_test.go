package kafkacli_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/logbahntest"
)

// unanswering is a connection that ends when records have been sent over it: nobody learns what has become of them.
type unanswering struct {
	net.Conn
	produced atomic.Bool
}

func (c *unanswering) Write(b []byte) (int, error) {
	if len(b) > 6 && binary.BigEndian.Uint16(b[4:]) == uint16(kmsg.Produce) {
		c.produced.Store(true)
	}
	return c.Conn.Write(b)
}

func (c *unanswering) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.produced.Load() {
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

// TestProducerGivesUpWithoutAnAnswer: delivery.timeout.ms holds for records that were sent as well.
func TestProducerGivesUpWithoutAnAnswer(t *testing.T) {
	broker := logbahntest.Run(t)
	broker.CreateTopic("rides", 1)
	client := append(broker.ClientOptions(), kgo.Dialer(func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := broker.Node(1).Dial(ctx, network, address)
		return &unanswering{Conn: conn}, err
	}))
	r := run(t, client, "a line\n", "kafka-console-producer", "--bootstrap-server", broker.Addr(), "--topic", "rides", "--command-property", "delivery.timeout.ms=1000")
	if r.Code != 0 || !strings.Contains(r.Stderr, "Error when sending message to topic rides with key: null, value: 6 bytes") {
		t.Errorf("exit %d: %s", r.Code, r.Stderr)
	}
}

// TestLongPatience: a number of milliseconds that no clock holds is for ever, and not over at once.
func TestLongPatience(t *testing.T) {
	broker := logbahntest.Run(t)
	broker.CreateTopic("rides", 1)
	broker.Produce("rides", "a")
	server := []string{"--bootstrap-server", broker.Addr(), "--topic", "rides"}
	const long = "9223372036854775807"
	r := run(t, broker.ClientOptions(), "", append([]string{"kafka-consumer-perf-test", "--num-records", "1", "--timeout", long, "--reporting-interval", long}, server...)...)
	if r.Code != 0 || strings.Contains(r.Stdout, "WARNING") {
		t.Errorf("exit %d: %s%s", r.Code, r.Stdout, r.Stderr)
	}
	r = run(t, broker.ClientOptions(), "", append([]string{"kafka-console-consumer", "--from-beginning", "--max-messages", "1", "--timeout-ms", long}, server...)...)
	if r.Code != 0 || r.Stdout != "a\n" {
		t.Errorf("exit %d: %s%s", r.Code, r.Stdout, r.Stderr)
	}
}

// TestGroupsTimeout: --timeout is what the cluster gets, also none.
func TestGroupsTimeout(t *testing.T) {
	broker := logbahntest.Run(t)
	list := []string{"kafka-consumer-groups", "--bootstrap-server", broker.Addr(), "--list"}
	if r := run(t, broker.ClientOptions(), "", append(list, "--timeout", "0")...); !strings.Contains(r.Stdout, "did not answer within 0 ms") {
		t.Errorf("exit %d: %s%s", r.Code, r.Stdout, r.Stderr)
	}
	if r := run(t, broker.ClientOptions(), "", append(list, "--timeout", "9223372036854775807")...); r.Code != 0 || r.Stdout+r.Stderr != "" {
		t.Errorf("exit %d: %s%s", r.Code, r.Stdout, r.Stderr)
	}
}

// TestBytes: keys and values that are no text go through as they are, and as Kafka's Bytes shows them.
func TestBytes(t *testing.T) {
	broker := logbahntest.Run(t)
	server := []string{"--bootstrap-server", broker.Addr(), "--topic", "rides"}
	r := run(t, broker.ClientOptions(), "k\xff\x00\tv\\\x80~\r\n", append([]string{"kafka-console-producer", "--reader-property", "parse.key=true"}, server...)...)
	if r.Code != 0 {
		t.Fatalf("exit %d: %s", r.Code, r.Stderr)
	}
	read := append([]string{"kafka-console-consumer", "--from-beginning", "--max-messages", "1", "--formatter-property", "print.key=true"}, server...)
	if r := run(t, broker.ClientOptions(), "", read...); r.Stdout != "k\xff\x00\tv\\\x80~\n" {
		t.Errorf("%q", r.Stdout)
	}
	const bytes = "org.apache.kafka.common.serialization.BytesDeserializer"
	if r := run(t, broker.ClientOptions(), "", append(read, "--key-deserializer", bytes, "--value-deserializer", bytes)...); r.Stdout != `k\xFF\x00`+"\t"+`v\x5C\x80~`+"\n" {
		t.Errorf("%q", r.Stdout)
	}
}
