package broker

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/vfs"
	"github.com/logbahn/logbahn/internal/wire"
)

// messages returns the values and the offsets of an uncompressed message set.
func messages(t *testing.T, set []byte, magic byte) (list []string, offsets []int64) {
	t.Helper()
	for len(set) > 0 {
		size := int(binary.BigEndian.Uint32(set[8:]))
		m := set[16 : 12+size]
		if m[0] != magic {
			t.Fatalf("message of magic %d, want %d", m[0], magic)
		}
		offsets = append(offsets, int64(binary.BigEndian.Uint64(set)))
		m = m[2+8*int(magic):]
		if n := int32(binary.BigEndian.Uint32(m)); n >= 0 {
			m = m[n:]
		}
		list = append(list, string(m[8:]))
		set = set[12+size:]
	}
	return list, offsets
}

func TestFetchInEveryVersion(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	n.produce("t", "a", "b")
	n.produce("t", "c")
	for version := int16(0); version <= 18; version++ {
		resp := n.fetch(n.fetchRequest(version, "t", 0, 1))
		p := resp.Topics[0].Partitions[0]
		if resp.ErrorCode != 0 || p.ErrorCode != 0 || p.HighWatermark != 3 {
			t.Fatalf("version %d: %+v", version, p)
		}
		if version >= 4 {
			if got := values(t, p.RecordBatches); got != "a b c" { // whole batches
				t.Errorf("version %d: read %q", version, got)
			}
			continue
		}
		list, offsets := messages(t, p.RecordBatches, byte(min(version/2, 1)))
		if strings.Join(list, " ") != "b c" || offsets[0] != 1 {
			t.Errorf("version %d: read %q from %v", version, list, offsets)
		}
	}
}

func TestFetchMarks(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	n.produce("t", "a", "b", "c")
	n.deleteRecords("t", 1)
	for isolation, aborted := range map[int8]bool{0: false, 1: true} {
		req := n.fetchRequest(12, "t", 0, 1)
		req.IsolationLevel = isolation
		p := n.fetch(req).Topics[0].Partitions[0]
		if p.HighWatermark != 3 || p.LastStableOffset != 3 || p.LogStartOffset != 1 || (p.AbortedTransactions != nil) != aborted {
			t.Errorf("isolation %d: %+v", isolation, p)
		}
	}
}

func (n *node) deleteRecords(topic string, offset int64) kmsg.DeleteRecordsResponseTopicPartition {
	n.t.Helper()
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.Version, req.TimeoutMillis = 2, 1000
	req.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: topic, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Offset: offset}}}}
	return call[*kmsg.DeleteRecordsResponse](n, req).Topics[0].Partitions[0]
}

