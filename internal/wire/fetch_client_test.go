package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

func TestFetchRequestEncodesAsKmsgReads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r FetchRequest
		if err := r.Decode(FetchVersion, randomFetch(t, FetchVersion).AppendTo(nil)); err != nil {
			t.Fatal(err)
		}
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				thinRequestTags(&r.Topics[i].Partitions[j])
			}
		}
		body := r.AppendTo([]byte("kept"))[len("kept"):]
		k := kmsg.NewFetchRequest()
		k.Version = FetchVersion
		if err := k.ReadFrom(body); err != nil {
			t.Fatal(err)
		}
		withoutFlushed := r
		withoutFlushed.Topics = nil
		for i, topic := range r.Topics {
			topic.Partitions = slices.Clone(topic.Partitions)
			for j := range topic.Partitions {
				p := &topic.Partitions[j]
				if got := flushedOffset(t, &k.Topics[i].Partitions[j]); got != p.FlushedOffset {
					t.Fatalf("flushed offset %d, want %d", got, p.FlushedOffset)
				}
				if got := copyOf(t, &k.Topics[i].Partitions[j]); got != p.Copy {
					t.Fatalf("copy %d, want %d", got, p.Copy)
				}
				p.FlushedOffset, p.Copy = -1, 0
			}
			withoutFlushed.Topics = append(withoutFlushed.Topics, topic)
		}
		if diff := fetchDiff(&withoutFlushed, &k); diff != "" {
			t.Fatal(diff)
		}
		var again FetchRequest
		if err := again.Decode(FetchVersion, body); err != nil {
			t.Fatal(err)
		}
		if diff := diff(&again, &r); diff != "" {
			t.Fatal(diff)
		}
	})
}

// thinRequestTags takes tagged fields away so that each combination of them comes up, and sets what kmsg does not know.
func thinRequestTags(p *FetchPartition) {
	if p.Partition&1 == 0 {
		p.ReplicaDirectoryID = [16]byte{}
	}
	if p.Partition&2 == 0 {
		p.HighWatermark = math.MaxInt64
	}
	if p.Partition&4 == 0 {
		p.FlushedOffset = p.FetchOffset
	}
	if p.Partition&8 == 0 {
		p.Copy = p.CurrentLeaderEpoch
	}
}

// copyOf is flushedOffset for the number of the copy.
func copyOf(t *rapid.T, p *kmsg.FetchRequestTopicPartition) int32 {
	number := int32(0)
	p.UnknownTags.Each(func(tag uint32, value []byte) {
		if tag == copyTag {
			if len(value) != 4 {
				t.Fatalf("tag %d has %d bytes", tag, len(value))
			}
			number = int32(binary.BigEndian.Uint32(value))
		}
	})
	return number
}

// flushedOffset is what a program that does not know the field finds among the unknown ones.
func flushedOffset(t *rapid.T, p *kmsg.FetchRequestTopicPartition) int64 {
	offset := int64(-1)
	p.UnknownTags.Each(func(tag uint32, value []byte) {
		if tag == flushedOffsetTag {
			if len(value) != 8 {
				t.Fatalf("tag %d has %d bytes", tag, len(value))
			}
			offset = int64(binary.BigEndian.Uint64(value))
		}
	})
	return offset
}

// A reply that says what was forgotten is read by our codec, and passed over by one that does not know it.
func TestFetchReplyForgets(t *testing.T) {
	reply := NewFetchPartitionReply(3)
	reply.Forgotten = Forgotten{Copy: 2, PartitionEpoch: 7}
	sent := FetchResponse{Version: FetchVersion, Topics: []FetchTopicReply{{TopicID: [16]byte{1}, Partitions: []FetchPartitionReply{reply}}}}
	body, err := sent.AppendTo(nil)
	if err != nil || len(body) != sent.EncodedSize() {
		t.Fatalf("%d bytes, want %d; %v", len(body), sent.EncodedSize(), err)
	}
	var got FetchResponse
	if err := got.Decode(body); err != nil || got.Topics[0].Partitions[0].Forgotten != reply.Forgotten {
		t.Fatalf("%+v, %v", got, err)
	}
	k := kmsg.NewFetchResponse()
	k.Version = FetchVersion
	if err := k.ReadFrom(body); err != nil || k.Topics[0].Partitions[0].Partition != 3 {
		t.Fatalf("%+v, %v", k, err)
	}
}

func randomFetchResponse(t *rapid.T) *kmsg.FetchResponse {
	k := kmsg.NewFetchResponse()
	k.Version = FetchVersion
	fill(t, reflect.ValueOf(&k).Elem(), true)
	for i := range k.Topics {
		for j := range k.Topics[i].Partitions {
			thinTags(&k.Topics[i].Partitions[j])
		}
	}
	return &k
}

func TestFetchResponseDecodesAsKmsg(t *testing.T) {
	var reused FetchResponse
	rapid.Check(t, func(t *rapid.T) {
		k := randomFetchResponse(t)
		body := k.AppendTo(nil)
		want := kmsg.NewFetchResponse()
		want.Version = FetchVersion
		if err := want.ReadFrom(bytes.Clone(body)); err != nil {
			t.Fatal(err)
		}
		if err := reused.Decode(body); err != nil {
			t.Fatal(err)
		}
		defer reused.Release()
		if diff := replyDiff(&reused, &want); diff != "" {
			t.Fatal(diff)
		}
	})
}

