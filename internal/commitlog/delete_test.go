package commitlog

import (
	"testing"

	"github.com/logbahn/logbahn/internal/vfs"
)

// TestDeleteTogether counts what a deletion asks of the disk. Syncs and written checkpoints must not grow with the number
// of logs: a topic of thousands of partitions would keep every later change of the cluster waiting.
func TestDeleteTogether(t *testing.T) {
	if few, many := syncsOfDelete(t, 2), syncsOfDelete(t, 40); few == 0 || many > few {
		t.Errorf("%d syncs to delete 40 logs, %d for 2", many, few)
	}
}

func syncsOfDelete(t *testing.T, partitions int32) int {
	syncs := 0
	counting := vfs.Inject(vfs.NewMem(), vfs.Rule{Match: func(op vfs.Op, _ string) bool {
		if op == vfs.OpSync || op == vfs.OpSyncDir {
			syncs++
		}
		return false
	}})
	d := openDir(t, counting)
	var logs []*Log
	for i := range partitions {
		l, err := d.Open(TopicPartition{"wide", i}, testID, DefaultConfig(), Hooks{})
		must(t, err)
		mustAppend(t, l, batch(3, 1, nil))
		must(t, l.Flush())
		logs = append(logs, l)
	}
	must(t, d.checkpoint(true))
	before := syncs
	must(t, d.Delete(logs...))
	deletion := syncs - before
	if len(d.recovery.on) != 0 || len(d.openLogs()) != 0 {
		t.Errorf("left: %v, %d logs", d.recovery.on, len(d.openLogs()))
	}
	must(t, d.Close())
	return deletion
}
