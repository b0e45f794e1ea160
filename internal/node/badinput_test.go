package node

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"net"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/broker"
	"github.com/logbahn/logbahn/internal/listener"
	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/vfs"
	"github.com/logbahn/logbahn/internal/wire"
)

// victim is a node that is sent bad input, and somebody else's connection to it.
type victim struct {
	t         *testing.T
	n         *Node
	bystander net.Conn
}

func newVictim(t *testing.T) *victim {
	t.Helper()
	v := &victim{t: t, n: start(t, vfs.NewMem())}
	v.bystander = v.dial()
	v.ask(v.create("t", 2))
	v.ask(v.create("compact", 1, "cleanup.policy", "compact"))
	v.ask(v.create("zipped", 1, "compression.type", "gzip"))
	v.ask(v.create("small", 1, "max.message.bytes", "1000"))
	for _, topic := range []string{"t", "compact", "zipped", "small"} {
		v.wantCodes(produceOf(9, topic, batchOf(record.None, "kept")), wire.None)
	}
	return v
}

func (v *victim) dial() net.Conn {
	v.t.Helper()
	conn, err := v.n.Dial(v.t.Context())
	if err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		v.t.Fatal(err)
	}
	return conn
}

func (v *victim) create(topic string, partitions int32, keyValues ...string) kmsg.Request {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, partitions, 1
	for i := 0; i+1 < len(keyValues); i += 2 {
		t.Configs = append(t.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: keyValues[i], Value: &keyValues[i+1]})
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.Topics = 7, append(req.Topics, t)
	return req
}

// frameOf returns a request as it is sent.
func frameOf(req kmsg.Request) []byte {
	h := wire.RequestHeader{Key: req.Key(), Version: req.GetVersion(), CorrelationID: 7, ClientID: kmsg.StringPtr("test")}
	return lengthened(req.AppendTo(wire.AppendRequestHeader(make([]byte, wire.FrameHeaderSize), h)))
}

// lengthened sets the length of a frame to what it is.
func lengthened(frame []byte) []byte {
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-wire.FrameHeaderSize))
	return frame
}

// read reads one reply, without length and correlation id.
func read(conn net.Conn) ([]byte, error) {
	var length [wire.FrameHeaderSize]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	reply := make([]byte, wire.FrameLength(length))
	_, err := io.ReadFull(conn, reply)
	return reply[min(4, len(reply)):], err
}

// answer decodes a reply.
func answer(t *testing.T, req kmsg.Request, reply []byte) kmsg.Response {
	t.Helper()
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	if err := resp.ReadFrom(reply[wire.ResponseHeaderVersion(req.Key(), req.GetVersion()):]); err != nil {
		t.Fatalf("reply to %T version %d: %v", req, req.GetVersion(), err)
	}
	return resp
}

// ask sends a request on a connection of its own and returns the reply.
func (v *victim) ask(req kmsg.Request) kmsg.Response {
	v.t.Helper()
	conn := v.dial()
	defer conn.Close()
	return v.askOn(conn, req)
}

func (v *victim) askOn(conn net.Conn, req kmsg.Request) kmsg.Response {
	v.t.Helper()
	_, err := conn.Write(frameOf(req))
	if err != nil {
		v.t.Fatal(err)
	}
	reply, err := read(conn)
	if err != nil {
		v.t.Fatalf("%T: %v", req, err)
	}
	return answer(v.t, req, reply)
}

// codesOf returns all error codes of a reply, in order.
func codesOf(resp kmsg.Response) []wire.Error {
	return errorCodes(nil, reflect.ValueOf(resp))
}

func errorCodes(codes []wire.Error, v reflect.Value) []wire.Error {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return errorCodes(codes, v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			codes = errorCodes(codes, v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name == "ErrorCode" {
				codes = append(codes, wire.Error(v.Field(i).Int()))
			} else {
				codes = errorCodes(codes, v.Field(i))
			}
		}
	}
	return codes
}

