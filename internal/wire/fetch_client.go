package wire

import "math"

// AppendTo appends the request's body in [FetchVersion], the one that nodes speak among each other, whatever r.Version
// says. Topics go by id: their names are not sent.
func (r *FetchRequest) AppendTo(dst []byte) []byte {
	dst = appendInt32(dst, r.MaxWaitMillis)
	dst = appendInt32(dst, r.MinBytes)
	dst = appendInt32(dst, r.MaxBytes)
	dst = append(dst, byte(r.IsolationLevel))
	dst = appendInt32(dst, r.SessionID)
	dst = appendInt32(dst, r.SessionEpoch)
	dst = appendLength(dst, len(r.Topics), true)
	for i := range r.Topics {
		dst = r.Topics[i].appendTo(dst)
	}
	dst = appendLength(dst, len(r.ForgottenTopics), true)
	for i := range r.ForgottenTopics {
		dst = r.ForgottenTopics[i].appendTo(dst)
	}
	dst = appendString(dst, r.Rack, true)
	return r.appendTags(dst)
}

func (r *FetchRequest) appendTags(dst []byte) []byte {
	count := len(dst)
	dst = append(dst, 0)
	if r.ClusterID != nil {
		dst[count]++
		dst = append(dst, 0)
		dst = appendUvarint(dst, uint32(stringSize(*r.ClusterID, true)))
		dst = appendString(dst, *r.ClusterID, true)
	}
	if r.ReplicaID != -1 || r.ReplicaEpoch != -1 {
		dst[count]++
		dst = append(dst, 1, 4+8+1)
		dst = appendInt32(dst, r.ReplicaID)
		dst = appendInt64(dst, r.ReplicaEpoch)
		dst = append(dst, 0)
	}
	return dst
}

func (t *FetchTopic) appendTo(dst []byte) []byte {
	dst = append(dst, t.TopicID[:]...)
	dst = appendLength(dst, len(t.Partitions), true)
	for i := range t.Partitions {
		dst = t.Partitions[i].appendTo(dst)
	}
	return append(dst, 0)
}

func (p *FetchPartition) appendTo(dst []byte) []byte {
	dst = appendInt32(dst, p.Partition)
	dst = appendInt32(dst, p.CurrentLeaderEpoch)
	dst = appendInt64(dst, p.FetchOffset)
	dst = appendInt32(dst, p.LastFetchedEpoch)
	dst = appendInt64(dst, p.LogStartOffset)
	dst = appendInt32(dst, p.PartitionMaxBytes)
	count := len(dst)
	dst = append(dst, 0)
	if p.ReplicaDirectoryID != [16]byte{} {
		dst[count]++
		dst = append(dst, 0, 16)
		dst = append(dst, p.ReplicaDirectoryID[:]...)
	}
	if p.HighWatermark != math.MaxInt64 {
		dst[count]++
		dst = append(dst, 1, 8)
		dst = appendInt64(dst, p.HighWatermark)
	}
	if p.FlushedOffset != -1 {
		dst[count]++
		dst = appendUvarint(dst, flushedOffsetTag)
		dst = append(dst, 8)
		dst = appendInt64(dst, p.FlushedOffset)
	}
	if p.Copy != 0 {
		dst[count]++
		dst = appendUvarint(dst, copyTag)
		dst = append(dst, 4)
		dst = appendInt32(dst, p.Copy)
	}
	return dst
}

func (t *ForgottenTopic) appendTo(dst []byte) []byte {
	dst = append(dst, t.TopicID[:]...)
	dst = appendLength(dst, len(t.Partitions), true)
	for _, p := range t.Partitions {
		dst = appendInt32(dst, p)
	}
	return append(dst, 0)
}

