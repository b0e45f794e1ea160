package kafkacli

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"
)

// compare goes through the batches of a partition for as long as every replica has one below its high watermark. Replicas whose
// batches have other offsets end the tool; other checksums are told.
func (v *verification) compare(tp topicPartition, held map[int32]copied) error {
	replicas := slices.Sorted(maps.Keys(held))
	rest := make([][]byte, len(replicas))
	for i, replica := range replicas {
		rest[i] = held[replica].batches
	}
	for inAll := len(replicas) > 0; inAll; { // a broker may name none
		var seen batchID // of the first replica that has one
		of := int32(-1)
		for i, replica := range replicas {
			batch, ok, err := cutBatch(&rest[i])
			if err != nil {
				return failf("Error in processing replica %d in partition %s at offset %d: %v", replica, tp, v.next[tp], err)
			}
			switch {
			case !ok || batch.last >= held[replica].highWatermark:
				inAll = false
			case of < 0:
				seen, of = batch, replica
			case batch.last != seen.last:
				fmt.Fprintf(v.out, "%s: partition %s: replica %d's offset %d doesn't match replica %d's offset %d\n",
					moment(time.Now()), tp, of, seen.last, replica, batch.last)
				return exitError(1)
			case batch.checksum != seen.checksum:
				fmt.Fprintf(v.out, "%s: partition %s has unmatched checksum at offset %d; replica %d's checksum %d; replica %d's checksum %d\n",
					moment(time.Now()), tp, batch.last, of, seen.checksum, replica, batch.checksum)
			}
		}
		if inAll {
			v.next[tp] = seen.last + 1
		}
	}
	return nil
}

// batchID is what replicas have in common of a batch.
type batchID struct {
	last     int64 // offset
	checksum uint32
}

// Where the fields of a batch are. Messages of the first two formats share the first two and the magic.
const (
	batchSizeAt       = 8
	batchSizeEnd      = 12
	messageChecksumAt = 12
	batchMagicAt      = 16
	batchChecksumAt   = 17
	batchLastAt       = 23
	batchLastEnd      = 27
)

// cutBatch takes the next batch off what a fetch has brought. A fetch ends in the middle of one, which is none.
func cutBatch(data *[]byte) (b batchID, ok bool, err error) {
	d := *data
	if len(d) <= batchMagicAt {
		return b, false, nil
	}
	base, size, magic := int64(binary.BigEndian.Uint64(d)), int64(int32(binary.BigEndian.Uint32(d[batchSizeAt:]))), d[batchMagicAt]
	switch {
	case magic > 2:
		return b, false, fmt.Errorf("a batch of format %d", magic)
	case size <= batchMagicAt-batchSizeEnd, magic == 2 && size < batchLastEnd-batchSizeEnd:
		return b, false, fmt.Errorf("a batch of %d bytes", size)
	case size > int64(len(d)-batchSizeEnd):
		return b, false, nil
	case magic == 2:
		b = batchID{base + int64(int32(binary.BigEndian.Uint32(d[batchLastAt:]))), binary.BigEndian.Uint32(d[batchChecksumAt:])}
	default:
		b = batchID{base, binary.BigEndian.Uint32(d[messageChecksumAt:])}
	}
	*data = d[batchSizeEnd+size:]
	return b, true, nil
}