func (v *victim) wantCodes(req kmsg.Request, want ...wire.Error) {
	v.t.Helper()
	if got := codesOf(v.ask(req)); !slices.Equal(got, want) {
		v.t.Errorf("%T version %d: codes %v, want %v", req, req.GetVersion(), got, want)
	}
}

// state is what bad input must not change: the ends of all logs, and the cluster's metadata.
func (v *victim) state() map[string]int64 {
	state := map[string]int64{"metadata": v.n.quorum.Image().Offset()}
	for _, p := range v.n.set.All() {
		state[fmt.Sprintf("%s-%d", p.Topic(), p.Index())] = p.Log().EndOffset()
	}
	return state
}

func (v *victim) stats() listener.Stats { return v.n.serving[0].server.Load().Stats() }

// heapSlackBytes is what an input may take beyond twice its size. What is counted is all that was allocated meanwhile, for
// memory that has been given back as well: inflating to the cap of sixteen times the largest message comes to
// inflatedBytesMax, growing included.
const (
	heapSlackBytes   = 1 << 20
	inflatedBytesMax = 7 * 16 << 20
)

// harmless runs what sends bad input of a size, and fails when it left a trace, took memory out of proportion, or was
// noticed on another connection.
func (v *victim) harmless(sentBytes, slackBytes int, run func()) {
	v.t.Helper()
	state := v.state()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	run()
	runtime.ReadMemStats(&after)
	if took := int(after.TotalAlloc - before.TotalAlloc); took > 2*sentBytes+slackBytes && !raceEnabled {
		v.t.Errorf("%d bytes allocated for %d bytes received", took, sentBytes)
	}
	if now := v.state(); !maps.Equal(state, now) {
		v.t.Errorf("state %v, was %v", now, state)
	}
	v.bystanderWorks()
}

func (v *victim) bystanderWorks() {
	v.t.Helper()
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 9
	if codes := codesOf(v.askOn(v.bystander, req)); slices.ContainsFunc(codes, func(e wire.Error) bool { return e != wire.None }) {
		v.t.Errorf("another connection: %v", codes)
	}
	if n := v.stats().ClosedByPanic; n != 0 {
		v.t.Errorf("%d panics", n)
	}
}

// closes sends bytes that must end their connection without a reply, counted.
func (v *victim) closes(sent []byte, counter func(listener.Stats) int64) {
	v.t.Helper()
	for range 2 { // the first one may fill pools
		conn := v.dial()
		counted := counter(v.stats())
		slack := heapSlackBytes
		if len(sent) > heapSlackBytes {
			slack += len(sent) // of buffers that it has outgrown
		}
		v.harmless(len(sent), slack, func() {
			_, _ = conn.Write(sent)
			if reply, err := read(conn); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrClosedPipe) {
				v.t.Errorf("reply %x, %v, want the end of the connection", reply, err)
			}
		})
		waitUntil(v.t, func() bool { return counter(v.stats()) == counted+1 })
		conn.Close()
	}
}

func tooLarge(s listener.Stats) int64  { return s.ClosedTooLarge }
func malformed(s listener.Stats) int64 { return s.ClosedMalformed }
func notServed(s listener.Stats) int64 { return s.ClosedNotServed }

func produceOf(version int16, topic string, records ...[]byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = version, -1, 10_000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	for i, r := range records {
		p := kmsg.NewProduceRequestTopicPartition()
		p.Partition, p.Records = int32(i), r
		t.Partitions = append(t.Partitions, p)
	}
	req.Topics = append(req.Topics, t)
	return req
}

func batchOf(c record.Codec, values ...string) []byte {
	b := record.NewBuilder(record.BuilderOptions{Codec: c})
	for _, value := range values {
		b.Append(record.Record{Timestamp: time.Now().UnixMilli(), Key: []byte("k"), Value: []byte(value)})
	}
	return bytes.Clone(b.Bytes())
}

// altered changes a batch's header and corrects the checksum.
func altered(batch []byte, change func(h *record.Header)) []byte {
	batch = bytes.Clone(batch)
	h, err := record.ReadHeader(batch)
	if err != nil {
		panic(err)
	}
	change(&h)
	record.PutHeader(batch, h)
	return batch
}

