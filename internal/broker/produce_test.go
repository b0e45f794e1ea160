package broker

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/quorum"
	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/vfs"
	"github.com/logbahn/logbahn/internal/wire"
)

// messageSet builds a set of magic 0 or 1, as clients before 0.11 send it.
func messageSet(magic int8, values ...string) []byte {
	var set []byte
	for i, v := range values {
		m := []byte{byte(magic), 0}
		if magic == 1 {
			m = binary.BigEndian.AppendUint64(m, uint64(time.Now().UnixMilli()))
		}
		m = binary.BigEndian.AppendUint32(m, math.MaxUint32) // null key
		m = binary.BigEndian.AppendUint32(m, uint32(len(v)))
		m = append(m, v...)
		set = binary.BigEndian.AppendUint64(set, uint64(i))
		set = binary.BigEndian.AppendUint32(set, uint32(len(m)+4))
		set = binary.BigEndian.AppendUint32(set, crc32.ChecksumIEEE(m))
		set = append(set, m...)
	}
	return set
}

func TestProduceInEveryVersion(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	var want []string
	for version := int16(0); version <= 13; version++ {
		v := "v" + strconv.Itoa(int(version))
		records := batch(v)
		if version < 3 {
			records = messageSet(int8(min(version/2, 1)), v)
		}
		p := n.produceAs(version, "t", records)
		if p.ErrorCode != 0 || p.BaseOffset != int64(version) {
			t.Fatalf("version %d: error %v, offset %d", version, wire.Error(p.ErrorCode), p.BaseOffset)
		}
		want = append(want, v)
	}
	if got := n.read("t", 0); got != strings.Join(want, " ") {
		t.Errorf("read %q", got)
	}
}

func TestProduceRefusals(t *testing.T) {
	n := start(t)
	n.create("t", 1, "max.message.bytes", "2000")
	n.create("compacted", 1, "cleanup.policy", "compact")
	two := append(batch("a"), batch("b")...)
	damaged := batch("abc")
	damaged[len(damaged)-1] ^= 1
	control := build(record.BuilderOptions{Control: true}, "c")
	badCount := batch("a", "b")
	binary.BigEndian.PutUint32(badCount[57:], 7)
	fixCRC(badCount)
	transactional := build(record.BuilderOptions{Transactional: true, Producer: &record.Producer{ID: 9}}, "x")
	for _, c := range []struct {
		name    string
		version int16
		topic   string
		records []byte
		want    wire.Error
	}{
		{"two batches", 9, "t", two, wire.InvalidRecord},
		{"message set", 9, "t", messageSet(1, "a"), wire.InvalidRecord},
		{"null records", 9, "t", nil, wire.InvalidRecord},
		{"wrong checksum", 9, "t", damaged, wire.CorruptMessage},
		{"truncated batch", 9, "t", batch("abc")[:64], wire.CorruptMessage},
		{"truncated message set", 1, "t", messageSet(0, "abc")[:20], wire.CorruptMessage},
		{"control batch", 9, "t", control, wire.InvalidRecord},
		{"count that is wrong", 9, "t", badCount, wire.InvalidRecord},
		{"zstd in version 6", 6, "t", build(record.BuilderOptions{Codec: record.Zstd}, "a"), wire.UnsupportedCompressionType},
		{"too large", 9, "t", batch(strings.Repeat("x", 3000)), wire.MessageTooLarge},
		{"no such topic", 9, "nowhere", batch("a"), wire.UnknownTopicOrPartition},
		{"no such topic id", 13, "nowhere", batch("a"), wire.UnknownTopicID},
		{"transactional batch", 9, "t", transactional, wire.TransactionalIDAuthorizationFailed},
		{"no key on a compacted topic", 9, "compacted", keyless("a"), wire.InvalidRecord},
	} {
		p := n.produceAs(c.version, c.topic, c.records)
		wantCode(t, c.name, p.ErrorCode, c.want)
		if p.BaseOffset != -1 {
			t.Errorf("%s: offset %d", c.name, p.BaseOffset)
		}
	}
	if end := n.partition("t", 0).EndOffset() + n.partition("compacted", 0).EndOffset(); end != 0 {
		t.Errorf("%d records were appended all the same", end)
	}
	if p := n.produceAs(7, "t", build(record.BuilderOptions{Codec: record.Zstd}, "a")); p.ErrorCode != 0 {
		t.Errorf("zstd in version 7: %v", wire.Error(p.ErrorCode))
	}
}

