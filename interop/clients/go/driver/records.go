package driver

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// records are the canonical records from to to-1 for partition 0.
func records(from, to int) []Record { return recordsFor(0, from, to) }

func recordsFor(partition int32, from, to int) []Record {
	var rs []Record
	for i := from; i < to; i++ {
		rs = append(rs, Record{Key: fmt.Appendf(nil, "key-%04d", i), Value: value(i, 200), Partition: partition})
	}
	return rs
}

func value(i, size int) []byte {
	v := fmt.Appendf(nil, "value-%04d-", i)
	return append(v, bytes.Repeat([]byte{'x'}, size-len(v))...)
}

func digest(rs []Record) string {
	h := sha256.New()
	for _, r := range rs {
		fmt.Fprintf(h, "%s|%s\n", r.Key, r.Value)
	}
	return hex.EncodeToString(h.Sum(nil))
}