func TestBadInputFrameLength(t *testing.T) {
	v := newVictim(t)
	for name, length := range map[string]uint32{
		"-1": 0xffffffff, "the least": 0x80000000, "100 MiB and one": 100<<20 + 1, "the most": 0x7fffffff,
	} {
		t.Run(name, func(*testing.T) { v.closes(binary.BigEndian.AppendUint32(nil, length), tooLarge) })
	}
	t.Run("beyond an API's own", func(*testing.T) {
		head := binary.BigEndian.AppendUint32(nil, 17<<20)
		head = append(head, frameOf(kmsg.NewPtrMetadataRequest())[wire.FrameHeaderSize:]...)
		v.closes(append(head, make([]byte, 64<<10)...), tooLarge)
	})
}

// body returns a frame with the header of an API's version and any body.
func body(key, version int16, body ...byte) []byte {
	h := wire.RequestHeader{Key: key, Version: version, ClientID: kmsg.StringPtr("test")}
	return lengthened(append(wire.AppendRequestHeader(make([]byte, wire.FrameHeaderSize), h), body...))
}

func TestBadInputCounts(t *testing.T) {
	v := newVictim(t)
	const produce, fetch, metadata, createTopics, deleteTopics, joinGroup = 0, 1, 3, 19, 20, 11
	header := func(tags ...byte) []byte { // of Metadata 9, with tagged fields of its own
		return lengthened(append([]byte{0, 0, 0, 0, 0, metadata, 0, 9, 0, 0, 0, 1, 0xff, 0xff}, tags...))
	}
	for name, frame := range map[string][]byte{
		"an array of 2^31-1":                   body(metadata, 4, 0x7f, 0xff, 0xff, 0xff),
		"an array of -2":                       body(metadata, 4, 0xff, 0xff, 0xff, 0xfe, 0),
		"an array of -1 that may not be null":  body(createTopics, 4, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0),
		"null topics in DeleteTopics":          body(deleteTopics, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0),
		"an array longer than what remains":    body(metadata, 4, 0, 0, 0, 9, 0, 1, 'a'),
		"a compact array of 2^32-2":            body(metadata, 9, 0xff, 0xff, 0xff, 0xff, 0x0f),
		"a varint of six bytes":                body(metadata, 9, 0x81, 0x80, 0x80, 0x80, 0x80, 0x00),
		"a varint of 33 bits":                  body(metadata, 9, 0xff, 0xff, 0xff, 0xff, 0x1f),
		"a varint that does not end":           body(metadata, 9, 0x80),
		"a string of -2":                       body(metadata, 4, 0, 0, 0, 1, 0xff, 0xfe, 0),
		"a string longer than what remains":    body(metadata, 4, 0, 0, 0, 1, 0x7f, 0xff, 'a'),
		"tagged fields, 2^32-1":                body(metadata, 9, 0x01, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f),
		"a tagged field longer than the rest":  body(metadata, 9, 0x01, 0, 0, 0, 0x01, 0x05, 0x7f, 'a'),
		"tagged fields in the header, 2^32-1":  header(0xff, 0xff, 0xff, 0xff, 0x0f),
		"a tagged field in the header, beyond": header(0x01, 0x00, 0x7f),
		"a client id beyond the frame":         lengthened([]byte{0, 0, 0, 0, 0, metadata, 0, 4, 0, 0, 0, 1, 0x7f, 0xff, 'a'}),
		"Produce: topics, 2^31-1":              body(produce, 7, 0xff, 0xff, 0, 1, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff),
		"Produce: records, 2^31-1":             body(produce, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 1, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff),
		"Produce: records, -2":                 body(produce, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xfe),
		"Fetch: topics, 2^31-1":                body(fetch, 4, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff),
		"Fetch: partitions, -1":                body(fetch, 4, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 't', 0xff, 0xff, 0xff, 0xff),
		"JoinGroup: a blob of 2^31-1":          body(joinGroup, 0, 0, 1, 'g', 0, 0, 0, 1, 0, 0, 0, 1, 'c', 0, 0, 0, 1, 0, 1, 'r', 0x7f, 0xff, 0xff, 0xff),
	} {
		t.Run(name, func(*testing.T) { v.closes(frame, malformed) })
	}
}