func TestFetchErrors(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	n.produce("t", "a", "b")
	n.deleteRecords("t", 1)
	for _, c := range []struct {
		name    string
		version int16
		change  func(*kmsg.FetchRequest, *kmsg.FetchRequestTopicPartition)
		want    wire.Error
	}{
		{"below the start", 12, func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.FetchOffset = 0 }, wire.OffsetOutOfRange},
		{"beyond the end", 12, func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.FetchOffset = 3 }, wire.OffsetOutOfRange},
		{"negative offset", 12, func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.FetchOffset = -1 }, wire.OffsetOutOfRange},
		{"at the end", 12, func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.FetchOffset = 2 }, wire.None},
		{"no such topic", 12, func(r *kmsg.FetchRequest, _ *kmsg.FetchRequestTopicPartition) { r.Topics[0].Topic = "nowhere" }, wire.UnknownTopicOrPartition},
		{"no such partition", 12, func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.Partition = 1 }, wire.UnknownTopicOrPartition},
		{"negative partition", 12, func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.Partition = -1 }, wire.UnknownTopicOrPartition},
		{"no such topic id", 13, func(r *kmsg.FetchRequest, _ *kmsg.FetchRequestTopicPartition) { r.Topics[0].TopicID = [16]byte{9} }, wire.UnknownTopicID},
		{"zero topic id", 13, func(r *kmsg.FetchRequest, _ *kmsg.FetchRequestTopicPartition) { r.Topics[0].TopicID = [16]byte{} }, wire.UnknownTopicID},
		{"newer epoch", 12, func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.CurrentLeaderEpoch = 99 }, wire.UnknownLeaderEpoch},
		// CVE-2018-1288: a client that says it is a follower gets nothing that a consumer would not.
		{"forged replica", 12, func(r *kmsg.FetchRequest, _ *kmsg.FetchRequestTopicPartition) { r.ReplicaID = 2 }, wire.NotLeaderOrFollower},
		{"the replica itself", 12, func(r *kmsg.FetchRequest, _ *kmsg.FetchRequestTopicPartition) { r.ReplicaID = 1 }, wire.NotLeaderOrFollower},
	} {
		req := n.fetchRequest(c.version, "t", 0, 1)
		c.change(req, &req.Topics[0].Partitions[0])
		p := n.fetch(req).Topics[0].Partitions[0]
		wantCode(t, c.name, p.ErrorCode, c.want)
		if len(p.RecordBatches) > 0 {
			t.Errorf("%s: %d bytes of records", c.name, len(p.RecordBatches))
		}
	}
	n.restart() // which raises the epoch
	req := n.fetchRequest(12, "t", 0, 1)
	req.Topics[0].Partitions[0].CurrentLeaderEpoch = 0
	p := n.fetch(req).Topics[0].Partitions[0]
	wantCode(t, "older epoch", p.ErrorCode, wire.FencedLeaderEpoch)
	if p.CurrentLeader.LeaderID != 1 || p.CurrentLeader.LeaderEpoch == 0 {
		t.Errorf("current leader %+v", p.CurrentLeader)
	}
}

// RP#17674: KIP-320 and KIP-595, through the wire.
func TestFetchFindsTruncation(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	n.produce("t", "a")
	first := n.partition("t", 0).LeaderEpoch()
	n.restart()
	n.produce("t", "b")
	req := n.fetchRequest(12, "t", 0, 2)
	req.Topics[0].Partitions[0].LastFetchedEpoch = first
	p := n.fetch(req).Topics[0].Partitions[0]
	if p.ErrorCode != 0 || p.DivergingEpoch.Epoch != first || p.DivergingEpoch.EndOffset != 1 {
		t.Errorf("diverging epoch %+v, error %v", p.DivergingEpoch, wire.Error(p.ErrorCode))
	}
}

// A client of v0 to v2 that gets an empty set asks again for ever; later ones may.
func TestFirstRecordsAreAlwaysReturned(t *testing.T) {
	n := start(t)
	n.create("t", 2)
	long := strings.Repeat("x", 5000)
	n.produce("t", long)
	for version := int16(0); version <= 18; version++ {
		req := n.fetchRequest(version, "t", 0, 0)
		req.MaxBytes, req.Topics[0].Partitions[0].PartitionMaxBytes = 100, 100
		if p := n.fetch(req).Topics[0].Partitions[0]; len(p.RecordBatches) < 5000 {
			t.Errorf("version %d: %d bytes", version, len(p.RecordBatches))
		}
	}
	second := n.produceRequest(9, "t", 1, batch(long))
	wantCode(t, "produce", call[*kmsg.ProduceResponse](n, second).Topics[0].Partitions[0].ErrorCode, wire.None)
	for version, want := range map[int16]int{2: 2, 3: 1, 12: 1} {
		req := n.fetchRequest(version, "t", 0, 0)
		n.alsoFetch(req, "t", 1, 0)
		req.MaxBytes = 100
		for i := range req.Topics {
			req.Topics[i].Partitions[0].PartitionMaxBytes = 100
		}
		got := 0
		for _, topic := range n.fetch(req).Topics {
			for _, p := range topic.Partitions {
				got += min(len(p.RecordBatches), 1)
			}
		}
		if got != want {
			t.Errorf("version %d: records of %d partitions, want %d", version, got, want)
		}
	}
}

