package broker

import (
	"context"
	"errors"
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/partition"
	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/wire"
)

// Produce, versions 0 to 13.
//
// v0 to v2 carry message sets of magic 0 or 1, which become one batch; from v3 on each partition has exactly one batch.
// v7 allows zstd (KIP-110); v8 names the records at fault (KIP-467); v10 the new leader's address (KIP-951); v13 topics by
// id (KIP-516). acks=1 and acks=all both wait for the disk: acks=0 is for those who do not want to.
//
// Transactions are refused with TRANSACTIONAL_ID_AUTHORIZATION_FAILED: it is the one code that every client with
// transactions takes as final. Of the others librdkafka retries all that it does not know.

// flushPatience is the least time that a client is kept waiting for the disk. Its own timeout is meant for replicas, and
// some set it to nothing.
const flushPatience = time.Second

// produceCall is one Produce request on its way. It is reused, since in steady state a request should allocate nothing:
// newProduceCall takes it from the pool, and encoding the reply gives it back.
type produceCall struct {
	b        *Broker
	conn     *Conn
	img      *cluster.Image
	version  int16
	acks     int16
	timeout  time.Duration
	admin    bool // the client may write internal topics
	listener string
	failed   bool // some partition has an error
	waits    []produceWait
	resp     wire.ProduceResponse
	expired  *time.Timer
	finish   Finish // c.wait, made once
}

// produceWait is an append that is not safe yet, and where its answer stands.
type produceWait struct {
	partition   *partition.Partition
	topic       *cluster.Topic
	ack         partition.Ack
	topicAt, at int
}

// newProduceCall takes a call out of the broker's pool. Brokers share none: a timer must not leave the bubble of a
// simulated one.
func (b *Broker) newProduceCall() *produceCall {
	if c, ok := b.produceCalls.Get().(*produceCall); ok {
		return c
	}
	c := &produceCall{expired: time.NewTimer(time.Hour)}
	c.expired.Stop()
	c.finish = c.wait
	return c
}

// startProduce appends: what the request aliases is not needed afterwards.
func (b *Broker) startProduce(ctx context.Context, r *Request) Finish {
	req := r.Body.(*wire.ProduceRequest)
	c := b.newProduceCall()
	c.b, c.conn, c.version, c.acks = b, r.Conn, req.Version, req.Acks
	if c.img = b.cfg.Metadata.Image(); !knowsTopics(c.img, req) {
		// Clients of old fail on the error, and with acks=0 what was sent would be gone. (Made here, the function costs a request
		// for topics that are there no memory.)
		c.img = b.imageWith(ctx, func(img *cluster.Image) bool { return knowsTopics(img, req) })
	}
	c.timeout = max(time.Duration(req.TimeoutMillis)*time.Millisecond, flushPatience)
	c.admin, c.listener = r.clientID() == adminClientID, r.Conn.Listener
	c.resp.Version = req.Version
	c.resp.Topics = resize(c.resp.Topics, len(req.Topics))
	refusal := refuseProduce(req)
	for i := range req.Topics {
		c.appendTopic(i, &req.Topics[i], refusal)
	}
	return c.finish
}

func knowsTopics(img *cluster.Image, req *wire.ProduceRequest) bool {
	for i := range req.Topics {
		t := &req.Topics[i]
		if _, code := (topicRef{name: t.Topic, id: t.TopicID, byID: req.Version >= 13}).find(img); code != wire.None {
			return false
		}
	}
	return true
}

// adminClientID is the client id of Kafka's own tools, which alone may write internal topics.
const adminClientID = "__admin_client"

// refuseProduce returns why nothing of a request may be appended, None when it may.
func refuseProduce(req *wire.ProduceRequest) wire.Error {
	switch {
	case req.Acks < -1 || req.Acks > 1:
		return wire.InvalidRequiredAcks
	case req.TransactionalID != nil:
		return wire.TransactionalIDAuthorizationFailed
	}
	return wire.None
}

// resize returns s with n elements, whose memory is reused.
func resize[T any](s []T, n int) []T {
	if n <= cap(s) {
		return s[:n]
	}
	return append(s[:cap(s)], make([]T, n-cap(s))...)
}

