package wire

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// randomFetch is a Fetch request whose tagged fields are those of its version.
func randomFetch(t *rapid.T, version int16) *kmsg.FetchRequest {
	k := randomRequest(t, KeyFetch, version).(*kmsg.FetchRequest)
	if version < fetchReplicaStateFrom {
		k.ReplicaState.Default()
	}
	for i := range k.Topics {
		for j := range k.Topics[i].Partitions {
			p := &k.Topics[i].Partitions[j]
			if version < fetchDirectoryIDFrom {
				p.ReplicaDirectoryID = [16]byte{}
			}
			if version < fetchWatermarkFrom {
				p.HighWatermark = math.MaxInt64
			}
		}
	}
	return k
}

func TestFetchRequestAgreesWithKmsg(t *testing.T) {
	for version := range int16(fetchMaxVersion + 1) {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			var reused FetchRequest
			rapid.Check(t, func(t *rapid.T) {
				body := randomFetch(t, version).AppendTo(nil)
				if err := reused.Decode(version, body); err != nil {
					t.Fatal(err)
				}
				want := kmsg.NewFetchRequest()
				want.Version = version
				if err := want.ReadFrom(body); err != nil {
					t.Fatal(err)
				}
				clear(body)
				if diff := fetchDiff(&reused, &want); diff != "" {
					t.Fatal(diff)
				}
			})
		})
	}
}

// fetchDiff compares what both codecs made of the same bytes.
func fetchDiff(got *FetchRequest, k *kmsg.FetchRequest) string {
	want := FetchRequest{
		Version: k.Version, ClusterID: k.ClusterID, ReplicaID: k.ReplicaID, ReplicaEpoch: -1, MaxWaitMillis: k.MaxWaitMillis,
		MinBytes: k.MinBytes, MaxBytes: k.MaxBytes, IsolationLevel: k.IsolationLevel, SessionID: k.SessionID,
		SessionEpoch: k.SessionEpoch, Rack: k.Rack,
	}
	if k.Version >= fetchReplicaStateFrom {
		want.ReplicaID, want.ReplicaEpoch = k.ReplicaState.ID, k.ReplicaState.Epoch
	}
	for _, kt := range k.Topics {
		topic := FetchTopic{Topic: kt.Topic, TopicID: kt.TopicID}
		for _, p := range kt.Partitions {
			topic.Partitions = append(topic.Partitions, FetchPartition{
				FetchOffset: p.FetchOffset, LogStartOffset: p.LogStartOffset, HighWatermark: p.HighWatermark,
				ReplicaDirectoryID: p.ReplicaDirectoryID, Partition: p.Partition, CurrentLeaderEpoch: p.CurrentLeaderEpoch,
				LastFetchedEpoch: p.LastFetchedEpoch, PartitionMaxBytes: p.PartitionMaxBytes, FlushedOffset: -1,
			})
		}
		want.Topics = append(want.Topics, topic)
	}
	for _, f := range k.ForgottenTopics {
		want.ForgottenTopics = append(want.ForgottenTopics, ForgottenTopic{Topic: f.Topic, TopicID: f.TopicID, Partitions: f.Partitions})
	}
	return diff(got, &want)
}

func TestFetchResponseAgreesWithKmsg(t *testing.T) {
	for version := range int16(fetchMaxVersion + 1) {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				k := kmsg.NewFetchResponse()
				k.Version = version
				fill(t, reflect.ValueOf(&k).Elem(), false)
				if version < fetchEndpointsFrom {
					k.Brokers = nil
				}
				for i := range k.Topics {
					for j := range k.Topics[i].Partitions {
						thinTags(&k.Topics[i].Partitions[j])
					}
				}
				checkResponse(t, fetchResponseOf(&k), &k)
			})
		})
	}
}

// thinTags takes tagged fields away so that each combination of them comes up.
func thinTags(p *kmsg.FetchResponseTopicPartition) {
	if p.Partition&1 == 0 {
		p.DivergingEpoch.Default()
	}
	if p.Partition&2 == 0 {
		p.CurrentLeader.Default()
	}
	if p.Partition&4 == 0 {
		p.SnapshotID.Default()
	}
	if p.Partition&8 == 0 {
		p.AbortedTransactions = nil
	}
}

func fetchResponseOf(k *kmsg.FetchResponse) *FetchResponse {
	r := &FetchResponse{Version: k.Version, ThrottleMillis: k.ThrottleMillis, Error: Error(k.ErrorCode), SessionID: k.SessionID}
	for _, kt := range k.Topics {
		topic := FetchTopicReply{Topic: kt.Topic, TopicID: kt.TopicID}
		for _, kp := range kt.Partitions {
			topic.Partitions = append(topic.Partitions, fetchPartitionOf(&kp))
		}
		r.Topics = append(r.Topics, topic)
	}
	for _, b := range k.Brokers {
		r.NodeEndpoints = append(r.NodeEndpoints, NodeEndpoint{NodeID: b.NodeID, Host: b.Host, Port: b.Port, Rack: b.Rack})
	}
	return r
}