// Elements of nothing cost the sender a byte or two and the decoder a struct: more of them than a limit are refused.
func TestBadInputElementsOfNothing(t *testing.T) {
	v := newVictim(t)
	const elements = 5 << 20
	createTopics := body(19, 7, binary.AppendUvarint(nil, elements+1)...)
	createTopics = lengthened(append(createTopics, bytes.Repeat([]byte{1, 0, 0, 0, 1, 0, 1, 1, 1, 0}, elements/10)...))
	metadata := body(3, 9, binary.AppendUvarint(nil, elements+1)...)
	metadata = lengthened(append(metadata, make([]byte, elements)...))
	for name, frame := range map[string][]byte{"CreateTopics": createTopics, "Metadata": metadata} {
		t.Run(name, func(*testing.T) { v.closes(frame, malformed) })
	}
}

func TestBadInputKeysAndVersions(t *testing.T) {
	v := newVictim(t)
	for name, frame := range map[string][]byte{
		"an unknown key":         body(9999, 0),
		"a negative key":         body(-1, 0),
		"a broker's own API":     body(4, 0),
		"a version that is not":  body(3, 99),
		"a negative version":     body(3, -1),
		"no longer in the table": body(7, 1),
	} {
		t.Run(name, func(*testing.T) { v.closes(frame, notServed) })
	}
	t.Run("ApiVersions", func(t *testing.T) {
		for _, version := range []int16{5, 99, 0x7fff} {
			conn := v.dial()
			if _, err := conn.Write(body(18, version, 0xff, 0xff)); err != nil {
				t.Fatal(err)
			}
			reply, err := read(conn)
			if err != nil {
				t.Fatal(err)
			}
			resp := kmsg.NewPtrApiVersionsResponse()
			if err := resp.ReadFrom(reply); err != nil || resp.ErrorCode != wire.UnsupportedVersion.Code() || resp.ApiKeys[0].MaxVersion != 4 {
				t.Errorf("version %d: %+v, %v", version, resp, err)
			}
			req := kmsg.NewPtrApiVersionsRequest()
			if codes := codesOf(v.askOn(conn, req)); !slices.Equal(codes, []wire.Error{wire.None}) {
				t.Errorf("after version %d: %v", version, codes)
			}
		}
	})
}

// A request that ends early, at whatever byte, closes its connection.
func TestBadInputTruncatedRequests(t *testing.T) {
	v := newVictim(t)
	var frames int
	for key := range int16(100) {
		api, ok := broker.Lookup(key)
		if !ok {
			continue
		}
		for _, version := range []int16{api.Min, api.Max} {
			frame := frameOf(filled(key, version))
			header := len(body(key, version))
			for cut := header; cut < len(frame); cut++ {
				conn := v.dial()
				if _, err := conn.Write(lengthened(bytes.Clone(frame[:cut]))); err != nil {
					t.Fatal(err)
				}
				if reply, err := read(conn); err == nil {
					t.Errorf("%s version %d, %d of %d bytes: reply %x", api.Name, version, cut-header, len(frame)-header, reply)
				}
				conn.Close()
				frames++
			}
		}
	}
	waitUntil(t, func() bool { return v.stats().ClosedMalformed == int64(frames) })
	v.bystanderWorks()
}

// filled returns a request with something in each of its lists.
func filled(key, version int16) kmsg.Request {
	req := kmsg.RequestForKey(key)
	req.SetVersion(version)
	fill(reflect.ValueOf(req).Elem())
	req.SetVersion(version)
	return req
}

func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() && v.Type().Field(i).Name != "UnknownTags" {
				fill(f)
			}
		}
	case reflect.String:
		v.SetString("s")
	case reflect.Uint8, reflect.Uint16:
		v.SetUint(1)
	}
}