func (c *produceCall) appendTopic(i int, req *wire.ProduceTopic, refusal wire.Error) {
	reply := &c.resp.Topics[i]
	reply.Topic, reply.TopicID = req.Topic, req.TopicID
	reply.Partitions = resize(reply.Partitions, len(req.Partitions))
	topic, code := topicRef{name: req.Topic, id: req.TopicID, byID: c.version >= 13}.find(c.img)
	switch {
	case refusal != wire.None:
		code = refusal
	case code == wire.None && topic.Internal && !c.admin:
		code = wire.InvalidTopicException
	}
	for at := range req.Partitions {
		part := &req.Partitions[at]
		reply.Partitions[at] = wire.ProducePartitionReply{
			Partition: part.Partition, Error: code,
			BaseOffset: -1, LogAppendTime: -1, LogStartOffset: -1, CurrentLeader: wire.NoLeader,
		}
		if code == wire.None {
			c.appendPartition(topic, part, i, at)
		}
		c.failed = c.failed || reply.Partitions[at].Error != wire.None
	}
}

// appendPartition appends what was sent for one partition and notes what to wait for.
func (c *produceCall) appendPartition(topic *cluster.Topic, part *wire.ProducePartition, i, at int) {
	reply := &c.resp.Topics[i].Partitions[at]
	p, code := c.b.replica(topic, part.Partition)
	if code != wire.None {
		c.refuse(reply, topic, c.conn.refusals.refused(topic.ID, part.Partition, part.Records, code))
		return
	}
	traffic := p.Traffic()
	traffic.Produces.Add(1)
	batch, err := admit(p.Settings(), c.version, part.Records, c.b.now())
	if err != nil {
		traffic.ProducesFailed.Add(1)
		c.fail(reply, topic, part.Records, err)
		return
	}
	if len(batch) == 0 { // an empty message set of v0 to v2
		return
	}
	a, err := p.Append(batch, partition.AppendOptions{
		Origin: commitlog.Client, LeaderEpoch: partition.AnyEpoch, AllInSync: c.acks == -1,
	})
	if err != nil {
		traffic.ProducesFailed.Add(1)
		c.fail(reply, topic, batch, err)
		return
	}
	c.conn.refusals.appended(topic.ID, part.Partition, batch)
	if !a.Duplicate {
		traffic.BytesIn.Add(int64(len(batch)))
		traffic.RecordsIn.Add(a.EndOffset() - a.FirstOffset)
	}
	reply.BaseOffset, reply.LogAppendTime, reply.LogStartOffset = a.FirstOffset, a.LogAppendTime, a.LogStartOffset
	if a.Forgotten && c.acks != 0 {
		reply.Error = wire.DuplicateSequenceNumber // which clients take for success, with an offset that is unknown
	}
	c.waits = append(c.waits, produceWait{
		partition: p, topic: topic, topicAt: i, at: at,
		ack: partition.Ack{LeaderEpoch: a.LeaderEpoch, EndOffset: a.EndOffset(), Acks: c.acks},
	})
}

// wait is the Finish of a produce request.
func (c *produceCall) wait(ctx context.Context) wire.Response {
	if c.acks == 0 {
		failed := c.failed
		c.release()
		if failed {
			return Disconnect
		}
		return nil
	}
	deadline := time.Now().Add(c.timeout)
	c.expired.Reset(c.timeout)
	expired := c.expired.C
	for i := range c.waits {
		w := &c.waits[i]
		w.ack.Expired = expired
		err := w.partition.Wait(ctx, w.ack)
		if !time.Now().Before(deadline) { // whatever came of this wait, it may have taken what the timer had to say
			expired = alreadyExpired
		}
		if err == nil {
			continue
		}
		w.partition.Traffic().ProducesFailed.Add(1)
		reply := &c.resp.Topics[w.topicAt].Partitions[w.at]
		reply.BaseOffset, reply.LogAppendTime, reply.LogStartOffset = -1, -1, -1
		c.refuse(reply, w.topic, c.b.produceError(err)) // the batch has its place: nothing behind it leaves a gap
	}
	c.expired.Stop()
	return c
}

// alreadyExpired ends waits at once: a timer says only once that it has expired.
var alreadyExpired = func() <-chan time.Time {
	ch := make(chan time.Time)
	close(ch)
	return ch
}()