// Decode reads a response's body in [FetchVersion] into r, whose slices it reuses. Record data aliases body
// ([FetchPartitionReply.RecordData]); nothing else does. Beside that it makes no more than twice len(body) and
// [DecodeSlackBytes]. An error matches [ErrMalformed], and leaves no topics.
func (r *FetchResponse) Decode(body []byte) error {
	b := weighed{reader: reader{src: body, flexible: true}, limit: decodeLimit(body)}
	r.Version = FetchVersion
	r.ThrottleMillis = b.int32()
	r.Error = Error(b.int16())
	r.SessionID = b.int32()
	r.Topics = grow(r.Topics, weighedLength[FetchTopicReply](&b))
	for i := range r.Topics {
		r.Topics[i].decode(&b)
	}
	r.NodeEndpoints = nil
	for n := b.tagCount(); n > 0 && !b.bad; n-- {
		if number, value := b.tag(); number == 0 {
			r.decodeEndpoints(value, &b)
		}
	}
	if b.bad {
		r.Release()
		return malformed("reply to Fetch", FetchVersion, len(body))
	}
	return nil
}

// Release forgets the record data, so that a response that waits for its next Decode keeps no frame alive, and gives up
// slices that an unusual one has blown up.
func (r *FetchResponse) Release() {
	const elementsKept = 4096
	elements := len(r.Topics)
	for i := range r.Topics {
		t := &r.Topics[i]
		elements += len(t.Partitions)
		clear(t.Partitions)
		t.Partitions = t.Partitions[:0]
	}
	r.Topics, r.NodeEndpoints = r.Topics[:0], nil
	if elements > elementsKept {
		r.Topics = nil
	}
}

// decodeEndpoints reads a tagged field's value at the expense of the body that it is part of.
func (r *FetchResponse) decodeEndpoints(value reader, body *weighed) {
	b := weighed{reader: value, weight: body.weight, limit: body.limit}
	r.NodeEndpoints = make([]NodeEndpoint, weighedLength[NodeEndpoint](&b))
	for i := range r.NodeEndpoints {
		e := &r.NodeEndpoints[i]
		e.NodeID = b.int32()
		e.Host = b.string()
		e.Port = b.int32()
		e.Rack = b.nullableString()
		b.skipTags()
	}
	if body.weight = b.weight; b.bad {
		body.fail()
	}
}

func (t *FetchTopicReply) decode(b *weighed) {
	t.Topic, t.TopicID = "", b.uuid()
	t.Partitions = grow(t.Partitions, weighedLength[FetchPartitionReply](b))
	for i := range t.Partitions {
		t.Partitions[i].decode(b)
	}
	b.skipTags()
}

func (p *FetchPartitionReply) decode(b *weighed) {
	*p = NewFetchPartitionReply(b.int32())
	p.Error = Error(b.int16())
	p.HighWatermark = b.int64()
	p.LastStableOffset = b.int64()
	p.LogStartOffset = b.int64()
	p.decodeAborted(b)
	p.PreferredReadReplica = b.int32()
	if records := b.bytes(); len(records) > 0 {
		p.Records = RecordBytes(records)
	}
	for n := b.tagCount(); n > 0 && !b.bad; n-- {
		number, value := b.tag()
		switch number {
		case 0:
			p.DivergingEpoch.Epoch, p.DivergingEpoch.EndOffset = value.int32(), value.int64()
		case 1:
			p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch = value.int32(), value.int32()
		case 2:
			p.SnapshotID.EndOffset, p.SnapshotID.Epoch = value.int64(), value.int32()
		case copyTag:
			p.Forgotten.Copy, p.Forgotten.PartitionEpoch = value.int32(), value.int32()
		default:
			continue
		}
		if value.skipTags(); value.bad {
			b.fail()
		}
	}
}

func (p *FetchPartitionReply) decodeAborted(b *weighed) {
	n := b.length(false)
	if n < 0 {
		return
	}
	const transactionBytes = 16
	if b.weight += n * transactionBytes; b.weight > b.limit {
		b.fail()
		return
	}
	p.AbortedTransactions = make([]AbortedTransaction, n)
	for i := range p.AbortedTransactions {
		a := &p.AbortedTransactions[i]
		a.ProducerID = b.int64()
		a.FirstOffset = b.int64()
		b.skipTags()
	}
}

// RecordData returns the record data of a decoded reply, which aliases its body; nil is none.
func (p *FetchPartitionReply) RecordData() []byte {
	data, _ := p.Records.(RecordBytes)
	return data
}
