package broker

import (
	"errors"

	"github.com/logbahn/logbahn/internal/partition"
	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/wire"
)

// oldMagic returns the message set version that clients of a Fetch version read, false when they read batches.
func oldMagic(version int16) (int8, bool) {
	switch {
	case version < 2:
		return 0, true
	case version < 4:
		return 1, true
	}
	return 0, false
}

// convert gives clients of v0 to v3 message sets in place of the batches that were read.
func (c *fetchCall) convert() {
	magic, old := oldMagic(c.req.Version)
	if !old {
		return
	}
	for i := range c.found {
		f := &c.found[i]
		if f.reply.Error != wire.None || f.read.Chunk.Size() == 0 {
			continue
		}
		set, err := c.downConvert(f, &c.items[i].want, magic)
		f.reply.Records = wire.RecordBytes(set)
		if f.reply.Error = c.b.downConvertError(err); err != nil {
			f.reply.Records = nil
		}
	}
}

// downConvert reads on while what was read holds nothing for the client, such as the markers of transactions: with an
// empty set it would ask for the same offset again.
func (c *fetchCall) downConvert(f *fetched, want *wire.FetchPartition, magic int8) ([]byte, error) {
	o := record.DownOptions{
		MaxBytes:    decompressedMax(f.partition.Settings()),
		FirstOffset: want.FetchOffset,
		SetBytes:    f.read.Chunk.Size(),
	}
	next := *want
	for {
		batches, err := f.read.Chunk.AppendTo(nil)
		if err != nil {
			return nil, err
		}
		set, err := record.DownConvert(batches, magic, o)
		if err != nil || len(set) > 0 || next.FetchOffset >= f.read.Chunk.NextOffset() {
			return set, err
		}
		next.FetchOffset = f.read.Chunk.NextOffset()
		c.read(f, &next, c.bytesMax(), true)
		if f.reply.Error != wire.None || f.read.Chunk.Size() == 0 {
			f.reply.Error = wire.None
			return nil, nil
		}
	}
}

func (b *Broker) downConvertError(err error) wire.Error {
	switch {
	case errors.Is(err, record.ErrUnsupportedCodec):
		return wire.UnsupportedCompressionType
	case errors.Is(err, record.ErrInvalid), errors.Is(err, record.ErrTooLarge):
		return wire.UnsupportedForMessageFormat // what is stored has no form that this client reads
	case errors.Is(err, record.ErrCorrupt):
		return wire.CorruptMessage
	case errors.Is(err, partition.ErrNotLeader):
		return wire.NotLeaderOrFollower
	}
	return b.fetchError(err)
}
