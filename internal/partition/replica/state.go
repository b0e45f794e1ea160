package replica

import (
	"encoding/binary"

	"github.com/logbahn/logbahn/internal/cluster"
)

// AppendState appends all that a machine remembers to dst: two machines of one Config with equal states behave alike. A
// search through states tells by it where it has been; nothing is stored or sent in this form.
func (m *Machine) AppendState(dst []byte) []byte {
	for _, n := range []int64{
		int64(m.leader), int64(m.leaderEpoch), int64(m.partitionEpoch), int64(m.uncleanEpoch), int64(m.minISR),
		m.end, m.flushed, m.highWatermark, m.epochStart, m.unchecked,
	} {
		dst = binary.AppendVarint(dst, n)
	}
	dst = appendIDs(dst, m.isr, true)
	dst = appendIDs(dst, m.proposed, m.proposed != nil)
	dst = binary.AppendUvarint(dst, uint64(len(m.followers)))
	for i := range m.followers {
		f := &m.followers[i]
		for _, n := range []int64{int64(f.id), f.brokerEpoch, int64(f.copy), f.start, f.end, f.flushed, f.caughtUpMs, f.goal, f.goalMs} {
			dst = binary.AppendVarint(dst, n)
		}
	}
	return dst
}

func appendIDs(dst []byte, ids []cluster.NodeID, present bool) []byte {
	if !present {
		return append(dst, 0)
	}
	dst = binary.AppendUvarint(dst, uint64(len(ids))+1)
	for _, id := range ids {
		dst = binary.AppendVarint(dst, int64(id))
	}
	return dst
}