func TestBadInputRecords(t *testing.T) {
	v := newVictim(t)
	good := batchOf(record.None, "a", "b", "c")
	zipped := batchOf(record.Gzip, "a", "b", "c")
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	deltas := func() []byte { // the second record says that it is the first
		b := bytes.Clone(good)
		at := record.HeaderSize + int(good[record.HeaderSize]>>1) + 1
		b[at+3] = 0
		return altered(b, func(*record.Header) {})
	}()
	magic := func(m byte) []byte {
		b := bytes.Clone(good)
		b[16] = m
		return b
	}
	for _, c := range []struct {
		row, name string
		version   int16
		records   []byte
		want      wire.Error
	}{
		{"wrong CRC", "a bit", 9, flipped, wire.CorruptMessage},
		{"wrong CRC", "zeros", 9, make([]byte, 100), wire.InvalidRecord},
		{"truncated batch", "the last byte", 9, good[:len(good)-1], wire.CorruptMessage},
		{"truncated batch", "the header", 9, good[:30], wire.CorruptMessage},
		{"truncated batch", "a message set", 2, messageSet(0, "a")[:20], wire.CorruptMessage},
		{"two batches", "", 9, append(bytes.Clone(good), good...), wire.InvalidRecord},
		{"two batches", "and a half", 9, append(bytes.Clone(good), good[:20]...), wire.InvalidRecord},
		{"no batch", "", 9, []byte{}, wire.InvalidRecord},
		{"no batch", "null", 9, nil, wire.InvalidRecord},
		{"magic", "0 in v3", 3, messageSet(0, "a"), wire.InvalidRecord},
		{"magic", "1 in v9", 9, messageSet(1, "a"), wire.InvalidRecord},
		{"magic", "3", 9, magic(3), wire.CorruptMessage},
		{"magic", "-1", 9, magic(0xff), wire.CorruptMessage},
		{"zstd before v7", "", 6, batchOf(record.Zstd, "a"), wire.UnsupportedCompressionType},
		{"unknown codec", "", 9, altered(good, func(h *record.Header) { h.Attributes |= 5 }), wire.UnsupportedCompressionType},
		{"record count", "one more", 9, altered(good, func(h *record.Header) { h.Count, h.LastOffsetDelta = 4, 3 }), wire.InvalidRecord},
		{"record count", "one less", 9, altered(good, func(h *record.Header) { h.Count, h.LastOffsetDelta = 2, 1 }), wire.InvalidRecord},
		{"record count", "unlike the last delta", 9, altered(good, func(h *record.Header) { h.Count = 2 }), wire.InvalidRecord},
		{"record count", "zero", 9, altered(good, func(h *record.Header) { h.Count, h.LastOffsetDelta = 0, -1 }), wire.InvalidRecord},
		{"record count", "negative", 9, altered(good, func(h *record.Header) { h.Count, h.LastOffsetDelta = -1, -2 }), wire.InvalidRecord},
		{"record count", "2^31-1", 9, altered(good, func(h *record.Header) { h.Count, h.LastOffsetDelta = 1<<31-1, 1<<31-2 }), wire.InvalidRecord},
		{"record count", "of a compressed batch, unlike the last delta", 9, altered(zipped, func(h *record.Header) { h.Count = 9 }), wire.InvalidRecord},
		{"offset deltas", "", 9, deltas, wire.InvalidRecord},
		{"control bit", "", 9, altered(good, func(h *record.Header) { h.Attributes |= 0x20 }), wire.InvalidRecord},
		{"base offset", "", 9, altered(good, func(h *record.Header) { h.BaseOffset = 5 }), wire.InvalidRecord},
		{"negative sequence", "", 9, altered(good, func(h *record.Header) { h.ProducerID, h.ProducerEpoch, h.BaseSequence = 1, 0, -1 }), wire.InvalidRecord},
		{"negative sequence", "the least", 9, altered(good, func(h *record.Header) { h.ProducerID, h.ProducerEpoch, h.BaseSequence = 1, 0, -1<<31 }), wire.InvalidRecord},
		{"negative epoch", "", 9, altered(good, func(h *record.Header) { h.ProducerID, h.ProducerEpoch, h.BaseSequence = 1, -1, 0 }), wire.InvalidRecord},
	} {
		t.Run(c.row+"/"+c.name, func(t *testing.T) {
			req := produceOf(c.version, "t", c.records)
			conn := v.dial()
			frame := frameOf(req)
			v.harmless(len(frame), heapSlackBytes, func() {
				if got := codesOf(v.askOn(conn, req)); !slices.Equal(got, []wire.Error{c.want}) {
					t.Errorf("codes %v, want %v", got, c.want)
				}
			})
		})
	}
}