// A batch that would inflate beyond all measure is refused where it has to be inflated, and left alone where not.
func TestProduceDecompressionBomb(t *testing.T) {
	n := start(t)
	n.create("opened", 1, "cleanup.policy", "compact")
	n.create("closed", 1)
	for _, codec := range []record.Codec{record.Gzip, record.LZ4, record.Zstd} {
		bomb := build(record.BuilderOptions{Codec: codec}, strings.Repeat("x", 20<<20))
		if len(bomb) > 1<<20 {
			t.Fatalf("%v: %d bytes are no bomb", codec, len(bomb))
		}
		wantCode(t, "has to be opened: "+codec.String(), n.produceAs(9, "opened", bomb).ErrorCode, wire.InvalidRecord)
		wantCode(t, "stays closed: "+codec.String(), n.produceAs(9, "closed", build(record.BuilderOptions{Codec: codec}, strings.Repeat("x", 20<<20))).ErrorCode, wire.None)
	}
}

func keyless(values ...string) []byte {
	b := record.NewBuilder(record.BuilderOptions{})
	for _, v := range values {
		b.Append(record.Record{Timestamp: time.Now().UnixMilli(), Value: []byte(v)})
	}
	return bytes.Clone(b.Bytes())
}

func fixCRC(b []byte) {
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
}

func TestProduceNamesTheRecordAtFault(t *testing.T) {
	n := start(t)
	n.create("t", 1, "cleanup.policy", "compact")
	b := record.NewBuilder(record.BuilderOptions{})
	now := time.Now().UnixMilli()
	b.Append(record.Record{Timestamp: now, Key: []byte("k"), Value: []byte("a")})
	b.Append(record.Record{Timestamp: now, Value: []byte("b")})
	p := n.produceAs(8, "t", bytes.Clone(b.Bytes()))
	wantCode(t, "record without key", p.ErrorCode, wire.InvalidRecord)
	if len(p.ErrorRecords) != 1 || p.ErrorRecords[0].RelativeOffset != 1 || p.ErrorMessage == nil {
		t.Errorf("errors %+v, message %v; want record 1", p.ErrorRecords, p.ErrorMessage)
	}
}

func TestProduceAcks(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	for acks, want := range map[int16]wire.Error{-1: 0, 1: 0, 2: wire.InvalidRequiredAcks, -2: wire.InvalidRequiredAcks} {
		req := n.produceRequest(9, "t", 0, batch("a"))
		req.Acks = acks
		wantCode(t, "acks "+strconv.Itoa(int(acks)), call[*kmsg.ProduceResponse](n, req).Topics[0].Partitions[0].ErrorCode, want)
	}
	req := n.produceRequest(9, "t", 0, batch("silent"))
	req.Acks = 0
	if b := n.start(req)(); b != nil {
		t.Errorf("acks=0 was answered: %q", b)
	}
	eventually(t, "the records of acks=0 are read", func() bool { return strings.HasSuffix(n.read("t", 0), "silent") })
	// A client without replies learns of failures only by losing its connection.
	req = n.produceRequest(9, "nowhere", 0, batch("lost"))
	req.Acks = 0
	if b := n.start(req)(); string(b) != ErrDisconnect.Error() {
		t.Errorf("a failure under acks=0: %q", b)
	}
}

// laggard has an image of before until somebody asks the controller or, while there is none, waits for a newer one.
type laggard struct {
	Metadata
	before     *cluster.Image
	controller error
}

func (l *laggard) Image() *cluster.Image {
	if l.before != nil {
		return l.before
	}
	return l.Metadata.Image()
}

func (l *laggard) AwaitImage(ctx context.Context, offset int64) error {
	l.before = nil
	return l.Metadata.AwaitImage(ctx, offset)
}

