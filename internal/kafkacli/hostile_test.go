package kafkacli_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// wrongBroker answers with what fits the protocol and nothing else: topics without names, partitions without replicas, lists
// that lack what was asked for.
func wrongBroker(key int16) kmsg.Response {
	switch kmsg.Key(key) {
	case kmsg.ApiVersions:
		resp := kmsg.NewPtrApiVersionsResponse()
		for k, version := range map[kmsg.Key]int16{kmsg.Metadata: 12, kmsg.FindCoordinator: 3, kmsg.DescribeGroups: 3, kmsg.ApiVersions: 3} {
			row := kmsg.NewApiVersionsResponseApiKey()
			row.ApiKey, row.MaxVersion = k.Int16(), version
			resp.ApiKeys = append(resp.ApiKeys, row)
		}
		return resp
	case kmsg.Metadata:
		resp := kmsg.NewPtrMetadataResponse()
		self := kmsg.NewMetadataResponseBroker()
		self.NodeID, self.Host, self.Port = 1, "wrong", 9092
		resp.Brokers, resp.ControllerID = append(resp.Brokers, self), 1
		bare := kmsg.NewMetadataResponseTopic()
		bare.Topic, bare.Partitions = kmsg.StringPtr("bare"), []kmsg.MetadataResponseTopicPartition{{}}
		empty := kmsg.NewMetadataResponseTopic()
		empty.Topic = kmsg.StringPtr("empty")
		resp.Topics = append(resp.Topics, kmsg.NewMetadataResponseTopic(), bare, empty)
		return resp
	case kmsg.FindCoordinator:
		resp := kmsg.NewPtrFindCoordinatorResponse()
		resp.NodeID, resp.Host, resp.Port = 1, "wrong", 9092
		return resp
	case kmsg.DescribeGroups:
		return kmsg.NewPtrDescribeGroupsResponse()
	}
	return nil
}

// serveWrong answers the requests of one connection.
func serveWrong(conn net.Conn) {
	defer conn.Close()
	for {
		var head [12]byte // length, key, version, correlation id
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return
		}
		rest := int64(binary.BigEndian.Uint32(head[:])) - 8
		if _, err := io.CopyN(io.Discard, conn, rest); err != nil {
			return
		}
		key, version := int16(binary.BigEndian.Uint16(head[4:])), int16(binary.BigEndian.Uint16(head[6:]))
		resp := wrongBroker(key)
		if resp == nil {
			return
		}
		resp.SetVersion(version)
		frame := append(make([]byte, 4), head[8:12]...)
		if resp.IsFlexible() && key != kmsg.ApiVersions.Int16() {
			frame = append(frame, 0)
		}
		frame = resp.AppendTo(frame)
		binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
		if _, err := conn.Write(frame); err != nil {
			return
		}
	}
}

// TestWrongBroker wants an error of every tool, where a broker's answer lacks what the tool goes on with.
func TestWrongBroker(t *testing.T) {
	dial := kgo.Dialer(func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go serveWrong(theirs)
		return ours, nil
	})
	client := []kgo.Opt{dial, kgo.RequestRetries(0)}
	plan := func(topic string) string {
		name := filepath.Join(t.TempDir(), "topics.json")
		if err := os.WriteFile(name, []byte(`{"version":1,"topics":[{"topic":"`+topic+`"}]}`), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for _, line := range []string{ // kafka-consumer-groups exits with 0 whatever happens, as Kafka's
		"kafka-topics --describe --topic missing",
		"kafka-reassign-partitions --generate --broker-list 1 --topics-to-move-json-file " + plan("bare"),
		"kafka-reassign-partitions --generate --broker-list 1 --topics-to-move-json-file " + plan("empty"),
		"kafka-reassign-partitions --generate --broker-list 1 --topics-to-move-json-file " + plan("missing"),
		"kafka-consumer-groups --describe --group g",
		"kafka-consumer-groups --reset-offsets --to-earliest --all-topics --group g",
		"kafka-consumer-groups --delete-offsets --topic missing --group g",
	} {
		r := run(t, client, "", append(strings.Fields(line), "--bootstrap-server", "wrong:9092")...)
		groups := strings.HasPrefix(line, "kafka-consumer-groups ") && strings.Contains(r.Stdout, "Error: ")
		if r.Code == 0 && !groups || r.Stdout+r.Stderr == "" {
			t.Errorf("%s: exit %d, %q %q", line, r.Code, r.Stdout, r.Stderr)
		}
	}
}
