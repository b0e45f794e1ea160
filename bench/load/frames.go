package load

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The versions of the raw requests: old enough for every peer, and with headers of fixed positions.
const (
	produceVersion = 9
	fetchVersion   = 11
)

// TopicMax bounds a topic's name, whose length the replies' positions depend on.
const TopicMax = 100

var format = kmsg.NewRequestFormatter(kmsg.FormatterClientID("bench"))

// Batch returns a record batch of records with values of valueBytes each.
func Batch(records, valueBytes int) []byte {
	value := Value(valueBytes)
	var body []byte
	for i := range records {
		r := kmsg.NewRecord()
		r.OffsetDelta = int32(i)
		r.Value = value
		r.Length = int32(len(r.AppendTo(nil))) - 1 // of the length's own varint, which is one byte for 0
		body = r.AppendTo(body)
	}
	now := time.Now().UnixMilli()
	b := kmsg.NewRecordBatch()
	b.Magic = 2
	b.PartitionLeaderEpoch = -1
	b.LastOffsetDelta = int32(records) - 1
	b.FirstTimestamp, b.MaxTimestamp = now, now
	b.ProducerID, b.ProducerEpoch, b.FirstSequence = -1, -1, -1
	b.NumRecords = int32(records)
	b.Records = body
	b.Length = int32(len(b.AppendTo(nil))) - 12
	encoded := b.AppendTo(nil)
	binary.BigEndian.PutUint32(encoded[17:], crc32.Checksum(encoded[21:], crc32.MakeTable(crc32.Castagnoli)))
	return encoded
}

// Value returns n bytes that look like a car's message, so that they compress as such.
func Value(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, `{"id":"ID-%06d","speed":%d,"time":"2015-05-15T00:%02d:%02d","lon":-73.%06d,"lat":40.%06d},`,
			i*7919%1000000, i*31%130, i/60%60, i%60, i*104729%1000000, i*1299709%1000000)
	}
	return b.Bytes()[:n]
}

// valuesCount is how many different values there are, so that a batch does not compress to one of them.
const valuesCount = 256

// Values returns values of n bytes, each another piece of one text.
func Values(n int) [][]byte {
	const step = 97
	text := Value(n + valuesCount*step)
	values := make([][]byte, valuesCount)
	for i := range values {
		values[i] = text[i*step:][:n]
	}
	return values
}

// Markers stand in frames where a number is to be patched in.
const (
	marker          = 0x5a5b5c5d5e5f6061
	partitionMarker = 0x5a5b5c5d
)

// ProduceFrame returns a Produce request of one batch.
func ProduceFrame(topic string, partition int32, acks int16, batch []byte) []byte {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = produceVersion, acks, 30000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, batch
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return format.AppendRequest(nil, req, 1)
}

// produceFrame is a Produce request of one batch whose partition can be changed.
type produceFrame struct {
	bytes       []byte
	partitionAt int
}

func newProduceFrame(topic string, acks int16, batch []byte) produceFrame {
	f := produceFrame{bytes: ProduceFrame(topic, 0, acks, batch)}
	header := ProduceFrame(topic, partitionMarker, acks, nil) // without records that might hold the marker
	f.partitionAt = bytes.LastIndex(header, binary.BigEndian.AppendUint32(nil, partitionMarker))
	return f
}

func (f *produceFrame) to(partition int32) []byte {
	binary.BigEndian.PutUint32(f.bytes[f.partitionAt:], uint32(partition))
	return f.bytes
}

// produceError reads the error of a ProduceFrame's reply, of which b is all behind the length.
func produceError(topic string, b []byte) error {
	at := 4 + 1 + 1 + 1 + len(topic) + 1 + 4 // correlation, tags, topics, name, partitions, index
	if len(b) < at+2 {
		return fmt.Errorf("a reply of %d bytes", len(b))
	}
	if code := int16(binary.BigEndian.Uint16(b[at:])); code != 0 {
		return fmt.Errorf("produce: error %d", code)
	}
	return nil
}

// fetchFrame is a Fetch request of one partition whose offset can be changed.
type fetchFrame struct {
	bytes    []byte
	offsetAt int
}

func newFetchFrame(topic string, partition int32, bytesMax int32) fetchFrame {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = fetchVersion, 500, 1, bytesMax, -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic = topic
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch = partition, marker, bytesMax, -1
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	f := fetchFrame{bytes: format.AppendRequest(nil, req, 1)}
	f.offsetAt = bytes.Index(f.bytes, binary.BigEndian.AppendUint64(nil, marker))
	return f
}

func (f *fetchFrame) at(offset int64) []byte {
	binary.BigEndian.PutUint64(f.bytes[f.offsetAt:], uint64(offset))
	return f.bytes
}

// fetchReply is what a reply to a fetchFrame says; b is all behind the length.
func fetchReply(topic string, b []byte) (records []byte, highWatermark int64, err error) {
	at := 4 + 4 + 2 + 4 + 4 + 2 + len(topic) + 4 + 4 // correlation, throttle, error, session, topics, name, partitions, index
	if len(b) < at+2+8+8+8+4+4+4 {
		return nil, 0, fmt.Errorf("a reply of %d bytes", len(b))
	}
	if code := int16(binary.BigEndian.Uint16(b[at:])); code != 0 {
		return nil, 0, fmt.Errorf("fetch: error %d", code)
	}
	highWatermark = int64(binary.BigEndian.Uint64(b[at+2:]))
	at += 2 + 8 + 8 + 8
	if aborted := int32(binary.BigEndian.Uint32(b[at:])); aborted > 0 {
		return nil, 0, errors.New("fetch: aborted transactions where there are none")
	}
	at += 4 + 4
	n := int(int32(binary.BigEndian.Uint32(b[at:])))
	at += 4
	if n < 0 || at+n > len(b) {
		return nil, highWatermark, nil
	}
	return b[at : at+n], highWatermark, nil
}

// nextOffset walks the whole batches of records and returns the offset behind them, and their bytes.
func nextOffset(records []byte, from int64) (next int64, whole int) {
	next = from
	for len(records)-whole >= 61 {
		b := records[whole:]
		size := 12 + int(binary.BigEndian.Uint32(b[8:]))
		if size > len(b) {
			break
		}
		next = int64(binary.BigEndian.Uint64(b)) + int64(int32(binary.BigEndian.Uint32(b[23:]))) + 1
		whole += size
	}
	return next, whole
}
