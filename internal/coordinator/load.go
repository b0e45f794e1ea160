package coordinator

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/logbahn/logbahn/internal/coordinator/group"
	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/seeded"
)

// decompressedBytesMax bounds what one batch of __consumer_offsets may decompress to.
const decompressedBytesMax = 64 << 20

// load replays the partition. It returns nil too when the shard is unloaded meanwhile.
func (s *shard) load() error {
	s.machine = group.New(s.groupConfig())
	l := loader{shard: s, open: make(map[int64]map[string]staged)}
	started := time.Now()
	for batch, err := range s.log.Batches() {
		if err != nil {
			return fmt.Errorf("load the groups of partition %d: %w", s.partition, err)
		}
		if err := l.batch(batch); err != nil {
			return fmt.Errorf("load the groups of partition %d: %w", s.partition, err)
		}
		if time.Since(started) > s.cfg.LoadPatience {
			s.refuseWaiting()
		}
		if s.unloaded() {
			return nil
		}
	}
	now := s.cfg.Now()
	s.machine.Loaded(now)
	if l.malformed > 0 {
		s.cfg.Log.Error("records of the group coordinator could not be read and were skipped",
			slog.Int("partition", int(s.partition)), slog.Int("records", l.malformed), slog.Any("last", l.lastErr))
	}
	// Where the log takes nothing groups are served all the same: what was committed for another topic of its name counts for none.
	if err := s.dropDeleted(); err != nil {
		return err
	}
	return s.endRound()
}

// madeAgain says whether the offset is of a topic that has been deleted, also while nobody watched.
func (s *shard) madeAgain(_ string, id [16]byte) bool {
	if id == [16]byte{} {
		return false
	}
	_, exists := s.cfg.Topics.TopicByID(id)
	return !exists
}

func (s *shard) refuseWaiting() {
	for {
		select {
		case c := <-s.inbox:
			if seeded.Is(seeded.AnswerWhileLoading) {
				_ = errors.Join(s.take(c), s.endRound())
				continue
			}
			c.answer <- answer{err: errLoading}
		default:
			return
		}
	}
}

func (s *shard) unloaded() bool {
	select {
	case <-s.quit:
		return true
	default:
		return false
	}
}

// loader replays batches. Records of a transaction, which a log taken over from Kafka can hold, count from the commit
// marker on and never without one. One that was written before a record which counts already does not replace that: so
// the log says the same after compaction, which keeps the last record of a key whatever transaction it is of.
type loader struct {
	shard     *shard
	open      map[int64]map[string]staged // by producer id and key
	malformed int
	lastErr   error
}

// staged is a record of a transaction that is open.
type staged struct {
	offset int64
	value  []byte
}

func (l *loader) batch(batch []byte) error {
	if err := record.CheckCRC(batch); err != nil {
		return err
	}
	h, err := record.ReadHeader(batch)
	if err != nil {
		return err
	}
	for rec, err := range record.Records(batch, decompressedBytesMax) {
		switch {
		case err != nil:
			return err
		case h.Attributes.Control():
			l.marker(h.ProducerID, rec.Key)
		case h.Attributes.Transactional():
			l.stage(h.ProducerID, rec)
		default:
			l.replay(rec.Offset, rec.Key, rec.Value)
		}
	}
	l.shard.end = h.NextOffset()
	return nil
}

func (l *loader) stage(producerID int64, rec record.Record) {
	if l.open[producerID] == nil {
		l.open[producerID] = make(map[string]staged)
	}
	l.open[producerID][string(rec.Key)] = staged{offset: rec.Offset, value: clone(rec.Value)}
}

// marker ends a transaction: its key is a version and a type, 1 for commit.
func (l *loader) marker(producerID int64, key []byte) {
	records := l.open[producerID]
	delete(l.open, producerID)
	if len(key) < 4 || binary.BigEndian.Uint16(key[2:]) != 1 {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(records)) {
		l.replay(records[key].offset, []byte(key), records[key].value)
	}
}

// replay lets a record count. What open transactions have written before it for the same key never will.
func (l *loader) replay(offset int64, key, value []byte) {
	for _, records := range l.open {
		if r, ok := records[string(key)]; ok && r.offset < offset {
			delete(records, string(key))
		}
	}
	if err := l.shard.machine.Replay(key, value); err != nil {
		l.malformed++
		l.lastErr = err
	}
}

// clone keeps nil, which is a tombstone.
func clone(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append([]byte{}, b...)
}