func (l *laggard) Do(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	if l.controller != nil {
		return nil, l.controller
	}
	l.before = nil
	return l.Metadata.Do(ctx, req)
}

// A client that has heard of a topic from a broker which is ahead is not told that there is none: the oldest fail for good, and those
// without replies would not learn that their records are gone.
func TestProduceWaitsForANewTopic(t *testing.T) {
	for _, controller := range []error{nil, quorum.ErrNotController} {
		n := start(t)
		before := n.quorum.Image()
		n.create("t", 1)
		lag := func() { n.broker.cfg.Metadata = &laggard{Metadata: n.quorum, before: before, controller: controller} }
		lag()
		req := n.produceRequest(9, "t", 0, batch("early"))
		req.Acks = 0
		if b := n.start(req)(); b != nil {
			t.Errorf("acks=0 was answered: %q", b)
		}
		eventually(t, "the records are read", func() bool { return n.read("t", 0) == "early" })
		lag()
		wantCode(t, "acks=1", n.produceAs(2, "t", messageSet(1, "old")).ErrorCode, wire.None)
		n.broker.cfg.Metadata = n.quorum
		wantCode(t, "a topic that is not there", n.produceAs(9, "nowhere", batch("lost")).ErrorCode, wire.UnknownTopicOrPartition)
	}
}

func TestProduceRefusesTransactionsForGood(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	req := n.produceRequest(9, "t", 0, batch("a"))
	req.TransactionID = kmsg.StringPtr("tx")
	code := wire.Error(call[*kmsg.ProduceResponse](n, req).Topics[0].Partitions[0].ErrorCode)
	if code != wire.TransactionalIDAuthorizationFailed || code.Retriable() {
		t.Errorf("code %v", code)
	}
}

func TestProduceToInternalTopics(t *testing.T) {
	n := start(t)
	n.groupCoordinator("g")
	wantCode(t, "a client", n.produceAs(9, offsetsTopic, batch("a")).ErrorCode, wire.InvalidTopicException)
	n.client = adminClientID
	wantCode(t, "Kafka's own tools", n.produceAs(9, offsetsTopic, batch("a")).ErrorCode, wire.None)
}

func TestProduceLogAppendTime(t *testing.T) {
	n := start(t)
	n.create("t", 1, "message.timestamp.type", "LogAppendTime")
	before := time.Now().UnixMilli()
	p := n.produceAs(9, "t", buildAt(record.BuilderOptions{}, 5, "a", "b"))
	if p.ErrorCode != 0 || p.LogAppendTime < before {
		t.Fatalf("error %v, append time %d", wire.Error(p.ErrorCode), p.LogAppendTime)
	}
	for _, r := range records(t, n.fetch(n.fetchRequest(12, "t", 0, 0)).Topics[0].Partitions[0].RecordBatches) {
		if r.Timestamp != p.LogAppendTime {
			t.Errorf("record %d has %d", r.Offset, r.Timestamp)
		}
	}
	n.create("create", 1)
	if p := n.produceAs(9, "create", batch("a")); p.LogAppendTime != -1 {
		t.Errorf("append time %d with CreateTime", p.LogAppendTime)
	}
}

func TestProduceTimestampBounds(t *testing.T) {
	n := start(t)
	n.create("t", 1, "message.timestamp.before.max.ms", "60000", "message.timestamp.after.max.ms", "1000")
	now := time.Now()
	for _, c := range []struct {
		name   string
		at     time.Time
		o      record.BuilderOptions
		want   wire.Error
		faulty int
	}{
		{"now", now, record.BuilderOptions{}, wire.None, 0},
		{"too old", now.Add(-time.Hour), record.BuilderOptions{}, wire.InvalidTimestamp, 2},
		{"too young", now.Add(time.Hour), record.BuilderOptions{}, wire.InvalidTimestamp, 2},
		{"too old, compressed", now.Add(-time.Hour), record.BuilderOptions{Codec: record.LZ4}, wire.InvalidTimestamp, 2},
	} {
		p := n.produceAs(9, "t", buildAt(c.o, c.at.UnixMilli(), "a", "b"))
		wantCode(t, c.name, p.ErrorCode, c.want)
		if len(p.ErrorRecords) != c.faulty {
			t.Errorf("%s: %d records at fault, want %d", c.name, len(p.ErrorRecords), c.faulty)
		}
	}
	n.create("default", 1)
	wantCode(t, "two hours ahead", n.produceAs(9, "default", buildAt(record.BuilderOptions{Codec: record.Gzip}, now.Add(2*time.Hour).UnixMilli(), "a")).ErrorCode, wire.InvalidTimestamp)
	wantCode(t, "ten years ago", n.produceAs(9, "default", buildAt(record.BuilderOptions{}, now.AddDate(-10, 0, 0).UnixMilli(), "a")).ErrorCode, wire.None)
}

