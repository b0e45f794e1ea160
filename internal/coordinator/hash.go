package coordinator

import (
	"math"
	"unicode/utf16"
)

// PartitionFor returns the partition of __consumer_offsets that holds the group, as Kafka computes it: Java's
// String.hashCode, over UTF-16 units, its absolute value (0 for the least integer, which has none), modulo the number of
// partitions, which must be positive.
func PartitionFor(group string, partitions int32) int32 {
	var hash int32
	for _, r := range group {
		if hi, lo := utf16.EncodeRune(r); r > 0xffff {
			hash = 31*(31*hash+hi) + lo
		} else {
			hash = 31*hash + r
		}
	}
	if hash == math.MinInt32 {
		return 0
	}
	return max(hash, -hash) % partitions
}
