package check

import (
	"strconv"
	"time"
)

// millionRecords is a history without anomalies: records of four producers, each read once and in two replicas.
func millionRecords(n int) *History {
	h := &History{}
	one, two := Final{Partition: p0, Replica: "1"}, Final{Partition: p0, Replica: "2"}
	for i := range n {
		v := strconv.Itoa(i)
		h.Sends = append(h.Sends, Send{Partition: p0, Producer: strconv.Itoa(i % 4), Value: v, Outcome: OK, Offset: int64(i), Durable: true,
			Idempotent: true, Begin: time.Duration(i), End: time.Duration(i + 10)})
		h.Reads = append(h.Reads, Read{Partition: p0, Consumer: "c", Group: "g", Poll: i / 100, Offset: int64(i), Value: v})
		one.Records = append(one.Records, Record{int64(i), v})
		two.Records = append(two.Records, Record{int64(i), v})
	}
	h.Commits = []Commit{{Partition: p0, Group: "g", Offset: int64(n), Outcome: OK}}
	h.Finals = []Final{one, two}
	return h
}
