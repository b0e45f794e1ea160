package broker

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/wire"
)

func listRequest(version int16, topic string, timestamps ...int64) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version, req.ReplicaID = version, -1
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = topic
	for i, ts := range timestamps {
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp, p.MaxNumOffsets = int32(i), ts, 1
		t.Partitions = append(t.Partitions, p)
	}
	req.Topics = append(req.Topics, t)
	return req
}

func (n *node) list(req *kmsg.ListOffsetsRequest) kmsg.ListOffsetsResponseTopicPartition {
	n.t.Helper()
	return call[*kmsg.ListOffsetsResponse](n, req).Topics[0].Partitions[0]
}

// RP#6604, RP#4035, kop#334, K#15474, K#15621, RP#3161, franz-go#1434.
func TestListOffsetsByTime(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	base := time.Now().UnixMilli() - 10_000
	for _, b := range [][]byte{
		buildAt(record.BuilderOptions{Codec: record.Gzip}, base+100, "a", "b", "c"), // 0 to 2
		buildAt(record.BuilderOptions{}, base+5000, "d"),                            // 3
		buildAt(record.BuilderOptions{Codec: record.LZ4}, base+300, "e", "f"),       // 4, 5
	} {
		wantCode(t, "produce", n.produceAs(9, "t", b).ErrorCode, wire.None)
	}
	for _, c := range []struct{ ts, offset, timestamp int64 }{
		{-1, 6, -1}, {-2, 0, -1}, {-3, 3, base + 5000}, {-4, 0, -1}, {-5, -1, -1}, {-6, -1, -1},
		{base, 0, base + 100}, {base + 101, 1, base + 101}, {base + 102, 2, base + 102}, {base + 103, 3, base + 5000}, {base + 5001, -1, -1},
	} {
		for _, isolation := range []int8{0, 1} {
			req := listRequest(11, "t", c.ts)
			req.IsolationLevel = isolation
			p := n.list(req)
			wantEpoch := int32(-1)
			if c.offset >= 0 {
				wantEpoch = n.partition("t", 0).LeaderEpoch()
			}
			if p.ErrorCode != 0 || p.Offset != c.offset || p.Timestamp != c.timestamp || p.LeaderEpoch != wantEpoch {
				t.Errorf("timestamp %d: %+v, want offset %d at %d in epoch %d", c.ts, p, c.offset, c.timestamp, wantEpoch)
			}
		}
	}
}

func TestListOffsetsMaxTimestampUnderLogAppendTime(t *testing.T) {
	n := start(t)
	n.create("t", 1, "message.timestamp.type", "LogAppendTime")
	p := n.produceAs(9, "t", build(record.BuilderOptions{Codec: record.Snappy}, "a", "b"))
	if got := n.list(listRequest(7, "t", -3)); got.Offset != 0 || got.Timestamp != p.LogAppendTime {
		t.Errorf("%+v, want the batch's first record at %d", got, p.LogAppendTime)
	}
}

func TestListOffsetsSpecialTimestampsByVersion(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	for ts, since := range map[int64]int16{-1: 1, -2: 1, -3: 7, -4: 8, -5: 9, -6: 11, -7: 12} {
		for version := int16(1); version <= 11; version++ {
			want := wire.None
			if version < since {
				want = wire.UnsupportedVersion
			}
			wantCode(t, fmt.Sprintf("timestamp %d in version %d", ts, version), n.list(listRequest(version, "t", ts)).ErrorCode, want)
		}
	}
}

func TestListOffsetsOfOldClients(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	n.produce("t", "a", "b", "c")
	n.deleteRecords("t", 1)
	for _, c := range []struct {
		ts   int64
		most int32
		want []int64
	}{{-1, 1, []int64{3}}, {-1, 5, []int64{3, 1}}, {-2, 1, []int64{1}}, {-2, 5, []int64{1}}, {time.Now().UnixMilli() + 1000, 1, []int64{3}}, {0, 1, []int64{1}}, {-1, 0, nil}} {
		req := listRequest(0, "t", c.ts)
		req.Topics[0].Partitions[0].MaxNumOffsets = c.most
		if p := n.list(req); p.ErrorCode != 0 || !slices.Equal(p.OldStyleOffsets, c.want) {
			t.Errorf("timestamp %d, at most %d: %v, %v; want %v", c.ts, c.most, p.OldStyleOffsets, wire.Error(p.ErrorCode), c.want)
		}
	}
}

func TestListOffsetsErrors(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	wantCode(t, "no such topic", n.list(listRequest(5, "nowhere", -1)).ErrorCode, wire.UnknownTopicOrPartition)
	req := listRequest(5, "t", -1)
	req.Topics[0].Partitions[0].Partition = 3
	wantCode(t, "no such partition", n.list(req).ErrorCode, wire.UnknownTopicOrPartition)
	twice := listRequest(5, "t", -1, -2)
	twice.Topics[0].Partitions[1].Partition = 0
	for _, p := range call[*kmsg.ListOffsetsResponse](n, twice).Topics[0].Partitions {
		wantCode(t, "partition named twice", p.ErrorCode, wire.InvalidRequest)
	}
	newer := listRequest(5, "t", -1)
	newer.Topics[0].Partitions[0].CurrentLeaderEpoch = 99
	wantCode(t, "newer epoch", n.list(newer).ErrorCode, wire.UnknownLeaderEpoch)
}

// RP#5435: a consumer's position is never above what its epoch ends at.
func TestOffsetForLeaderEpoch(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	n.produce("t", "a")
	first := n.partition("t", 0).LeaderEpoch()
	n.restart()
	n.produce("t", "b", "c")
	second := n.partition("t", 0).LeaderEpoch()
	for _, c := range []struct {
		asked, current int32
		epoch          int32
		end            int64
		want           wire.Error
	}{
		{first, -1, first, 1, wire.None},
		{second, second, second, 3, wire.None},
		{second + 1, -1, -1, -1, wire.None},
		{second, first, -1, -1, wire.FencedLeaderEpoch},
		{second, second + 1, -1, -1, wire.UnknownLeaderEpoch},
	} {
		for version := int16(2); version <= 4; version++ {
			req := kmsg.NewPtrOffsetForLeaderEpochRequest()
			req.Version, req.ReplicaID = version, -1
			p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
			p.LeaderEpoch, p.CurrentLeaderEpoch = c.asked, c.current
			req.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{p}}}
			got := call[*kmsg.OffsetForLeaderEpochResponse](n, req).Topics[0].Partitions[0]
			if wire.Error(got.ErrorCode) != c.want || got.LeaderEpoch != c.epoch || got.EndOffset != c.end {
				t.Errorf("epoch %d believing in %d: %+v", c.asked, c.current, got)
			}
		}
	}
}
