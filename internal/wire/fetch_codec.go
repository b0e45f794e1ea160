package wire

import (
	"fmt"
	"math"
)

const (
	fetchMaxVersion       = 18
	fetchFlexibleFrom     = 12
	fetchTopicIDFrom      = 13
	fetchReplicaStateFrom = 15
	fetchEndpointsFrom    = 16
	fetchDirectoryIDFrom  = 17
	fetchWatermarkFrom    = 18
)

// Tags far above those that Kafka gives out: its brokers and clients pass over them.
const (
	flushedOffsetTag = 10001
	copyTag          = 10002 // Copy in a request, Forgotten in a reply
)

// Decode reads a request body into r, whose slices it reuses. Nothing aliases body. It allocates nothing once r has
// grown to the usual shape, and never more than twice len(body) and [DecodeSlackBytes].
func (r *FetchRequest) Decode(version int16, body []byte) error {
	if version < 0 || version > fetchMaxVersion {
		return ErrUnsupportedVersion
	}
	b := weighed{reader: reader{src: body, flexible: version >= fetchFlexibleFrom}, limit: decodeLimit(body)}
	r.decodeHead(version, &b)
	r.Topics = grow(r.Topics, weighedLength[FetchTopic](&b))
	for i := range r.Topics {
		r.Topics[i].decode(version, &b)
	}
	r.ForgottenTopics = r.ForgottenTopics[:0]
	if version >= 7 {
		r.ForgottenTopics = grow(r.ForgottenTopics, weighedLength[ForgottenTopic](&b))
	}
	for i := range r.ForgottenTopics {
		r.ForgottenTopics[i].decode(version, &b)
	}
	r.Rack = ""
	if version >= 11 {
		r.Rack = b.string()
	}
	if b.flexible {
		r.decodeTags(&b.reader)
	}
	if b.bad {
		r.Topics, r.ForgottenTopics = r.Topics[:0], r.ForgottenTopics[:0]
		return malformed("Fetch", version, len(body))
	}
	return nil
}

// Release makes r ready for its next Decode, and gives up slices that an unusual request has blown up.
func (r *FetchRequest) Release() {
	const elementsKept = 4096
	elements := len(r.Topics) + len(r.ForgottenTopics)
	for i := range r.Topics {
		elements += len(r.Topics[i].Partitions)
	}
	for i := range r.ForgottenTopics {
		elements += len(r.ForgottenTopics[i].Partitions)
	}
	r.Topics, r.ForgottenTopics = r.Topics[:0], r.ForgottenTopics[:0]
	if elements > elementsKept {
		r.Topics, r.ForgottenTopics = nil, nil
	}
}

// decodeHead reads what precedes the topics, and sets what this version does not have.
func (r *FetchRequest) decodeHead(version int16, b *weighed) {
	r.Version = version
	r.ClusterID, r.ReplicaID, r.ReplicaEpoch = nil, -1, -1
	r.MaxBytes, r.IsolationLevel = math.MaxInt32, 0
	r.SessionID, r.SessionEpoch = 0, -1
	if version < fetchReplicaStateFrom {
		r.ReplicaID = b.int32()
	}
	r.MaxWaitMillis = b.int32()
	r.MinBytes = b.int32()
	if version >= 3 {
		r.MaxBytes = b.int32()
	}
	if version >= 4 {
		r.IsolationLevel = b.int8()
	}
	if version >= 7 {
		r.SessionID = b.int32()
		r.SessionEpoch = b.int32()
	}
}

func (r *FetchRequest) decodeTags(b *reader) {
	for n := b.tagCount(); n > 0 && !b.bad; n-- {
		number, value := b.tag()
		switch {
		case number == 0:
			r.ClusterID = value.nullableString()
		case number == 1 && r.Version >= fetchReplicaStateFrom:
			r.ReplicaID = value.int32()
			r.ReplicaEpoch = value.int64()
			value.skipTags()
		}
		if value.bad {
			b.fail()
		}
	}
}

func (t *FetchTopic) decode(version int16, b *weighed) {
	t.Topic, t.TopicID = decodeTopic(version, b)
	t.Partitions = grow(t.Partitions, weighedLength[FetchPartition](b))
	for i := range t.Partitions {
		t.Partitions[i].decode(version, b)
	}
	b.skipTagsIfFlexible()
}

func decodeTopic(version int16, b *weighed) (name string, id [16]byte) {
	if version >= fetchTopicIDFrom {
		return "", b.uuid()
	}
	return b.string(), id
}