// A partition whose records are bad does not keep the others of its request from being appended, as in Kafka.
func TestBadInputNextToGood(t *testing.T) {
	v := newVictim(t)
	good := batchOf(record.None, "a")
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	v.wantCodes(produceOf(9, "t", flipped, good), wire.CorruptMessage, wire.None)
	if state := v.state(); state["t-0"] != 1 || state["t-1"] != 1 {
		t.Errorf("%v", state)
	}
}

func TestBadInputTooLarge(t *testing.T) {
	v := newVictim(t)
	for _, c := range []record.Codec{record.None, record.Gzip} {
		noise := make([]byte, 2000)
		for i := range noise {
			noise[i] = byte(i * i * 7919 >> 5)
		}
		req := produceOf(9, "small", batchOf(c, string(noise), string(noise[500:])))
		v.harmless(4096, heapSlackBytes, func() { v.wantCodes(req, wire.MessageTooLarge) })
	}
	long := produceOf(9, "t", batchOf(record.None, strings.Repeat("x", 1100<<10)))
	v.harmless(2<<20, heapSlackBytes, func() { v.wantCodes(long, wire.MessageTooLarge) })
}

// bomb is a batch of a codec whose one record inflates to 17 MiB, which is more than the cap.
func bomb(c record.Codec) []byte {
	b := record.NewBuilder(record.BuilderOptions{Codec: c, Level: 9})
	b.Append(record.Record{Timestamp: time.Now().UnixMilli(), Key: []byte("k"), Value: make([]byte, 17<<20)})
	return bytes.Clone(b.Bytes())
}

// What inflates to more than sixteen times the limit of messages is refused where it must be inflated, and where not it
// is not looked into.
func TestBadInputDecompressionBombs(t *testing.T) {
	v := newVictim(t)
	for _, c := range []record.Codec{record.Gzip, record.Snappy, record.LZ4, record.Zstd} {
		t.Run(c.String(), func(t *testing.T) {
			b := bomb(c)
			v.harmless(len(b), heapSlackBytes+inflatedBytesMax, func() { v.wantCodes(produceOf(9, "compact", b), wire.InvalidRecord) })
		})
	}
	t.Run("in a message set", func(t *testing.T) {
		for _, c := range []record.Codec{record.Gzip, record.LZ4} {
			set := wrapped(t, c, make([]byte, 17<<20))
			v.harmless(len(set), heapSlackBytes+inflatedBytesMax, func() { v.wantCodes(produceOf(2, "t", set), wire.InvalidRecord) })
		}
	})
	t.Run("where nobody has to look", func(t *testing.T) {
		b := bomb(record.Gzip)
		conn := v.dial()
		req := produceOf(9, "t", b)
		frame := frameOf(req)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := conn.Write(frame); err != nil {
			t.Fatal(err)
		}
		reply, err := read(conn)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; err != nil || took > uint64(2*len(b)+heapSlackBytes) && !raceEnabled {
			t.Errorf("%d bytes allocated for a bomb of %d, %v", took, len(b), err)
		}
		if codes := codesOf(answer(t, req, reply)); codes[0] != wire.None {
			t.Errorf("%v", codes)
		}
	})
}

// messageSet is a set of one message of magic 0 or 1.
func messageSet(magic byte, value string) []byte { return message(magic, 0, []byte(value)) }

// wrapped is a message of magic 0 with a compressed set inside, whose one message has the value.
func wrapped(t *testing.T, c record.Codec, value []byte) []byte {
	t.Helper()
	inner, err := record.Compress(c, 9, nil, message(0, 0, value))
	if err != nil {
		t.Fatal(err)
	}
	return message(0, byte(c), inner)
}

