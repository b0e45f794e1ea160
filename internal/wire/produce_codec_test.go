package wire

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

func TestProduceRequestAgreesWithKmsg(t *testing.T) {
	for version := range int16(produceMaxVersion + 1) {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			var reused ProduceRequest
			rapid.Check(t, func(t *rapid.T) {
				body := randomRequest(t, KeyProduce, version).AppendTo(nil)
				if err := reused.Decode(version, body); err != nil {
					t.Fatal(err)
				}
				defer reused.Release()
				want := kmsg.NewProduceRequest()
				want.Version = version
				if err := want.ReadFrom(body); err != nil {
					t.Fatal(err)
				}
				if diff := produceDiff(&reused, &want); diff != "" {
					t.Fatal(diff)
				}
			})
		})
	}
}

// produceDiff compares what both codecs made of the same bytes.
func produceDiff(got *ProduceRequest, k *kmsg.ProduceRequest) string {
	want := ProduceRequest{Version: k.Version, TransactionalID: k.TransactionID, Acks: k.Acks, TimeoutMillis: k.TimeoutMillis}
	for _, kt := range k.Topics {
		topic := ProduceTopic{Topic: kt.Topic, TopicID: kt.TopicID}
		for _, kp := range kt.Partitions {
			topic.Partitions = append(topic.Partitions, ProducePartition{Partition: kp.Partition, Records: kp.Records})
		}
		want.Topics = append(want.Topics, topic)
	}
	return diff(got, &want)
}

// diff compares two values by their text, which takes nil and empty slices for the same but not nil and set pointers.
func diff(got, want any) string {
	g, w := dump(reflect.ValueOf(got)), dump(reflect.ValueOf(want))
	if g == w {
		return ""
	}
	return fmt.Sprintf("got  %s\nwant %s", g, w)
}

func dump(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return "nil"
		}
		return "&" + dump(v.Elem())
	case reflect.Struct:
		s := "{"
		for i := range v.NumField() {
			s += v.Type().Field(i).Name + ":" + dump(v.Field(i)) + " "
		}
		return s + "}"
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return fmt.Sprintf("%v %x", v.IsNil(), v.Bytes())
		}
		s := "["
		for i := range v.Len() {
			s += dump(v.Index(i)) + " "
		}
		return s + "]"
	}
	return fmt.Sprintf("%v", v)
}

func TestProduceResponseAgreesWithKmsg(t *testing.T) {
	for version := range int16(produceMaxVersion + 1) {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				k := kmsg.NewProduceResponse()
				k.Version = version
				fill(t, reflect.ValueOf(&k).Elem(), false)
				if version < produceEndpointsFrom {
					k.Brokers = nil
				}
				for i := range k.Topics {
					for j := range k.Topics[i].Partitions {
						if p := &k.Topics[i].Partitions[j]; version < produceEndpointsFrom || p.Partition%2 == 0 {
							p.CurrentLeader.Default()
						}
					}
				}
				checkResponse(t, produceResponseOf(&k), &k)
			})
		})
	}
}

// checkResponse compares the bytes of one response from both codecs, and the size announced.
func checkResponse(t *rapid.T, r interface {
	Response
	Sizer
}, k kmsg.Response) {
	got, err := r.AppendTo([]byte("before"))
	if err != nil {
		t.Fatal(err)
	}
	if want := k.AppendTo([]byte("before")); !bytes.Equal(got, want) {
		t.Fatalf("encoded\n%x\nwant\n%x", got, want)
	}
	if size := r.EncodedSize() + len("before"); size != len(got) {
		t.Fatalf("encoded size %d, appended %d", size, len(got))
	}
}

func produceResponseOf(k *kmsg.ProduceResponse) *ProduceResponse {
	r := &ProduceResponse{Version: k.Version, ThrottleMillis: k.ThrottleMillis}
	for _, kt := range k.Topics {
		topic := ProduceTopicReply{Topic: kt.Topic, TopicID: kt.TopicID}
		for _, kp := range kt.Partitions {
			p := ProducePartitionReply{
				Partition: kp.Partition, Error: Error(kp.ErrorCode), BaseOffset: kp.BaseOffset, LogAppendTime: kp.LogAppendTime,
				LogStartOffset: kp.LogStartOffset, ErrorMessage: kp.ErrorMessage,
				CurrentLeader: CurrentLeader{LeaderID: kp.CurrentLeader.LeaderID, LeaderEpoch: kp.CurrentLeader.LeaderEpoch},
			}
			for _, e := range kp.ErrorRecords {
				p.RecordErrors = append(p.RecordErrors, RecordError{Index: e.RelativeOffset, Message: e.ErrorMessage})
			}
			topic.Partitions = append(topic.Partitions, p)
		}
		r.Topics = append(r.Topics, topic)
	}
	for _, b := range k.Brokers {
		r.NodeEndpoints = append(r.NodeEndpoints, NodeEndpoint{NodeID: b.NodeID, Host: b.Host, Port: b.Port, Rack: b.Rack})
	}
	return r
}