func TestFetchKeepsToMaxBytes(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	for i := range 50 {
		n.produce("t", strings.Repeat(strconv.Itoa(i%10), 1000))
	}
	req := n.fetchRequest(12, "t", 0, 0)
	req.MaxBytes = 5000
	if size := len(n.fetch(req).Topics[0].Partitions[0].RecordBatches); size == 0 || size > 5000 {
		t.Errorf("%d bytes under a limit of 5000", size)
	}
}

// Whatever a client asks for, a reply holds no more than fetch.max.bytes.
func TestFetchMemoryIsBounded(t *testing.T) {
	n := start(t, "fetch.max.bytes", "20000")
	n.create("t", 30)
	for i := range int32(30) {
		call[*kmsg.ProduceResponse](n, n.produceRequest(9, "t", i, batch(strings.Repeat("x", 3000))))
	}
	for _, version := range []int16{2, 12} {
		req := kmsg.NewPtrFetchRequest()
		req.Version, req.MaxBytes, req.SessionEpoch = version, math.MaxInt32, -1
		for i := range int32(30) {
			n.alsoFetch(req, "t", i, 0).PartitionMaxBytes = math.MaxInt32
		}
		if size := len(n.start(req)()); size > 20000+3200+30*100 || size < 10000 {
			t.Errorf("version %d: a reply of %d bytes", version, size)
		}
	}
}

// Clients up to v2 do not rotate their partitions: the broker does, so that the last one is read as well.
func TestOldClientsAreReadFairly(t *testing.T) {
	n := start(t, "fetch.max.bytes", "4000")
	n.create("t", 4)
	for i := range int32(4) {
		call[*kmsg.ProduceResponse](n, n.produceRequest(9, "t", i, batch(strings.Repeat("x", 3900))))
	}
	seen := make(map[int32]bool)
	for range 8 {
		req := kmsg.NewPtrFetchRequest()
		req.Version = 0
		for i := range int32(4) {
			n.alsoFetch(req, "t", i, 0)
		}
		for _, topic := range n.fetch(req).Topics {
			for _, p := range topic.Partitions {
				if len(p.RecordBatches) > 0 {
					seen[p.Partition] = true
				}
			}
		}
	}
	if len(seen) != 4 {
		t.Errorf("only %v were read", seen)
	}
}

// A broker that answered at once drew 22,110 empty fetches in two seconds out of the client of 2015.
func TestLongPoll(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	for _, version := range []int16{0, 4, 12, 13} {
		req := n.fetchRequest(version, "t", 0, n.partition("t", 0).EndOffset())
		req.MaxWaitMillis, req.MinBytes = 50, 1
		began := time.Now()
		n.fetch(req)
		if waited := time.Since(began); waited < 50*time.Millisecond {
			t.Errorf("version %d: an empty reply after %v", version, waited)
		}
		req.MaxWaitMillis = 60_000
		reply := make(chan []byte, 1)
		finish := n.start(req)
		go func() { reply <- finish() }()
		n.produce("t", "wake")
		resp := decode[*kmsg.FetchResponse](n, req, <-reply)
		if len(resp.Topics[0].Partitions[0].RecordBatches) == 0 {
			t.Errorf("version %d: woken with nothing", version)
		}
	}
}

