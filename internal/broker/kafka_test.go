package broker

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// question is a request that Apache Kafka was asked, too. What it answered stands in testdata/kafka-4.3.1; what is
// answered here must be the same, but for what ours changes in Kafka's answer, for a reason that why gives.
type question struct {
	name string
	req  kmsg.Request
	ours func(kmsg.Response)
	why  string
	// ignore clears what is different each time.
	ignore func(kmsg.Response)
	// again tells that Kafka's answer is not final yet.
	again func(kmsg.Response) bool
}

// askKafka names a fresh Apache Kafka 4.3.1 of one node, with node.id=1 and no more listeners than a plaintext one, as
// host:port. When it is set the answers in testdata are recorded anew.
const askKafka = "LOGBAHN_KAFKA"

// compareWithKafka sends what prepares and asks the questions in turn, of the broker and, when one is named, of Kafka.
func compareWithKafka(t *testing.T, n *node, file string, prepare []kmsg.Request, questions []question) {
	t.Helper()
	path := filepath.Join("testdata", "kafka-4.3.1", file+".json")
	if addr := os.Getenv(askKafka); addr != "" {
		recordKafka(t, addr, path, prepare, questions)
	}
	for _, req := range prepare {
		call[kmsg.Response](n, req)
	}
	b, err := os.ReadFile(path)
	must(t, b, err)
	answers := map[string]json.RawMessage{}
	must(t, answers, json.Unmarshal(b, &answers))
	for _, q := range questions {
		kafkas, recorded := answers[q.name]
		if !recorded {
			t.Errorf("%s: Kafka was never asked", q.name)
			continue
		}
		delete(answers, q.name)
		want := q.req.ResponseKind()
		must(t, want, json.Unmarshal(kafkas, want))
		same := encoded(t, want)
		if q.ours != nil {
			q.ours(want)
			if same == encoded(t, want) {
				t.Errorf("%s: Kafka answers like that by itself; the exception is not needed", q.name)
			}
		}
		got := call[kmsg.Response](n, q.req)
		if q.ignore != nil {
			q.ignore(got)
			q.ignore(want)
		}
		if got, want := encoded(t, got), encoded(t, want); got != want {
			t.Errorf("%s:\n got %s\nwant %s", q.name, got, want)
		}
	}
	for name := range answers {
		t.Errorf("%s: an answer to a question that is not asked", name)
	}
}

func encoded(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	return string(must(t, b, err))
}

func recordKafka(t *testing.T, addr, path string, prepare []kmsg.Request, questions []question) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	must(t, conn, err)
	defer conn.Close()
	for _, req := range prepare {
		eventually(t, "a topic has its leader", func() bool {
			produced, ok := ask(t, conn, req).(*kmsg.ProduceResponse)
			return !ok || produced.Topics[0].Partitions[0].ErrorCode == 0
		})
	}
	answers := map[string]kmsg.Response{}
	for _, q := range questions {
		eventually(t, q.name, func() bool {
			answers[q.name] = ask(t, conn, q.req)
			if q.ignore != nil {
				q.ignore(answers[q.name])
			}
			return q.again == nil || !q.again(answers[q.name])
		})
	}
	b, err := json.MarshalIndent(answers, "", "\t")
	must(t, b, err)
	must(t, path, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, path, os.WriteFile(path, append(b, '\n'), 0o644))
}

// ask sends one request on a connection and returns the decoded reply.
func ask(t *testing.T, conn net.Conn, req kmsg.Request) kmsg.Response {
	t.Helper()
	h := wire.RequestHeader{Key: req.Key(), Version: req.GetVersion(), ClientID: kmsg.StringPtr("test")}
	frame := req.AppendTo(wire.AppendRequestHeader(make([]byte, wire.FrameHeaderSize), h))
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-wire.FrameHeaderSize))
	must(t, conn, conn.SetDeadline(time.Now().Add(30*time.Second)))
	_, err := conn.Write(frame)
	must(t, conn, err)
	var length [wire.FrameHeaderSize]byte
	_, err = io.ReadFull(conn, length[:])
	must(t, conn, err)
	reply := make([]byte, wire.FrameLength(length))
	_, err = io.ReadFull(conn, reply)
	must(t, conn, err)
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	header := 4 + int(wire.ResponseHeaderVersion(req.Key(), req.GetVersion()))
	must(t, resp, resp.ReadFrom(reply[header:]))
	return resp
}