// replyDiff compares what both codecs made of the same bytes.
func replyDiff(got *FetchResponse, k *kmsg.FetchResponse) string {
	want := fetchResponseOf(k)
	for _, r := range []*FetchResponse{got, want} {
		for i := range r.Topics {
			r.Topics[i].Topic = "" // not part of this version
			for j := range r.Topics[i].Partitions {
				if p := &r.Topics[i].Partitions[j]; p.Records == nil {
					p.Records = RecordBytes{}
				}
			}
		}
	}
	return diff(got, want)
}

func TestFetchResponseAliasesItsBody(t *testing.T) {
	p := NewFetchPartitionReply(7)
	p.Records = RecordBytes("some records")
	sent := &FetchResponse{Version: FetchVersion, Topics: []FetchTopicReply{{TopicID: [16]byte{1}, Partitions: []FetchPartitionReply{p}}}}
	body, err := sent.AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	var r FetchResponse
	if err := r.Decode(body); err != nil {
		t.Fatal(err)
	}
	data := r.Topics[0].Partitions[0].RecordData()
	if string(data) != "some records" {
		t.Fatalf("%q", data)
	}
	body[bytes.Index(body, []byte("some"))] = 'S'
	if string(data) != "Some records" {
		t.Error("the record data is a copy")
	}
	r.Release()
	if r.Topics[:1][0].Partitions[:1][0].Records != nil {
		t.Error("a released response keeps its record data")
	}
}

func TestFetchResponseOfHugeCounts(t *testing.T) {
	head := make([]byte, 4+2+4)
	empty := bytes.Repeat([]byte{0}, 1<<20)
	for name, body := range map[string][]byte{
		"topics":            append(appendUvarint(bytes.Clone(head), 1<<31), empty...),
		"topics that fit":   append(appendUvarint(bytes.Clone(head), 1<<20), empty...),
		"nothing":           nil,
		"one byte too few":  head,
		"endpoints":         append(append(bytes.Clone(head), 1, 1, 0), append(appendUvarint(nil, 1<<20), append(appendUvarint(nil, 1<<20-8), empty...)...)...),
		"aborted":           append(append(append(bytes.Clone(head), 2), make([]byte, 16)...), append([]byte{2}, append(make([]byte, 4+2+8+8+8), append(appendUvarint(nil, 1<<20), empty...)...)...)...),
		"too many tags":     append(append(bytes.Clone(head), 1), appendUvarint(nil, math.MaxUint32)...),
		"a negative length": append(bytes.Clone(head), 0),
	} {
		var r FetchResponse
		if err := r.Decode(body); !errors.Is(err, ErrMalformed) || len(r.Topics) > 0 {
			t.Errorf("%s: %v with %d topics", name, err, len(r.Topics))
		}
	}
}

func TestFetchClientDoesNotAllocate(t *testing.T) {
	r := FetchRequest{ReplicaID: 1, ReplicaEpoch: 2, Topics: []FetchTopic{{TopicID: [16]byte{1}, Partitions: make([]FetchPartition, 12)}}}
	reply := FetchResponse{Version: FetchVersion, Topics: []FetchTopicReply{{TopicID: [16]byte{1}}}}
	for i := range int32(12) {
		r.Topics[0].Partitions[i] = NewFetchPartition(i, 100)
		reply.Topics[0].Partitions = append(reply.Topics[0].Partitions, NewFetchPartitionReply(i))
	}
	body, err := reply.AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	out := r.AppendTo(nil)
	var decoded FetchResponse
	if n := testing.AllocsPerRun(100, func() {
		out = r.AppendTo(out[:0])
		if err := decoded.Decode(body); err != nil {
			t.Fatal(err)
		}
		decoded.Release()
	}); n != 0 {
		t.Errorf("%v allocations a round, want none", n)
	}
}

func FuzzFetchResponse(f *testing.F) {
	f.Add([]byte(nil))
	k := kmsg.NewFetchResponse()
	k.Version = FetchVersion
	k.Topics = []kmsg.FetchResponseTopic{{Partitions: make([]kmsg.FetchResponseTopicPartition, 2)}}
	k.Topics[0].Partitions[0].RecordBatches = []byte("records")
	k.Topics[0].Partitions[1].AbortedTransactions = make([]kmsg.FetchResponseTopicPartitionAbortedTransaction, 2)
	k.Brokers = []kmsg.FetchResponseBroker{{Host: "h", Rack: kmsg.StringPtr("r")}}
	f.Add(k.AppendTo(nil))
	f.Fuzz(func(t *testing.T, body []byte) {
		var r FetchResponse
		if err := r.Decode(bytes.Clone(body)); err != nil {
			if !errors.Is(err, ErrMalformed) || len(r.Topics) > 0 {
				t.Fatal(err)
			}
			return
		}
		k := kmsg.NewFetchResponse()
		k.Version = FetchVersion
		if err := k.ReadFrom(body); err == nil && len(r.NodeEndpoints) == len(k.Brokers) {
			for i := range r.Topics {
				for j := range r.Topics[i].Partitions {
					r.Topics[i].Partitions[j].Forgotten = Forgotten{} // which kmsg does not know
				}
			}
			if diff := replyDiff(&r, &k); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}