func TestLongPollWaitsForMinBytes(t *testing.T) {
	n := start(t)
	n.create("t", 2)
	req := n.fetchRequest(12, "t", 0, 0)
	n.alsoFetch(req, "t", 1, 0)
	req.MaxWaitMillis, req.MinBytes = 60_000, 5000 // a batch has 2,070: key and value
	reply := make(chan []byte, 1)
	finish := n.start(req)
	go func() { reply <- finish() }()
	value := strings.Repeat("x", 1000)
	n.produce("t", value)
	call[*kmsg.ProduceResponse](n, n.produceRequest(9, "t", 1, batch(value)))
	select {
	case <-reply:
		t.Error("answered with 2 of 3 batches")
	default:
	}
	n.produce("t", value)
	resp := decode[*kmsg.FetchResponse](n, req, <-reply)
	if size := len(n.encode(resp)); size < 6000 {
		t.Errorf("a reply of %d bytes", size)
	}
}

func (n *node) encode(resp kmsg.Response) []byte { return resp.AppendTo(nil) }

func TestLongPollEndsAtOnceWithAnError(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	req := n.fetchRequest(12, "t", 0, 5)
	req.MaxWaitMillis, req.MinBytes = 60_000, 1
	wantCode(t, "beyond the end", n.fetch(req).Topics[0].Partitions[0].ErrorCode, wire.OffsetOutOfRange)
	req.Topics[0].Topic = "nowhere"
	wantCode(t, "no such topic", n.fetch(req).Topics[0].Partitions[0].ErrorCode, wire.UnknownTopicOrPartition)

	req = n.fetchRequest(12, "t", 0, 0)
	req.MaxWaitMillis, req.MinBytes, req.SessionEpoch = 60_000, 1, 0
	missing := req.Topics[0].Partitions[0]
	missing.Partition = 7
	req.Topics[0].Partitions = append(req.Topics[0].Partitions, missing)
	resp := n.fetch(req)
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 2 {
		t.Fatalf("%+v", resp)
	}
	wantCode(t, "no such partition beside one that has nothing", resp.Topics[0].Partitions[1].ErrorCode, wire.UnknownTopicOrPartition)
	req.SessionID, req.SessionEpoch, req.Topics, req.MaxWaitMillis = resp.SessionID, 1, nil, 1
	if resp = n.fetch(req); len(resp.Topics) != 1 { // after its patience: the session knows
		t.Fatalf("%+v", resp)
	}
}

func TestDeletedTopicEndsTheLongPoll(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	req := n.fetchRequest(12, "t", 0, 0)
	req.MaxWaitMillis, req.MinBytes = 60_000, 1
	reply := make(chan []byte, 1)
	finish := n.start(req)
	go func() { reply <- finish() }()
	n.remove("t")
	resp := decode[*kmsg.FetchResponse](n, req, <-reply)
	if resp.Topics[0].Partitions[0].ErrorCode == 0 {
		t.Error("no error")
	}
}

func TestRecreatedTopicByID(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	n.produce("t", "old")
	byOldID := n.fetchRequest(13, "t", 0, 0)
	produceOld := n.produceRequest(13, "t", 0, batch("stray"))
	n.remove("t")
	n.create("t", 1)
	wantCode(t, "fetch", n.fetch(byOldID).Topics[0].Partitions[0].ErrorCode, wire.UnknownTopicID)
	wantCode(t, "produce", call[*kmsg.ProduceResponse](n, produceOld).Topics[0].Partitions[0].ErrorCode, wire.UnknownTopicID)
	if got := n.read("t", 0); got != "" {
		t.Errorf("the new topic reads %q", got)
	}
}

// The image knows the new topic, the log is still the old one's.
func TestInconsistentTopicID(t *testing.T) {
	n := start(t)
	old := n.create("t", 1)
	n.remove("t")
	n.create("t", 1)
	n.set.Apply(n.quorum.Image(), deltaWithout(n, "t"))
	n.set.Apply(n.quorum.Image(), cluster.Delta{Created: []*cluster.Topic{old}})
	wantCode(t, "fetch", n.fetch(n.fetchRequest(13, "t", 0, 0)).Topics[0].Partitions[0].ErrorCode, wire.InconsistentTopicID)
}

