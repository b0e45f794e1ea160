package broker

import (
	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/wire"
)

// An idempotent producer has up to five requests under way. When the first is refused for the time being, by a broker that does
// not lead yet or has too few replicas in sync, and the reason is gone by the time that the second is looked at, the second would
// leave a gap, though nothing is wrong: the producer sends both again. Told of the gap, librdkafka takes a new epoch, and
// with it writes once more whatever it has not been answered, to all partitions: what had been appended there is there
// twice. So the second is refused for the reason of the first.

const (
	// followersMax is how many requests can be under way behind the one that was refused: clients with idempotence have five at
	// most, which is what brokers remember. A gap that is told of after so many is a gap.
	followersMax = 4
	// refusalsMax bounds what is remembered of a connection; the oldest refusal gives way.
	refusalsMax = 256
)

// refusals are the batches of idempotent producers that a connection's client has to send again. Its requests are started
// one after the other: it needs no lock.
type refusals []refusal

type refusal struct {
	topic     cluster.UUID
	partition int32
	producer  int64
	epoch     int16
	code      wire.Error
	followers int // how many more may be refused like it
}

func (r *refusal) is(of *refusal) bool {
	return r.topic == of.topic && r.partition == of.partition && r.producer == of.producer && r.epoch == of.epoch
}

// refused takes note of the code that a batch is answered with, and returns the code that it is to be answered with.
func (list *refusals) refused(topic cluster.UUID, partition int32, batch []byte, code wire.Error) wire.Error {
	gap := code == wire.OutOfOrderSequenceNumber
	if gap && len(*list) == 0 || !gap && !code.Retriable() {
		return code
	}
	h, err := record.ReadHeader(batch)
	if err != nil || h.ProducerID < 0 {
		return code
	}
	this := refusal{topic: topic, partition: partition, producer: h.ProducerID, epoch: h.ProducerEpoch, code: code, followers: followersMax}
	for i := range *list {
		before := &(*list)[i]
		switch {
		case !before.is(&this):
		case !gap:
			*before = this
			return code
		case before.followers > 0:
			before.followers--
			return before.code
		default:
			return code
		}
	}
	if gap {
		return code
	}
	if len(*list) == refusalsMax {
		*list = append((*list)[:0], (*list)[1:]...)
	}
	*list = append(*list, this)
	return code
}

// appended forgets what was refused before a batch that has its place now.
func (list *refusals) appended(topic cluster.UUID, partition int32, batch []byte) {
	if len(*list) == 0 {
		return
	}
	h, err := record.ReadHeader(batch)
	if err != nil {
		return
	}
	this := refusal{topic: topic, partition: partition, producer: h.ProducerID, epoch: h.ProducerEpoch}
	for i := range *list {
		if (*list)[i].is(&this) {
			*list = append((*list)[:i], (*list)[i+1:]...)
			return
		}
	}
}
