package wire

import "unsafe"

const (
	produceMaxVersion      = 13
	produceFlexibleFrom    = 9
	produceTopicIDFrom     = 13
	produceEndpointsFrom   = 10
	produceRecordErrorFrom = 8
)

// Decode reads a request body into r, whose slices it reuses: r is new or released. Record sets alias body. It allocates nothing once r has
// grown to the usual shape, and never more than twice len(body) and [DecodeSlackBytes].
func (r *ProduceRequest) Decode(version int16, body []byte) error {
	if version < 0 || version > produceMaxVersion {
		return ErrUnsupportedVersion
	}
	b := weighed{reader: reader{src: body, flexible: version >= produceFlexibleFrom}, limit: decodeLimit(body)}
	r.Version = version
	r.TransactionalID = nil
	if version >= 3 {
		r.TransactionalID = b.nullableString()
	}
	r.Acks = b.int16()
	r.TimeoutMillis = b.int32()
	r.Topics = grow(r.Topics, weighedLength[ProduceTopic](&b))
	for i := range r.Topics {
		r.Topics[i].decode(version, &b)
	}
	b.skipTagsIfFlexible()
	if b.bad {
		r.Release()
		return malformed("Produce", version, len(body))
	}
	return nil
}

func (t *ProduceTopic) decode(version int16, b *weighed) {
	if version >= produceTopicIDFrom {
		t.Topic, t.TopicID = "", b.uuid()
	} else {
		t.Topic, t.TopicID = b.string(), [16]byte{}
	}
	t.Partitions = grow(t.Partitions, weighedLength[ProducePartition](b))
	for i := range t.Partitions {
		p := &t.Partitions[i]
		p.Partition = b.int32()
		p.Records = b.bytes()
		b.skipTagsIfFlexible()
	}
	b.skipTagsIfFlexible()
}

// Release forgets the record sets, so that a request that waits for its next Decode does not keep a frame alive, and
// gives up slices that an unusual request has blown up.
func (r *ProduceRequest) Release() {
	const elementsKept = 1024
	elements := len(r.Topics)
	for i := range r.Topics {
		t := &r.Topics[i]
		elements += len(t.Partitions)
		clear(t.Partitions)
		t.Partitions = t.Partitions[:0]
	}
	r.Topics = r.Topics[:0]
	if elements > elementsKept {
		r.Topics = nil
	}
}

// weighed is a reader that refuses to make more than a limit of memory.
type weighed struct {
	reader
	weight, limit int
}

// weighedLength takes the length of an array of T and charges the memory that its elements take.
func weighedLength[T any](b *weighed) int {
	n := b.arrayLength()
	var elem T
	b.weight += n * int(unsafe.Sizeof(elem))
	if b.weight > b.limit {
		b.fail()
		return 0
	}
	return n
}

// grow returns s with length n. Elements within its capacity keep their memory: their owner overwrites them.
func grow[T any](s []T, n int) []T {
	if n <= cap(s) {
		return s[:n]
	}
	grown := make([]T, n)
	copy(grown, s[:cap(s)])
	return grown
}

// EncodedSize implements [Sizer], exactly.
func (r *ProduceResponse) EncodedSize() int {
	flexible := r.Version >= produceFlexibleFrom
	size := lengthSize(len(r.Topics), flexible)
	for i := range r.Topics {
		size += r.Topics[i].size(r.Version, flexible)
	}
	if r.Version >= 1 {
		size += 4
	}
	if flexible {
		size += nodeEndpointsSize(r.endpoints())
	}
	return size
}

// AppendTo implements [Response].
func (r *ProduceResponse) AppendTo(dst []byte) ([]byte, error) {
	flexible := r.Version >= produceFlexibleFrom
	dst = appendLength(dst, len(r.Topics), flexible)
	for i := range r.Topics {
		dst = r.Topics[i].appendTo(dst, r.Version, flexible)
	}
	if r.Version >= 1 {
		dst = appendInt32(dst, r.ThrottleMillis)
	}
	if flexible {
		dst = appendNodeEndpoints(dst, r.endpoints())
	}
	return dst, nil
}

func (r *ProduceResponse) endpoints() []NodeEndpoint {
	if r.Version < produceEndpointsFrom {
		return nil
	}
	return r.NodeEndpoints
}

func (t *ProduceTopicReply) size(version int16, flexible bool) int {
	size := topicSize(t.Topic, version >= produceTopicIDFrom, flexible)
	size += lengthSize(len(t.Partitions), flexible) + noTagsSize(flexible)
	for i := range t.Partitions {
		size += t.Partitions[i].size(version, flexible)
	}
	return size
}

func (t *ProduceTopicReply) appendTo(dst []byte, version int16, flexible bool) []byte {
	dst = appendTopic(dst, t.Topic, t.TopicID, version >= produceTopicIDFrom, flexible)
	dst = appendLength(dst, len(t.Partitions), flexible)
	for i := range t.Partitions {
		dst = t.Partitions[i].appendTo(dst, version, flexible)
	}
	return appendNoTags(dst, flexible)
}

func topicSize(name string, byID, flexible bool) int {
	if byID {
		return 16
	}
	return stringSize(name, flexible)
}

func appendTopic(dst []byte, name string, id [16]byte, byID, flexible bool) []byte {
	if byID {
		return append(dst, id[:]...)
	}
	return appendString(dst, name, flexible)
}

func (p *ProducePartitionReply) size(version int16, flexible bool) int {
	size := 4 + 2 + 8 + noTagsSize(flexible)
	if version >= 2 {
		size += 8
	}
	if version >= 5 {
		size += 8
	}
	if version >= produceRecordErrorFrom {
		size += lengthSize(len(p.RecordErrors), flexible) + nullableStringSize(p.ErrorMessage, flexible)
		for i := range p.RecordErrors {
			size += 4 + nullableStringSize(p.RecordErrors[i].Message, flexible) + noTagsSize(flexible)
		}
	}
	if p.sendsLeader(version) {
		size += currentLeaderSize
	}
	return size
}

func (p *ProducePartitionReply) sendsLeader(version int16) bool {
	return version >= produceEndpointsFrom && p.CurrentLeader != NoLeader
}

func (p *ProducePartitionReply) appendTo(dst []byte, version int16, flexible bool) []byte {
	dst = appendInt32(dst, p.Partition)
	dst = appendInt16(dst, int16(p.Error))
	dst = appendInt64(dst, p.BaseOffset)
	if version >= 2 {
		dst = appendInt64(dst, p.LogAppendTime)
	}
	if version >= 5 {
		dst = appendInt64(dst, p.LogStartOffset)
	}
	if version >= produceRecordErrorFrom {
		dst = appendLength(dst, len(p.RecordErrors), flexible)
		for i := range p.RecordErrors {
			dst = appendInt32(dst, p.RecordErrors[i].Index)
			dst = appendNullableString(dst, p.RecordErrors[i].Message, flexible)
			dst = appendNoTags(dst, flexible)
		}
		dst = appendNullableString(dst, p.ErrorMessage, flexible)
	}
	if p.sendsLeader(version) {
		dst = append(dst, 1)
		return appendCurrentLeader(dst, 0, p.CurrentLeader)
	}
	return appendNoTags(dst, flexible)
}