func message(magic, attributes byte, value []byte) []byte {
	m := []byte{magic, attributes}
	if magic == 1 {
		m = binary.BigEndian.AppendUint64(m, uint64(time.Now().UnixMilli()))
	}
	m = binary.BigEndian.AppendUint32(m, 0xffffffff) // no key
	m = append(binary.BigEndian.AppendUint32(m, uint32(len(value))), value...)
	set := make([]byte, 8, 16+len(m))
	set = binary.BigEndian.AppendUint32(set, uint32(4+len(m)))
	return append(binary.BigEndian.AppendUint32(set, crc32.ChecksumIEEE(m)), m...)
}

func TestBadInputTopicNames(t *testing.T) {
	v := newVictim(t)
	for _, name := range []string{"", ".", "..", "a/b", "../a", "%2e", "a\x00b", "\x00", strings.Repeat("a", 250), "a b", "ä", "a\\b", "con:", "\xff\xfe"} {
		t.Run(fmt.Sprintf("%.20q", name), func(t *testing.T) {
			v.t = t
			v.harmless(1000, heapSlackBytes, func() {
				v.wantCodes(v.create(name, 1), wire.InvalidTopicException)
				asks := kmsg.NewPtrMetadataRequest()
				asks.Version, asks.AllowAutoTopicCreation = 9, true
				asks.Topics = append(asks.Topics, kmsg.MetadataRequestTopic{Topic: &name})
				v.wantCodes(asks, wire.InvalidTopicException, wire.None) // the latter of the reply as a whole
				v.wantCodes(produceOf(9, name, batchOf(record.None, "a")), wire.UnknownTopicOrPartition)
			})
		})
	}
	v.t = t
	longest := strings.Repeat("a", 249)
	v.wantCodes(v.create(longest, 1), wire.None)
	v.wantCodes(produceOf(9, longest, batchOf(record.None, "a")), wire.None)
}

func TestBadInputConfigs(t *testing.T) {
	v := newVictim(t)
	for name, keyValue := range map[string][2]string{
		"unknown key": {"no.such.key", "1"}, "not a number": {"retention.ms", "week"}, "out of range": {"max.message.bytes", "-1"},
		"not one of": {"cleanup.policy", "forget"}, "a path": {"log.dirs", "../../etc"},
	} {
		t.Run(name, func(t *testing.T) {
			v.t = t
			v.harmless(1000, heapSlackBytes, func() {
				v.wantCodes(v.create("new", 1, "retention.ms", "1000", keyValue[0], keyValue[1]), wire.InvalidConfig)
				change := kmsg.NewPtrIncrementalAlterConfigsRequest()
				change.Version = 1
				r := kmsg.NewIncrementalAlterConfigsRequestResource()
				r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, "t"
				r.Configs = []kmsg.IncrementalAlterConfigsRequestResourceConfig{
					{Name: "segment.ms", Value: kmsg.StringPtr("1000")}, {Name: keyValue[0], Value: &keyValue[1]},
				}
				change.Resources = append(change.Resources, r)
				v.wantCodes(change, wire.InvalidConfig)
			})
		})
	}
}

