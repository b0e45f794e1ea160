package broker

import (
	"testing"

	"github.com/logbahn/logbahn/internal/partition"
	"github.com/logbahn/logbahn/internal/wire"
)

func TestTrafficIsCounted(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	n.produce("t", "a", "b")
	again := idempotent(7, 0, 0, "c")
	n.produceAs(9, "t", again)
	n.produceAs(9, "t", again) // a retry is not appended, so nothing came in
	bad := batch("d")
	bad[len(bad)-1] ^= 1
	wantCode(t, "a broken batch", n.produceAs(9, "t", bad).ErrorCode, wire.CorruptMessage)
	stored := int64(len(batch("a", "b")) + len(again))

	out := int64(len(n.fetch(n.fetchRequest(4, "t", 0, 0)).Topics[0].Partitions[0].RecordBatches))
	n.fetch(n.fetchRequest(2, "t", 0, 2))
	wantCode(t, "beyond the end", n.fetch(n.fetchRequest(4, "t", 0, 99)).Topics[0].Partitions[0].ErrorCode, wire.OffsetOutOfRange)

	got := n.partition("t", 0).Traffic().Count()
	want := partition.TrafficCount{
		BytesIn: stored, RecordsIn: 3, Produces: 4, ProducesFailed: 1,
		BytesOut: out + int64(len(again)), Fetches: 3, FetchesFailed: 1, FetchesOfOldMessageFormat: 1,
	}
	if got != want {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	n.remove("t")
	if removed := n.set.Removed(); removed != want {
		t.Errorf("after the topic: %+v", removed)
	}
}