// AppendTo implements wire.Response. It gives the call back to the pool.
func (c *produceCall) AppendTo(dst []byte) ([]byte, error) {
	defer c.release()
	return c.resp.AppendTo(dst)
}

// CountErrors implements wire.ErrorLister.
func (c *produceCall) CountErrors(to wire.ErrorCounter) { c.resp.CountErrors(to) }

// EncodedSize implements wire.Sizer.
func (c *produceCall) EncodedSize() int { return c.resp.EncodedSize() }

func (c *produceCall) release() {
	clear(c.waits)
	c.waits = c.waits[:0]
	c.resp.NodeEndpoints = c.resp.NodeEndpoints[:0]
	pool := &c.b.produceCalls
	c.b, c.conn, c.img, c.failed = nil, nil, nil, false
	pool.Put(c)
}

func (c *produceCall) refuse(reply *wire.ProducePartitionReply, topic *cluster.Topic, code wire.Error) {
	reply.Error = code
	if c.version <= 3 && code == wire.KafkaStorageError {
		reply.Error = wire.NotLeaderOrFollower // older clients do not know the code, and retry this one
	}
	if movesClient(code) {
		reply.CurrentLeader = c.b.leaderOf(topic, reply.Partition)
		c.resp.NodeEndpoints = nodeEndpoints(c.resp.NodeEndpoints, c.img, c.listener, reply.CurrentLeader)
	}
}

// fail fills in a reply for what went wrong with a batch that was not appended.
func (c *produceCall) fail(reply *wire.ProducePartitionReply, topic *cluster.Topic, batch []byte, err error) {
	c.refuse(reply, topic, c.conn.refusals.refused(topic.ID, reply.Partition, batch, c.b.produceError(err)))
	if reply.Error == wire.InvalidRecord || reply.Error == wire.InvalidTimestamp {
		text := err.Error()
		reply.ErrorMessage = &text
		reply.RecordErrors = recordErrors(err)
	}
}

// recordErrors returns the records at fault, when they are known.
func recordErrors(err error) []wire.RecordError {
	var many record.RecordErrors
	var one *record.RecordError
	switch {
	case errors.As(err, &many):
	case errors.As(err, &one):
		many = record.RecordErrors{one}
	}
	list := make([]wire.RecordError, len(many))
	for i, e := range many {
		list[i] = wire.RecordError{Index: int32(e.Index), Message: &e.Reason}
	}
	return list
}

// produceError maps what can go wrong with the records of one partition.
func (b *Broker) produceError(err error) wire.Error {
	var offline *partition.OfflineError
	switch {
	case errors.Is(err, partition.ErrNotLeader), errors.Is(err, partition.ErrFencedLeaderEpoch):
		return wire.NotLeaderOrFollower
	case errors.Is(err, partition.ErrNotEnoughReplicas):
		return wire.NotEnoughReplicas
	case errors.Is(err, partition.ErrNotEnoughReplicasAfterAppend):
		return wire.NotEnoughReplicasAfterAppend
	case errors.Is(err, partition.ErrTimeout), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return wire.RequestTimedOut
	case errors.As(err, &offline), errors.Is(err, commitlog.ErrStorage), errors.Is(err, commitlog.ErrNoSpace), errors.Is(err, commitlog.ErrClosed):
		return wire.KafkaStorageError
	case errors.Is(err, commitlog.ErrOutOfOrderSequence):
		return wire.OutOfOrderSequenceNumber
	case errors.Is(err, commitlog.ErrInvalidProducerEpoch):
		return wire.InvalidProducerEpoch
	case errors.Is(err, commitlog.ErrMessageTooLarge):
		return wire.MessageTooLarge
	case errors.Is(err, errTransactional):
		return wire.TransactionalIDAuthorizationFailed
	case errors.Is(err, record.ErrCorrupt):
		return wire.CorruptMessage
	case errors.Is(err, record.ErrUnsupportedCodec):
		return wire.UnsupportedCompressionType
	case errors.Is(err, record.ErrInvalidTimestamp):
		return wire.InvalidTimestamp
	case errors.Is(err, record.ErrInvalid), errors.Is(err, record.ErrTooLarge), errors.Is(err, commitlog.ErrInvalidBatch):
		return wire.InvalidRecord
	}
	return b.failed("Produce", err)
}