func TestProduceStoresWithTheTopicsCodec(t *testing.T) {
	n := start(t)
	for codec, name := range map[record.Codec]string{record.None: "uncompressed", record.Gzip: "gzip", record.Snappy: "snappy", record.LZ4: "lz4", record.Zstd: "zstd"} {
		n.create(name, 1, "compression.type", name)
		p := n.produceAs(9, name, build(record.BuilderOptions{Codec: record.Gzip, Producer: &record.Producer{ID: 4, Epoch: 1}}, "a", "b"))
		if p.ErrorCode != 0 {
			t.Fatalf("%s: %v", name, wire.Error(p.ErrorCode))
		}
		stored := n.fetch(n.fetchRequest(12, name, 0, 0)).Topics[0].Partitions[0].RecordBatches
		h, err := record.ReadHeader(stored)
		must(t, h, err)
		if h.Attributes.Codec() != codec || h.ProducerID != 4 || h.BaseSequence != 0 || values(t, stored) != "a b" {
			t.Errorf("%s: stored as %v of producer %d: %q", name, h.Attributes.Codec(), h.ProducerID, values(t, stored))
		}
	}
	n.create("producer", 1)
	n.produceAs(9, "producer", build(record.BuilderOptions{Codec: record.Snappy}, "a"))
	h, _ := record.ReadHeader(n.fetch(n.fetchRequest(12, "producer", 0, 0)).Topics[0].Partitions[0].RecordBatches)
	if h.Attributes.Codec() != record.Snappy {
		t.Errorf("the producer's codec became %v", h.Attributes.Codec())
	}
}

func idempotent(id int64, epoch int16, sequence int32, values ...string) []byte {
	return build(record.BuilderOptions{Producer: &record.Producer{ID: id, Epoch: epoch, Sequence: sequence}}, values...)
}

// RP#3039, RP#3826, RP#22670, RP#22687: the rules of idempotent producers.
func TestIdempotentProducer(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	pid := n.initProducerID()
	for i := range int32(6) {
		if p := n.produceAs(9, "t", idempotent(pid, 0, 2*i, "a", "b")); p.ErrorCode != 0 || p.BaseOffset != int64(2*i) {
			t.Fatalf("batch %d: %v at %d", i, wire.Error(p.ErrorCode), p.BaseOffset)
		}
	}
	check := func(name string, b []byte, want wire.Error, offset int64) {
		t.Helper()
		p := n.produceAs(9, "t", b)
		wantCode(t, name, p.ErrorCode, want)
		if p.BaseOffset != offset {
			t.Errorf("%s: offset %d, want %d", name, p.BaseOffset, offset)
		}
	}
	check("retry of the last batch", idempotent(pid, 0, 10, "a", "b"), wire.None, 10)
	check("retry of the fifth last batch", idempotent(pid, 0, 2, "a", "b"), wire.None, 2)
	check("retry of a forgotten batch", idempotent(pid, 0, 0, "a", "b"), wire.DuplicateSequenceNumber, -1)
	check("half of it and of the next one", idempotent(pid, 0, 1, "b", "a"), wire.OutOfOrderSequenceNumber, -1)
	check("before the first", idempotent(pid, 0, math.MaxInt32, "z", "a"), wire.OutOfOrderSequenceNumber, -1)
	check("gap", idempotent(pid, 0, 20, "a"), wire.OutOfOrderSequenceNumber, -1)
	check("the client's own next epoch", idempotent(pid, 1, 0, "a"), wire.None, 12)
	check("its old epoch", idempotent(pid, 0, 12, "a"), wire.InvalidProducerEpoch, -1)
	check("a sequence above 0 in a new epoch", idempotent(pid, 2, 5, "a"), wire.OutOfOrderSequenceNumber, -1)
	if end := n.partition("t", 0).EndOffset(); end != 13 {
		t.Errorf("the log ends at %d, want 13", end)
	}
}

