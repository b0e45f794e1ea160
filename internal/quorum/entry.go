package quorum

import (
	"encoding/binary"
	"fmt"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/logbahn/logbahn/internal/record"
)

// recordBytesMax bounds the record of one entry when it is read back. Changes of one request stay far below.
const recordBytesMax = 64 << 20

// The control types of entries that hold no changes, as Kafka numbers those it has for the same purpose.
const (
	controlLeaderChange int16 = 2 // raft's empty entry at the start of a term
	controlVoters       int16 = 6 // a change of the members
)

// An entry's data is the proposer's clock, 8 bytes of milliseconds, and the changes. The clock becomes the record's
// timestamp, so that the batches of all replicas are equal.
const clockBytes = 8

func entryData(now time.Time, changes []byte) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(now.UnixMilli())), changes...)
}

// entryChanges is the inverse of entryData.
func entryChanges(data []byte) (timestamp int64, changes []byte, err error) {
	if len(data) < clockBytes {
		return 0, nil, fmt.Errorf("an entry of %d bytes has no clock", len(data))
	}
	return int64(binary.BigEndian.Uint64(data)), data[clockBytes:], nil
}

// appendEntry appends the batch of an entry to dst.
func appendEntry(dst []byte, b *record.Builder, e *pb.Entry) ([]byte, error) {
	o := record.BuilderOptions{BaseOffset: int64(e.GetIndex()) - 1, LeaderEpoch: int32(e.GetTerm())}
	r := record.Record{Value: e.GetData()}
	switch {
	case e.GetType() != pb.EntryNormal:
		o.Control = true
		r.Key = controlKey(controlVoters, int16(e.GetType()))
	case len(e.GetData()) == 0:
		o.Control = true
		r.Key = controlKey(controlLeaderChange, 0)
	default:
		timestamp, changes, err := entryChanges(e.GetData())
		if err != nil {
			return dst, err
		}
		r.Timestamp, r.Value = timestamp, changes
	}
	b.Reset(o)
	b.Append(r)
	return append(dst, b.Bytes()...), nil
}

// controlKey is version and type, as of Kafka's control records. Our version tells raft's entry types apart.
func controlKey(kind, version int16) []byte {
	key := binary.BigEndian.AppendUint16(nil, uint16(version))
	return binary.BigEndian.AppendUint16(key, uint16(kind))
}

// readEntry is the inverse of appendEntry for one batch.
func readEntry(batch []byte) (*pb.Entry, error) {
	h, err := record.ReadHeader(batch)
	if err != nil {
		return nil, err
	}
	if h.Count != 1 || h.BaseOffset < 0 || h.LeaderEpoch < 0 {
		return nil, fmt.Errorf("offset %d: %d records in epoch %d are no entry", h.BaseOffset, h.Count, h.LeaderEpoch)
	}
	e := &pb.Entry{Index: new(uint64(h.BaseOffset) + 1), Term: new(uint64(h.LeaderEpoch)), Type: pb.EntryNormal.Enum()}
	for r, err := range record.Records(batch, recordBytesMax) {
		if err != nil {
			return nil, fmt.Errorf("offset %d: %w", h.BaseOffset, err)
		}
		if err := fillEntry(e, h, r); err != nil {
			return nil, fmt.Errorf("offset %d: %w", h.BaseOffset, err)
		}
	}
	return e, nil
}

// fillEntry fills in what the entry's one record says. The record's bytes may alias the batch: they are copied.
func fillEntry(e *pb.Entry, h record.Header, r record.Record) error {
	if !h.Attributes.Control() {
		e.Data = entryData(time.UnixMilli(r.Timestamp), r.Value)
		return nil
	}
	if len(r.Key) != 4 {
		return fmt.Errorf("a control record's key has %d bytes", len(r.Key))
	}
	version, kind := int16(binary.BigEndian.Uint16(r.Key)), int16(binary.BigEndian.Uint16(r.Key[2:]))
	switch kind {
	case controlLeaderChange:
		return nil
	case controlVoters:
		if t := pb.EntryType(version); t == pb.EntryConfChange || t == pb.EntryConfChangeV2 {
			e.Type, e.Data = t.Enum(), append([]byte(nil), r.Value...)
			return nil
		}
	}
	return fmt.Errorf("unknown control record, type %d version %d", kind, version)
}