func (p *FetchPartition) decode(version int16, b *weighed) {
	*p = NewFetchPartition(b.int32(), 0)
	if version >= 9 {
		p.CurrentLeaderEpoch = b.int32()
	}
	p.FetchOffset = b.int64()
	if version >= 12 {
		p.LastFetchedEpoch = b.int32()
	}
	if version >= 5 {
		p.LogStartOffset = b.int64()
	}
	p.PartitionMaxBytes = b.int32()
	if b.flexible {
		p.decodeTags(version, &b.reader)
	}
}

func (p *FetchPartition) decodeTags(version int16, b *reader) {
	for n := b.tagCount(); n > 0 && !b.bad; n-- {
		number, value := b.tag()
		switch {
		case number == 0 && version >= fetchDirectoryIDFrom:
			p.ReplicaDirectoryID = value.uuid()
		case number == 1 && version >= fetchWatermarkFrom:
			p.HighWatermark = value.int64()
		case number == flushedOffsetTag:
			p.FlushedOffset = value.int64()
		case number == copyTag:
			p.Copy = value.int32()
		}
		if value.bad {
			b.fail()
		}
	}
}

func (t *ForgottenTopic) decode(version int16, b *weighed) {
	t.Topic, t.TopicID = decodeTopic(version, b)
	t.Partitions = grow(t.Partitions, weighedLength[int32](b))
	for i := range t.Partitions {
		t.Partitions[i] = b.int32()
	}
	b.skipTagsIfFlexible()
}

// EncodedSize implements [Sizer]: exactly, if every record source appends what it promises.
func (r *FetchResponse) EncodedSize() int {
	flexible := r.Version >= fetchFlexibleFrom
	size := lengthSize(len(r.Topics), flexible)
	if r.Version >= 1 {
		size += 4
	}
	if r.Version >= 7 {
		size += 2 + 4
	}
	for i := range r.Topics {
		size += r.Topics[i].size(r.Version, flexible)
	}
	if flexible {
		size += nodeEndpointsSize(r.endpoints())
	}
	return size
}

// AppendTo implements [Response]. It fails when a record source does; what was appended is then of no use.
func (r *FetchResponse) AppendTo(dst []byte) ([]byte, error) {
	flexible := r.Version >= fetchFlexibleFrom
	if r.Version >= 1 {
		dst = appendInt32(dst, r.ThrottleMillis)
	}
	if r.Version >= 7 {
		dst = appendInt16(dst, int16(r.Error))
		dst = appendInt32(dst, r.SessionID)
	}
	dst = appendLength(dst, len(r.Topics), flexible)
	for i := range r.Topics {
		var err error
		if dst, err = r.Topics[i].appendTo(dst, r.Version, flexible); err != nil {
			return dst, err
		}
	}
	if flexible {
		dst = appendNodeEndpoints(dst, r.endpoints())
	}
	return dst, nil
}

func (r *FetchResponse) endpoints() []NodeEndpoint {
	if r.Version < fetchEndpointsFrom {
		return nil
	}
	return r.NodeEndpoints
}

func (t *FetchTopicReply) size(version int16, flexible bool) int {
	size := topicSize(t.Topic, version >= fetchTopicIDFrom, flexible)
	size += lengthSize(len(t.Partitions), flexible) + noTagsSize(flexible)
	for i := range t.Partitions {
		size += t.Partitions[i].size(version, flexible)
	}
	return size
}

func (t *FetchTopicReply) appendTo(dst []byte, version int16, flexible bool) ([]byte, error) {
	dst = appendTopic(dst, t.Topic, t.TopicID, version >= fetchTopicIDFrom, flexible)
	dst = appendLength(dst, len(t.Partitions), flexible)
	for i := range t.Partitions {
		p := &t.Partitions[i]
		var err error
		if dst, err = p.appendTo(dst, version, flexible); err != nil {
			return dst, fmt.Errorf("records of %s-%d: %w", t.Topic, p.Partition, err)
		}
	}
	return appendNoTags(dst, flexible), nil
}

func (p *FetchPartitionReply) size(version int16, flexible bool) int {
	size := 4 + 2 + 8 + noTagsSize(flexible)
	if version >= 4 {
		size += 8 + lengthSize(len(p.AbortedTransactions), flexible) + len(p.AbortedTransactions)*(8+8+noTagsSize(flexible))
	}
	if version >= 5 {
		size += 8
	}
	if version >= 11 {
		size += 4
	}
	records := p.recordsSize()
	size += lengthSize(records, flexible) + records
	if flexible {
		size += p.tagsSize()
	}
	return size
}