// RP#4854: after 2^31-1 comes 0.
func TestIdempotentSequenceWraps(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	for i, b := range [][]byte{
		idempotent(7, 0, math.MaxInt32-2, "a", "b"),
		idempotent(7, 0, math.MaxInt32, "c", "d"),
		idempotent(7, 0, 1, "e"),
	} {
		if p := n.produceAs(9, "t", b); p.ErrorCode != 0 || p.BaseOffset != int64(2*i) {
			t.Fatalf("batch %d: %v at %d", i, wire.Error(p.ErrorCode), p.BaseOffset)
		}
	}
}

// RP#22670: a producer that was idle for longer than it is remembered goes on where it stopped.
func TestIdempotentProducerIdlePastExpiry(t *testing.T) {
	n := start(t, "producer.id.expiration.ms", "60000")
	n.create("t", 1)
	n.produceAs(9, "t", idempotent(7, 0, 0, "a", "b"))
	n.clock.advance(time.Hour)
	if p := n.produceAs(9, "t", idempotent(7, 0, 2, "c")); p.ErrorCode != 0 || p.BaseOffset != 2 {
		t.Errorf("%v at %d", wire.Error(p.ErrorCode), p.BaseOffset)
	}
}

// Of a producer that is heard of in its middle, what comes before is not known to be written.
func TestOldRetryOfAnUnknownBeginning(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	for i := range int32(7) {
		if p := n.produceAs(9, "t", idempotent(7, 0, 3+i, "c")); p.ErrorCode != 0 {
			t.Fatalf("%d: %v", i, wire.Error(p.ErrorCode))
		}
	}
	for sequence, want := range map[int32]wire.Error{
		0: wire.OutOfOrderSequenceNumber, 2: wire.OutOfOrderSequenceNumber,
		3: wire.DuplicateSequenceNumber, 4: wire.DuplicateSequenceNumber, 5: wire.None, 11: wire.OutOfOrderSequenceNumber,
	} {
		wantCode(t, "sequence "+strconv.Itoa(int(sequence)), n.produceAs(9, "t", idempotent(7, 0, sequence, "c")).ErrorCode, want)
	}
	if end := n.partition("t", 0).EndOffset(); end != 7 {
		t.Errorf("the log ends at %d, want 7", end)
	}
}

func TestIdempotenceSurvivesARestartAndAPowerCut(t *testing.T) {
	mem := vfs.NewMem()
	n := startOn(t, mem)
	n.create("t", 1)
	n.produceAs(9, "t", idempotent(7, 0, 0, "a", "b"))
	n.restart()
	if p := n.produceAs(9, "t", idempotent(7, 0, 0, "a", "b")); p.ErrorCode != 0 || p.BaseOffset != 0 {
		t.Errorf("retry after a restart: %v at %d", wire.Error(p.ErrorCode), p.BaseOffset)
	}
	if p := n.produceAs(9, "t", idempotent(7, 0, 2, "c")); p.ErrorCode != 0 || p.BaseOffset != 2 {
		t.Errorf("next after a restart: %v at %d", wire.Error(p.ErrorCode), p.BaseOffset)
	}
	n.crash(mem, 5)
	if p := n.produceAs(9, "t", idempotent(7, 0, 2, "c")); p.ErrorCode != 0 || p.BaseOffset != 2 {
		t.Errorf("retry after a power cut: %v at %d", wire.Error(p.ErrorCode), p.BaseOffset)
	}
	if got := n.read("t", 0); got != "a b c" {
		t.Errorf("read %q", got)
	}
}