// produceBody is a Produce request of one topic with 100 bytes for each of some partitions.
func produceBody(version int16, partitions int) []byte {
	k := kmsg.NewProduceRequest()
	k.Version = version
	k.Acks = -1
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic = "telematics"
	for i := range partitions {
		p := kmsg.NewProduceRequestTopicPartition()
		p.Partition = int32(i)
		p.Records = make([]byte, 100)
		topic.Partitions = append(topic.Partitions, p)
	}
	k.Topics = append(k.Topics, topic)
	return k.AppendTo(nil)
}

func TestProduceRequestAliasesRecordsOnly(t *testing.T) {
	body := produceBody(12, 1)
	var r ProduceRequest
	if err := r.Decode(12, body); err != nil {
		t.Fatal(err)
	}
	records := r.Topics[0].Partitions[0].Records
	for i := range body {
		body[i] = 'x'
	}
	if r.Topics[0].Topic != "telematics" {
		t.Errorf("topic %q changed with the frame", r.Topics[0].Topic)
	}
	if len(records) != 100 || records[0] != 'x' || cap(records) != 100 {
		t.Errorf("records: length %d, capacity %d, first byte %q", len(records), cap(records), records[0])
	}
	r.Release()
	if kept := r.Topics[:1][0].Partitions[:1][0].Records; kept != nil {
		t.Error("a released request keeps the frame alive")
	}
}

func TestProducePathDoesNotAllocate(t *testing.T) {
	body := produceBody(9, 12)
	reply := &ProduceResponse{Version: 9, Topics: []ProduceTopicReply{{Topic: "telematics", Partitions: make([]ProducePartitionReply, 12)}}}
	header := RequestHeader{Key: KeyProduce, Version: 9, CorrelationID: 1}
	client := "a client"
	frame := AppendRequestHeader(nil, RequestHeader{Key: KeyProduce, Version: 9, ClientID: &client})
	var r ProduceRequest
	var out []byte
	allocations := testing.AllocsPerRun(100, func() {
		if _, _, err := ReadRequestHeader(frame); err != nil {
			t.Fatal(err)
		}
		if err := r.Decode(9, body); err != nil {
			t.Fatal(err)
		}
		r.Release()
		var err error
		if out, err = AppendReply(out[:0], header, reply); err != nil {
			t.Fatal(err)
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations a request, want none", allocations)
	}
}

// TestHotDecodeMemory sends what claims or holds as many elements as it can.
func TestHotDecodeMemory(t *testing.T) {
	skipUnderRace(t)
	decoders := map[int16]func(version int16, body []byte) error{
		KeyProduce: func(v int16, body []byte) error { return new(ProduceRequest).Decode(v, body) },
		KeyFetch:   func(v int16, body []byte) error { return new(FetchRequest).Decode(v, body) },
	}
	for key, decode := range decoders {
		request := kmsg.RequestForKey(key)
		for version := range request.MaxVersion() + 1 {
			request.SetVersion(version)
			bodies := [][]byte{wide(4 << 20), bytes.Repeat([]byte{1}, 4<<20), bytes.Repeat([]byte{0xff}, 4<<20), make([]byte, 4<<20)}
			for _, n := range []int{1000, 200_000} {
				bodies = append(bodies, manyElements(request, n))
			}
			for i, body := range bodies {
				grown := allocated(func() { _ = decode(version, body) })
				if limit := uint64(decodeLimit(body) + 64<<10); grown > limit {
					t.Errorf("%s version %d body %d of %d bytes: %d allocated, limit %d", APIName(key), version, i, len(body), grown, limit)
				}
			}
		}
	}
}

func FuzzProduceRequest(f *testing.F) {
	for version := range int16(produceMaxVersion + 1) {
		f.Add(version, produceBody(version, 2))
	}
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		var r ProduceRequest
		err := r.Decode(version, body)
		k, kerr := DecodeRequest(KeyProduce, version, body)
		if (err == nil) != (kerr == nil) && len(body) < 1<<16 {
			t.Fatalf("ours: %v; kmsg: %v", err, kerr)
		}
		if err == nil && kerr == nil {
			if diff := produceDiff(&r, k.(*kmsg.ProduceRequest)); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

func BenchmarkProduceDecode(b *testing.B) {
	body := produceBody(9, 12)
	var r ProduceRequest
	b.ReportAllocs()
	for b.Loop() {
		_ = r.Decode(9, body)
		r.Release()
	}
}

func BenchmarkProduceDecodeKmsg(b *testing.B) {
	body := produceBody(9, 12)
	b.ReportAllocs()
	for b.Loop() {
		r := kmsg.NewProduceRequest()
		r.Version = 9
		_ = r.ReadFrom(body)
	}
}