// Fetching as much as can be asked for, of ten thousand partitions, takes as much memory as one reply.
func TestBadInputGreedyFetch(t *testing.T) {
	v := newVictim(t)
	const asked, existing = 10_000, 2000 // together they hold more than fetch.max.bytes
	v.wantCodes(v.create("many", existing), wire.None)
	records := batchOf(record.None, strings.Repeat("x", 30<<10))
	for from := 0; from < existing; from += 500 {
		req := produceOf(9, "many", slices.Repeat([][]byte{records}, 500)...)
		for i := range req.Topics[0].Partitions {
			req.Topics[0].Partitions[i].Partition = int32(from + i)
		}
		v.ask(req)
	}
	fetch := kmsg.NewPtrFetchRequest()
	fetch.Version, fetch.MaxBytes, fetch.SessionEpoch = 12, 1<<31-1, -1
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic = "many"
	for i := range asked {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.PartitionMaxBytes = int32(i), 1<<31-1
		topic.Partitions = append(topic.Partitions, p)
	}
	fetch.Topics = append(fetch.Topics, topic)
	for _, version := range []int16{2, 12} {
		fetch.Version = version
		frame := frameOf(fetch)
		conn := v.dial()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := conn.Write(frame); err != nil {
			t.Fatal(err)
		}
		var length [wire.FrameHeaderSize]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		const replyMax = 56 << 20 // fetch.max.bytes is 55 MiB
		if size := wire.FrameLength(length); size > replyMax {
			t.Errorf("version %d: a reply of %d bytes", version, size)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 3*replyMax && !raceEnabled {
			t.Errorf("version %d: %d bytes allocated", version, took)
		}
		conn.Close()
	}
	v.bystanderWorks()
}

func TestBadInputSASL(t *testing.T) {
	v := newVictim(t)
	conn := v.dial()
	for range 2 {
		hello := kmsg.NewPtrSASLHandshakeRequest()
		hello.Version, hello.Mechanism = 1, "PLAIN"
		secret := kmsg.NewPtrSASLAuthenticateRequest()
		secret.Version, secret.SASLAuthBytes = 2, make([]byte, 1<<20)
		for _, req := range []kmsg.Request{hello, secret} {
			if got := codesOf(v.askOn(conn, req)); !slices.Equal(got, []wire.Error{wire.IllegalSASLState}) {
				t.Errorf("%T: %v", req, got)
			}
		}
	}
	v.bystanderWorks()
}

// A client that leaves in the middle of a request has sent nothing; one that leaves in the middle of a reply has sent all.
// Nothing of either connection is left.
func TestBadInputDisconnects(t *testing.T) {
	v := newVictim(t)
	req := produceOf(9, "t", batchOf(record.None, "a", "b"), batchOf(record.Gzip, "c"))
	frame := frameOf(req)
	settled := runtime.NumGoroutine() + 1 // the subtest's
	gone := func() {
		t.Helper()
		waitUntil(t, func() bool { return v.stats().ConnectionsOpen == 1 && runtime.NumGoroutine() <= settled })
	}
	t.Run("in a request", func(t *testing.T) {
		state := v.state()
		for cut := range len(frame) {
			conn := v.dial()
			if _, err := conn.Write(frame[:cut]); err != nil {
				t.Fatal(err)
			}
			conn.Close()
		}
		gone()
		if now := v.state(); !maps.Equal(state, now) {
			t.Errorf("state %v, was %v", now, state)
		}
	})
	t.Run("in a reply", func(t *testing.T) {
		state := v.state()
		conn := v.dial()
		if _, err := conn.Write(frame); err != nil {
			t.Fatal(err)
		}
		reply, err := read(conn)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		for cut := range len(reply) {
			conn := v.dial()
			if _, err := conn.Write(frame); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(conn, make([]byte, cut)); err != nil {
				t.Fatal(err)
			}
			conn.Close()
		}
		gone()
		sent := int64(len(reply) + 1)
		waitUntil(t, func() bool {
			now := v.state()
			return now["t-0"] == state["t-0"]+2*sent && now["t-1"] == state["t-1"]+sent
		})
	})
	t.Run("in a fetch that waits", func(t *testing.T) {
		fetch := kmsg.NewPtrFetchRequest()
		fetch.Version, fetch.MaxWaitMillis, fetch.MinBytes, fetch.SessionEpoch = 12, 1<<31-1, 1<<31-1, -1
		p := kmsg.NewFetchRequestTopicPartition()
		p.PartitionMaxBytes = 1 << 20
		fetch.Topics = []kmsg.FetchRequestTopic{{Topic: "t", Partitions: []kmsg.FetchRequestTopicPartition{p}}}
		for range 20 {
			conn := v.dial()
			if _, err := conn.Write(frameOf(fetch)); err != nil {
				t.Fatal(err)
			}
			conn.Close()
		}
		gone()
	})
	v.bystanderWorks()
}