func syncOfLog(topic string) func(vfs.Op, string) bool {
	return func(op vfs.Op, name string) bool {
		return op == vfs.OpSync && strings.Contains(name, topic+"-0/") && strings.HasSuffix(name, ".log")
	}
}

// A retry is answered only when the original is on disk, and pipelined requests share a flush.
func TestRetryWaitsForTheOriginalsFlush(t *testing.T) {
	faults := vfs.Inject(vfs.NewMem())
	n := startOn(t, faults)
	n.create("t", 1)
	gate := make(chan struct{})
	faults.Add(vfs.Rule{Match: syncOfLog("t"), Fault: vfs.Fault{Before: func() { <-gate }}})
	req := n.produceRequest(9, "t", 0, idempotent(7, 0, 0, "a"))
	first, retry := n.start(req), n.start(n.produceRequest(9, "t", 0, idempotent(7, 0, 0, "a")))
	replies := make(chan []byte, 2)
	go func() { replies <- first(); replies <- retry() }()
	if got := n.read("t", 0); got != "" {
		t.Errorf("read %q before the flush", got)
	}
	select {
	case <-replies:
		t.Error("acknowledged before the flush")
	default:
	}
	close(gate)
	for range 2 {
		if p := decode[*kmsg.ProduceResponse](n, req, <-replies).Topics[0].Partitions[0]; p.ErrorCode != 0 || p.BaseOffset != 0 {
			t.Errorf("error %v, offset %d", wire.Error(p.ErrorCode), p.BaseOffset)
		}
	}
}

func TestProduceWhenTheDiskFails(t *testing.T) {
	faults := vfs.Inject(vfs.NewMem())
	n := startOn(t, faults)
	n.create("t", 1)
	n.create("full", 1)
	n.produce("t", "a")
	n.produce("full", "a")
	isWrite := func(op vfs.Op, name string) bool { return op == vfs.OpWrite && strings.Contains(name, "full-0/") }
	faults.Add(vfs.Rule{Match: isWrite, Fault: vfs.Fault{Err: syscall.ENOSPC}})
	wantCode(t, "full disk", n.produceAs(9, "full", batch("b")).ErrorCode, wire.KafkaStorageError)
	wantCode(t, "full disk, old client", n.produceAs(2, "full", messageSet(1, "b")).ErrorCode, wire.NotLeaderOrFollower)
	if got := n.read("full", 0); got != "a" {
		t.Errorf("read %q from the full disk", got)
	}
	faults.Clear()
	wantCode(t, "after space was made", n.produceAs(9, "full", batch("c")).ErrorCode, wire.None)

	faults.Add(vfs.Rule{Match: syncOfLog("t"), Times: 1, Fault: vfs.Fault{Err: errors.New("EIO"), LoseDirty: true}})
	wantCode(t, "failed fsync", n.produceAs(9, "t", batch("b")).ErrorCode, wire.KafkaStorageError)
	wantCode(t, "after it", n.produceAs(9, "t", batch("b")).ErrorCode, wire.KafkaStorageError)
	if got := n.read("full", 0); got != "a c" {
		t.Errorf("the other topic reads %q", got)
	}
}

func TestProduceNotLeaderNamesTheLeader(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	p := n.partition("t", 0)
	n.set.Apply(n.quorum.Image(), deltaWithout(n, "t")) // as if the partition had moved away
	req := n.produceRequest(10, "t", 0, batch("a"))
	resp := call[*kmsg.ProduceResponse](n, req)
	got := resp.Topics[0].Partitions[0]
	wantCode(t, "moved partition", got.ErrorCode, wire.NotLeaderOrFollower)
	if got.CurrentLeader.LeaderID != 1 || got.CurrentLeader.LeaderEpoch != p.LeaderEpoch() {
		t.Errorf("current leader %+v", got.CurrentLeader)
	}
	if len(resp.Brokers) != 1 || resp.Brokers[0].Host != "localhost" || resp.Brokers[0].Port != 9092 {
		t.Errorf("endpoints %+v", resp.Brokers)
	}
}

func TestEmptyMessageSetIsAccepted(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	wantCode(t, "empty set", n.produceAs(1, "t", []byte{}).ErrorCode, wire.None)
}