func fetchPartitionOf(k *kmsg.FetchResponseTopicPartition) FetchPartitionReply {
	p := NewFetchPartitionReply(k.Partition)
	p.Error = Error(k.ErrorCode)
	p.HighWatermark, p.LastStableOffset, p.LogStartOffset = k.HighWatermark, k.LastStableOffset, k.LogStartOffset
	p.DivergingEpoch = EpochEnd{Epoch: k.DivergingEpoch.Epoch, EndOffset: k.DivergingEpoch.EndOffset}
	p.CurrentLeader = CurrentLeader{LeaderID: k.CurrentLeader.LeaderID, LeaderEpoch: k.CurrentLeader.LeaderEpoch}
	p.SnapshotID = EpochEnd{Epoch: k.SnapshotID.Epoch, EndOffset: k.SnapshotID.EndOffset}
	p.PreferredReadReplica = k.PreferredReadReplica
	if k.AbortedTransactions != nil {
		p.AbortedTransactions = []AbortedTransaction{}
	}
	for _, a := range k.AbortedTransactions {
		p.AbortedTransactions = append(p.AbortedTransactions, AbortedTransaction{ProducerID: a.ProducerID, FirstOffset: a.FirstOffset})
	}
	if len(k.RecordBatches) > 0 {
		p.Records = RecordBytes(k.RecordBatches)
	}
	return p
}

func TestNewFetchPartitionReplySaysNothing(t *testing.T) {
	k := kmsg.NewFetchResponseTopicPartition()
	p := NewFetchPartitionReply(0)
	if got, want := [...]EpochEnd{p.DivergingEpoch, p.SnapshotID}, (EpochEnd{k.DivergingEpoch.Epoch, k.DivergingEpoch.EndOffset}); got[0] != want || got[1] != want {
		t.Errorf("epochs %v, want %v", got, want)
	}
	if p.LastStableOffset != k.LastStableOffset || p.LogStartOffset != k.LogStartOffset {
		t.Errorf("%+v differs from kmsg's default", p)
	}
}

// A source whose log was cut, or fails, after its size was asked for.
type brokenSource struct {
	size int
	data []byte
	err  error
}

func (s brokenSource) Size() int                           { return s.size }
func (s brokenSource) AppendTo(dst []byte) ([]byte, error) { return append(dst, s.data...), s.err }

func fetchReplyOf(version int16, source RecordSource) *FetchResponse {
	p := NewFetchPartitionReply(7)
	p.Records = source
	return &FetchResponse{Version: version, Topics: []FetchTopicReply{{Topic: "t", Partitions: []FetchPartitionReply{p}}}}
}

func TestFetchResponseOfShorterSource(t *testing.T) {
	for _, version := range []int16{0, 4, 12, 18} {
		for _, size := range []int{5, 200, 100_000} {
			body, err := fetchReplyOf(version, brokenSource{size: size, data: []byte("data")}).AppendTo(nil)
			if err != nil {
				t.Fatal(err)
			}
			k := kmsg.NewFetchResponse()
			k.Version = version
			if err := k.ReadFrom(body); err != nil {
				t.Fatal(err)
			}
			if got := k.Topics[0].Partitions[0]; got.Partition != 7 || string(got.RecordBatches) != "data" {
				t.Errorf("version %d: %q instead of %d bytes", version, got.RecordBatches, size)
			}
		}
	}
}

func TestFetchResponseOfFailingSource(t *testing.T) {
	failure := errors.New("the disk is gone")
	for _, source := range []brokenSource{{size: 4, data: []byte("da"), err: failure}, {size: 4, data: []byte("too much")}} {
		kept := []byte("kept")
		out, err := AppendReply(kept, RequestHeader{Key: KeyFetch, Version: 12}, fetchReplyOf(12, source))
		if err == nil || string(out) != "kept" {
			t.Errorf("%v: %q, %v", source, out, err)
		}
		if source.err != nil && !errors.Is(err, failure) {
			t.Errorf("%v does not wrap the cause", err)
		}
	}
}

func TestFetchPathDoesNotAllocate(t *testing.T) {
	k := kmsg.NewFetchRequest()
	k.Version = 12
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic = "telematics"
	topic.Partitions = make([]kmsg.FetchRequestTopicPartition, 12)
	k.Topics = append(k.Topics, topic)
	body := k.AppendTo(nil)
	var r FetchRequest
	reply := fetchReplyOf(12, RecordBytes(make([]byte, 1000)))
	out := make([]byte, 0, 2000)
	allocations := testing.AllocsPerRun(100, func() {
		if err := r.Decode(12, body); err != nil {
			t.Fatal(err)
		}
		var err error
		if out, err = AppendReply(out[:0], RequestHeader{Key: KeyFetch, Version: 12}, reply); err != nil {
			t.Fatal(err)
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations a request, want none", allocations)
	}
}

func FuzzFetchRequest(f *testing.F) {
	for version := range int16(fetchMaxVersion + 1) {
		k := kmsg.NewFetchRequest()
		k.Version = version
		k.Topics = []kmsg.FetchRequestTopic{{Topic: "t", Partitions: make([]kmsg.FetchRequestTopicPartition, 2)}}
		f.Add(version, k.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		var r FetchRequest
		if err := r.Decode(version, body); err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnsupportedVersion) {
				t.Fatal(err)
			}
			return
		}
		// Fields that came after this version are unknown to it, while kmsg reads them: compare where there are none.
		if request, err := DecodeRequest(KeyFetch, version, body); err == nil && version >= fetchWatermarkFrom {
			for i := range r.Topics {
				for j := range r.Topics[i].Partitions {
					p := &r.Topics[i].Partitions[j]
					p.FlushedOffset, p.Copy = -1, 0 // nor does kmsg know ours
				}
			}
			if diff := fetchDiff(&r, request.(*kmsg.FetchRequest)); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}
