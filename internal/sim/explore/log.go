package explore

import (
	"encoding/binary"
	"slices"

	"github.com/logbahn/logbahn/internal/partition/replica"
)

// entry is one record, a batch of its own.
type entry struct {
	epoch int32
	value uint8
}

type epochStart struct {
	epoch int32
	start int64
}

// model is a log as commitlog keeps one: what it says of epochs and truncation is commitlog's contract. Offsets begin at
// 0. Its slices are never written to in place, so that copies of a model share them.
type model struct {
	entries []entry
	epochs  []epochStart
	synced  int64 // below it nothing is lost with the power
}

func (l *model) end() int64 { return int64(len(l.entries)) }

// startEpoch is commitlog.Log.StartEpoch.
func (l *model) startEpoch(epoch int32) {
	if epoch > l.latestEpoch() {
		l.assign(epoch, l.end())
	}
}

func (l *model) latestEpoch() int32 {
	if len(l.epochs) == 0 {
		return -1
	}
	return l.epochs[len(l.epochs)-1].epoch
}

// assign adds an epoch and drops those without records that it overtakes.
func (l *model) assign(epoch int32, start int64) {
	n := len(l.epochs)
	for n > 0 && (l.epochs[n-1].start >= start || l.epochs[n-1].epoch >= epoch) {
		if l.epochs[n-1].epoch == epoch && l.epochs[n-1].start <= start {
			l.epochs = l.epochs[:n:n]
			return
		}
		n--
	}
	l.epochs = append(l.epochs[:n:n], epochStart{epoch, start})
}

func (l *model) append(e entry) {
	if e.epoch != l.latestEpoch() {
		l.assign(e.epoch, l.end())
	}
	l.entries = append(slices.Clip(l.entries), e)
}

// truncate drops the records from end on.
func (l *model) truncate(end int64) {
	l.entries = l.entries[:end:end]
	l.synced = min(l.synced, end)
	n := slices.IndexFunc(l.epochs, func(e epochStart) bool { return e.start >= end })
	if n >= 0 {
		l.epochs = l.epochs[:n:n]
	}
}

// epochAt is commitlog.Log.EpochAt.
func (l *model) epochAt(offset int64) int32 {
	epoch := int32(-1)
	for _, e := range l.epochs {
		if e.start <= offset {
			epoch = e.epoch
		}
	}
	return epoch
}

// epochEnd is commitlog.Log.EpochEndOffset.
func (l *model) epochEnd(epoch int32) replica.EpochEnd {
	if epoch < 0 || epoch > l.latestEpoch() {
		return replica.EpochEnd{Epoch: -1, EndOffset: -1}
	}
	i := slices.IndexFunc(l.epochs, func(e epochStart) bool { return e.epoch > epoch })
	switch {
	case i < 0:
		return replica.EpochEnd{Epoch: l.latestEpoch(), EndOffset: l.end()}
	case i == 0:
		return replica.EpochEnd{Epoch: epoch, EndOffset: l.epochs[0].start}
	}
	return replica.EpochEnd{Epoch: l.epochs[i-1].epoch, EndOffset: l.epochs[i].start}
}

func (l *model) appendState(dst []byte) []byte {
	dst = binary.AppendVarint(append(dst, byte(len(l.entries)), byte(len(l.epochs))), l.synced)
	for _, e := range l.entries {
		dst = append(dst, byte(e.epoch), e.value)
	}
	for _, e := range l.epochs {
		dst = append(dst, byte(e.epoch), byte(e.start))
	}
	return dst
}