func (p *FetchPartitionReply) recordsSize() int {
	if p.Records == nil {
		return 0
	}
	return p.Records.Size()
}

func (p *FetchPartitionReply) appendTo(dst []byte, version int16, flexible bool) ([]byte, error) {
	dst = appendInt32(dst, p.Partition)
	dst = appendInt16(dst, int16(p.Error))
	dst = appendInt64(dst, p.HighWatermark)
	if version >= 4 {
		dst = appendInt64(dst, p.LastStableOffset)
	}
	if version >= 5 {
		dst = appendInt64(dst, p.LogStartOffset)
	}
	if version >= 4 {
		dst = appendAborted(dst, p.AbortedTransactions, flexible)
	}
	if version >= 11 {
		dst = appendInt32(dst, p.PreferredReadReplica)
	}
	dst, err := appendRecords(dst, p.Records, p.recordsSize(), flexible)
	if flexible {
		dst = p.appendTags(dst)
	}
	return dst, err
}

func appendAborted(dst []byte, aborted []AbortedTransaction, flexible bool) []byte {
	if aborted == nil {
		return appendLength(dst, -1, flexible)
	}
	dst = appendLength(dst, len(aborted), flexible)
	for _, a := range aborted {
		dst = appendInt64(dst, a.ProducerID)
		dst = appendInt64(dst, a.FirstOffset)
		dst = appendNoTags(dst, flexible)
	}
	return dst
}

// appendRecords appends the length of the record data and the data. A source that appends less than it promised (the
// log was cut since) has its length corrected, which for a compact length means to write it again in as many bytes: a
// uvarint may have leading zeros, and all clients read it.
func appendRecords(dst []byte, records RecordSource, size int, flexible bool) ([]byte, error) {
	at := len(dst)
	dst = appendLength(dst, size, flexible)
	if records == nil {
		return dst, nil
	}
	start := len(dst)
	dst, err := records.AppendTo(dst)
	if err != nil {
		return dst, err
	}
	switch got := len(dst) - start; {
	case got == size:
		return dst, nil
	case got > size:
		return dst, fmt.Errorf("record source of %d bytes gave %d", size, got)
	default:
		rewriteLength(dst[at:start], got, flexible)
		return dst, nil
	}
}

// rewriteLength puts a smaller length in the place of another, in the same number of bytes.
func rewriteLength(at []byte, n int, flexible bool) {
	if !flexible {
		appendInt32(at[:0], int32(n))
		return
	}
	rest := uint32(n + 1)
	for i := range at {
		at[i] = byte(rest&0x7f) | 0x80
		rest >>= 7
	}
	at[len(at)-1] &= 0x7f
}

func (p *FetchPartitionReply) tagsSize() int {
	size := 0
	if p.DivergingEpoch != NoEpochEnd {
		size += epochEndSize
	}
	if p.CurrentLeader != NoLeader {
		size += currentLeaderSize
	}
	if p.SnapshotID != NoEpochEnd {
		size += epochEndSize
	}
	if p.Forgotten != (Forgotten{}) {
		size += forgottenSize
	}
	return size
}

// The sizes of tagged fields: number, length, what is in it, and a structure's no tags.
const (
	epochEndSize  = 1 + 1 + 4 + 8 + 1
	forgottenSize = 2 + 1 + 4 + 4 + 1
)

func (p *FetchPartitionReply) appendTags(dst []byte) []byte {
	count := len(dst)
	dst = append(dst, 0)
	if e := p.DivergingEpoch; e != NoEpochEnd {
		dst[count]++
		dst = append(dst, 0, 4+8+1)
		dst = appendInt32(dst, e.Epoch)
		dst = appendInt64(dst, e.EndOffset)
		dst = append(dst, 0)
	}
	if p.CurrentLeader != NoLeader {
		dst[count]++
		dst = appendCurrentLeader(dst, 1, p.CurrentLeader)
	}
	if e := p.SnapshotID; e != NoEpochEnd {
		dst[count]++
		dst = append(dst, 2, 8+4+1)
		dst = appendInt64(dst, e.EndOffset)
		dst = appendInt32(dst, e.Epoch)
		dst = append(dst, 0)
	}
	if f := p.Forgotten; f != (Forgotten{}) {
		dst[count]++
		dst = appendUvarint(dst, copyTag)
		dst = append(dst, 4+4+1)
		dst = appendInt32(dst, f.Copy)
		dst = appendInt32(dst, f.PartitionEpoch)
		dst = append(dst, 0)
	}
	return dst
}
