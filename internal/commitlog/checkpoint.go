package commitlog

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/logbahn/logbahn/internal/vfs"
)

// The checkpoint files of a directory. All have Kafka's one format: "0", the number of entries, and a line
// "topic partition offset" for each.
const (
	recoveryFile    = "recovery-point-offset-checkpoint"
	logStartFile    = "log-start-offset-checkpoint"
	replicationFile = "replication-offset-checkpoint"
	cleanerFile     = "cleaner-offset-checkpoint"
)

const checkpointBytesMax = 256 << 20

// checkpoint is the content of one such file.
type checkpoint map[TopicPartition]int64

func (c checkpoint) encode() []byte {
	tps := slices.SortedFunc(maps.Keys(c), func(a, b TopicPartition) int {
		if n := strings.Compare(a.Topic, b.Topic); n != 0 {
			return n
		}
		return int(a.Partition) - int(b.Partition)
	})
	b := fmt.Appendf(make([]byte, 0, 16+32*len(tps)), "0\n%d\n", len(tps))
	for _, tp := range tps {
		b = fmt.Appendf(b, "%s %d %d\n", tp.Topic, tp.Partition, c[tp])
	}
	return b
}

func decodeCheckpoint(b []byte) (checkpoint, error) { return decodeOffsets(b, 0) }

// decodeOffsets reads a checkpoint whose offsets are at least offsetMin.
func decodeOffsets(b []byte, offsetMin int64) (checkpoint, error) {
	lines, err := checkpointLines(b)
	if err != nil {
		return nil, err
	}
	c := make(checkpoint, len(lines))
	for _, line := range lines {
		fields := strings.Split(line, " ")
		if len(fields) != 3 {
			return nil, fmt.Errorf("%w: checkpoint line %q", ErrCorrupt, line)
		}
		partition, err1 := parseNumber(fields[1], 32)
		offset, err2 := strconv.ParseInt(fields[2], 10, 64)
		if err1 != nil || err2 != nil || offset < offsetMin {
			return nil, fmt.Errorf("%w: checkpoint line %q", ErrCorrupt, line)
		}
		c[TopicPartition{fields[0], int32(partition)}] = offset
	}
	return c, nil
}

// checkpointLines returns the lines behind version and count, which it checks.
func checkpointLines(b []byte) ([]string, error) {
	lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	if len(lines) < 2 {
		return nil, fmt.Errorf("%w: checkpoint of %d lines", ErrCorrupt, len(lines))
	}
	if lines[0] != "0" {
		return nil, fmt.Errorf("%w: checkpoint of version %q", ErrCorrupt, lines[0])
	}
	if n, err := parseNumber(lines[1], 32); err != nil || n != int64(len(lines)-2) {
		return nil, fmt.Errorf("%w: checkpoint says %q lines and has %d", ErrCorrupt, lines[1], len(lines)-2)
	}
	return lines[2:], nil
}

func parseNumber(s string, bits int) (int64, error) {
	n, err := strconv.ParseInt(s, 10, bits)
	if err == nil && n < 0 {
		return 0, strconv.ErrRange
	}
	return n, err
}

func loadCheckpoint(fsys vfs.FS, dir, name string) (checkpoint, error) {
	b, err := vfs.ReadFile(fsys, path.Join(dir, name), checkpointBytesMax)
	if err != nil {
		return nil, err
	}
	return decodeCheckpoint(b)
}

// checkpointed is one checkpoint file and what is in it. Dir.checkpointMu guards it.
type checkpointed struct {
	name   string
	on     checkpoint // disk
	unsure bool       // a write failed: on may not be what is there
}

// load reads the file; one that is not there is empty. One that cannot be read is an error for the log start offsets, whose
// loss would show deleted records again; for the others it is as if it were not there.
func (c *checkpointed) load(d *Dir, name string, required bool) (err error) {
	c.name = name
	c.on, err = loadCheckpoint(d.fs, d.path, name)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
	case isCorruption(err) && !required:
		d.log.Warn("checkpoint is corrupt and ignored", "file", name, "err", err)
		c.unsure = true
	default:
		return fmt.Errorf("%s: %w", name, err)
	}
	c.on = make(checkpoint)
	return nil
}

// put replaces the file unless it says the same already.
func (c *checkpointed) put(d *Dir, want checkpoint) error {
	if !c.unsure && maps.Equal(c.on, want) {
		return nil
	}
	c.unsure = true
	if err := vfs.WriteFileAtomic(d.fs, path.Join(d.path, c.name), want.encode()); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	c.on, c.unsure = want, false
	return nil
}