// KIP-110: a topic stored in zstd says so to clients that cannot read it.
func TestZstdTopicForOldClients(t *testing.T) {
	n := start(t)
	n.create("t", 1, "compression.type", "zstd")
	n.produce("t", "a")
	for version, want := range map[int16]wire.Error{4: wire.UnsupportedCompressionType, 9: wire.UnsupportedCompressionType, 10: wire.None} {
		wantCode(t, "zstd topic", n.fetch(n.fetchRequest(version, "t", 0, 0)).Topics[0].Partitions[0].ErrorCode, want)
	}
}

// RP#3159: read_committed on an empty log whose start is not 0.
func TestReadCommittedOnAnEmptiedLog(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	n.produce("t", "a", "b")
	n.deleteRecords("t", -1)
	req := n.fetchRequest(12, "t", 0, 2)
	req.IsolationLevel = 1
	if p := n.fetch(req).Topics[0].Partitions[0]; p.ErrorCode != 0 || p.LastStableOffset != 2 || p.LogStartOffset != 2 {
		t.Errorf("%+v", p)
	}
}

func TestCorruptRecordsAreNeverServed(t *testing.T) {
	faults := vfs.Inject(vfs.NewMem())
	n := startOn(t, faults)
	n.create("t", 1)
	n.create("well", 1)
	n.produce("t", "a")
	n.produce("well", "b")
	isRead := func(op vfs.Op, name string) bool {
		return op == vfs.OpRead && strings.Contains(name, "t-0/") && strings.HasSuffix(name, ".log")
	}
	faults.Add(vfs.Rule{Match: isRead, Fault: vfs.Fault{FlipBit: 8*70 + 1}})
	req := n.fetchRequest(12, "t", 0, 0)
	n.alsoFetch(req, "well", 0, 0)
	resp := n.fetch(req)
	wantCode(t, "damaged records", resp.Topics[0].Partitions[0].ErrorCode, wire.CorruptMessage)
	if len(resp.Topics[0].Partitions[0].RecordBatches) > 0 {
		t.Error("damaged records were served")
	}
	if got := values(t, resp.Topics[1].Partitions[0].RecordBatches); got != "b" {
		t.Errorf("the other partition reads %q", got)
	}
}

func TestDownConversion(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	n.create("zstd", 1)
	n.produceAs(9, "t", build(record.BuilderOptions{Codec: record.Gzip}, "a", "b"))
	n.produceAs(9, "zstd", build(record.BuilderOptions{Codec: record.Zstd}, "a"))
	for version := int16(0); version < 4; version++ {
		p := n.fetch(n.fetchRequest(version, "t", 0, 0)).Topics[0].Partitions[0]
		if p.ErrorCode != 0 || p.RecordBatches[16] != byte(version/2) || p.RecordBatches[17]&7 != byte(record.Gzip) {
			t.Errorf("version %d: %v, % x", version, wire.Error(p.ErrorCode), p.RecordBatches[:20])
		}
		p = n.fetch(n.fetchRequest(version, "zstd", 0, 0)).Topics[0].Partitions[0]
		wantCode(t, "zstd for an old client", p.ErrorCode, wire.UnsupportedCompressionType)
	}
}

// A set that is empty though there are records ahead would be asked for again and again.
func TestDownConversionSkipsWhatOldClientsCannotSee(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	p := n.partition("t", 0)
	control := build(record.BuilderOptions{Control: true}, "marker")
	must(t, control, n.appendInternal(p, control))
	n.produce("t", "a")
	for version := int16(0); version < 4; version++ {
		req := n.fetchRequest(version, "t", 0, 0)
		req.Topics[0].Partitions[0].PartitionMaxBytes = 50
		list, offsets := messages(t, n.fetch(req).Topics[0].Partitions[0].RecordBatches, byte(version/2))
		if len(list) != 1 || list[0] != "a" || offsets[0] != 1 {
			t.Errorf("version %d: %q at %v", version, list, offsets)
		}
	}
}
