package logdump

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// Options say what to print.
type Options struct {
	Deep         bool // records, not only batches
	Contents     bool // keys and values; implies Deep
	SkipMetadata bool // of records: only keys and values
	SanityOnly   bool // of indexes: only whether they can be used
	VerifyOnly   bool // of indexes: only what is wrong with them
	Epochs       bool // print a leader-epoch-checkpoint, which Kafka's tool does not know
	MaxBytes     int64
	Decode       Decoder // of keys and values; nil is text
}

// Decoder turns key and value of a record into text; a nil is not printed.
type Decoder func(offset int64, key, value []byte) (keyText, valueText *string)

// Dumper prints files and remembers what does not fit together.
type Dumper struct {
	Out, Err io.Writer
	Options
	problems problems
}

// File prints one file. Its name decides what it is taken for.
func (d *Dumper) File(name string) error {
	fmt.Fprintf(d.Out, "Dumping %s\n", name)
	base := filepath.Base(name)
	switch {
	case base == "leader-epoch-checkpoint" && d.Epochs:
		return d.epochs(name)
	case strings.HasSuffix(base, ".log"), strings.HasSuffix(base, ".checkpoint"):
		return d.log(name)
	case strings.HasSuffix(base, ".timeindex"):
		return d.timeIndex(name)
	case strings.HasSuffix(base, ".txnindex"):
		return d.transactionIndex(name)
	case strings.HasSuffix(base, ".index"):
		return d.offsetIndex(name)
	case strings.HasSuffix(base, ".snapshot"):
		return d.snapshot(name)
	}
	fmt.Fprintf(d.Err, "Ignoring unknown file %s\n", name)
	return nil
}

// baseOffset is the offset that a file's name begins with.
func baseOffset(name string) (int64, error) {
	stem, _, _ := strings.Cut(filepath.Base(name), ".")
	offset, err := strconv.ParseInt(stem, 10, 64)
	if err != nil {
		return 0, &failure{fmt.Sprintf("For input string: %q", stem)}
	}
	return offset, nil
}

// failure is an error in the words of Kafka's tool.
type failure struct{ text string }

func (f *failure) Error() string { return f.text }

// indexBytesMax bounds an index or a snapshot.
const indexBytesMax = 512 << 20

func readSmall(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, indexBytesMax+1))
	if err == nil && len(data) > indexBytesMax {
		err = &failure{fmt.Sprintf("%s: more than %d bytes", name, indexBytesMax)}
	}
	return data, err
}

func sibling(name, suffix string) string {
	stem, _, _ := strings.Cut(filepath.Base(name), ".")
	return filepath.Join(filepath.Dir(name), stem+suffix)
}

// epochs prints a leader-epoch-checkpoint: a version, a count, and an epoch and its first offset a line.
func (d *Dumper) epochs(name string) error {
	data, err := readSmall(name)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(strings.NewReader(string(data)))
	for n := 0; lines.Scan(); n++ {
		if n < 2 {
			continue
		}
		epoch, start, ok := strings.Cut(lines.Text(), " ")
		if !ok {
			return &failure{fmt.Sprintf("%s: line %d is not an epoch and an offset", name, n+1)}
		}
		fmt.Fprintf(d.Out, "epoch: %s startOffset: %s\n", epoch, start)
	}
	return lines.Err()
}

const (
	offsetEntryBytes   = 8
	timeEntryBytes     = 12
	txnEntryBytes      = 2 + 4*8
	snapshotHeadBytes  = 2 + 4 + 4
	snapshotEntryBytes = 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8
)

// offsetIndex prints an .index and compares it with its .log.
func (d *Dumper) offsetIndex(name string) error {
	base, err := baseOffset(name)
	if err != nil {
		return err
	}
	data, err := readSmall(name)
	if err != nil {
		return err
	}
	log, err := os.Open(sibling(name, ".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	if len(data) < offsetEntryBytes {
		fmt.Fprintf(d.Out, "%s is empty.\n", name)
		return nil
	}
	if d.SanityOnly {
		return d.sane(name, len(data), offsetEntryBytes)
	}
	for i := 0; i+offsetEntryBytes <= len(data); i += offsetEntryBytes {
		relative, position := binary.BigEndian.Uint32(data[i:]), binary.BigEndian.Uint32(data[i+4:])
		if relative == 0 && i > 0 {
			break // a file that was preallocated ends in zeros
		}
		offset := base + int64(relative)
		if last, ok := lastOffsetAt(log, int64(position)); !ok || last != offset {
			d.problems.index(name, offset, last)
		}
		if !d.VerifyOnly {
			fmt.Fprintf(d.Out, "offset: %d position: %d\n", offset, position)
		}
	}
	return nil
}

func (d *Dumper) sane(name string, size, entry int) error {
	if size%entry != 0 {
		return &failure{fmt.Sprintf("Index file %s is corrupt, found %d bytes which is neither positive nor a multiple of %d.", name, size, entry)}
	}
	fmt.Fprintf(d.Out, "%s passed sanity check.\n", name)
	return nil
}

// timeIndex prints a .timeindex and compares it with its .log.
func (d *Dumper) timeIndex(name string) error {
	base, err := baseOffset(name)
	if err != nil {
		return err
	}
	data, err := readSmall(name)
	if err != nil {
		return err
	}
	if d.SanityOnly {
		return d.sane(name, len(data), timeEntryBytes)
	}
	batches, err := d.maxTimestamps(sibling(name, ".log"))
	if err != nil {
		return err
	}
	previous := int64(-1)
	for i := 0; i+timeEntryBytes <= len(data); i += timeEntryBytes {
		timestamp, relative := int64(binary.BigEndian.Uint64(data[i:])), binary.BigEndian.Uint32(data[i+8:])
		if relative == 0 && i > 0 {
			break
		}
		offset := base + int64(relative)
		d.compareTime(name, batches, timestamp, offset, previous)
		if !d.VerifyOnly {
			fmt.Fprintf(d.Out, "timestamp: %d offset: %d\n", timestamp, offset)
		}
		previous = timestamp
	}
	return nil
}

func (d *Dumper) compareTime(name string, batches []batchTime, timestamp, offset, previous int64) {
	at := sort.Search(len(batches), func(i int) bool { return batches[i].last >= offset })
	if at == len(batches) {
		d.problems.notFound(name, offset, -1)
		return
	}
	switch b := batches[at]; {
	case b.last != offset:
		d.problems.notFound(name, offset, b.last)
	case b.max != timestamp:
		d.problems.timestamp(name, timestamp, b.max)
	case previous >= timestamp:
		d.problems.order(name, timestamp, previous)
	}
}

// transactionIndex prints a .txnindex: the transactions that were aborted.
func (d *Dumper) transactionIndex(name string) error {
	data, err := readSmall(name)
	if err != nil {
		return err
	}
	be := binary.BigEndian
	for ; len(data) >= txnEntryBytes; data = data[txnEntryBytes:] {
		fmt.Fprintf(d.Out, "version: %d producerId: %d firstOffset: %d lastOffset: %d lastStableOffset: %d\n", int16(be.Uint16(data)),
			int64(be.Uint64(data[2:])), int64(be.Uint64(data[10:])), int64(be.Uint64(data[18:])), int64(be.Uint64(data[26:])))
	}
	if len(data) > 0 {
		return &failure{fmt.Sprintf("%s: %d bytes behind the last entry", name, len(data))}
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errSnapshot = errors.New("corrupt")

// snapshot prints a .snapshot: the producers that the log remembers.
func (d *Dumper) snapshot(name string) error {
	data, err := readSmall(name)
	if err != nil {
		return err
	}
	body, err := checkSnapshot(data)
	if err != nil {
		fmt.Fprintf(d.Err, "Snapshot %s is corrupt: %v\n", name, err)
		return nil
	}
	be := binary.BigEndian
	for ; len(body) > 0; body = body[snapshotEntryBytes:] {
		lastSequence, lastOffset := int32(be.Uint32(body[10:])), int64(be.Uint64(body[14:]))
		delta, timestamp := int32(be.Uint32(body[22:])), int64(be.Uint64(body[26:]))
		first := "OptionalLong.empty"
		if offset := int64(be.Uint64(body[38:])); offset >= 0 {
			first = fmt.Sprintf("OptionalLong[%d]", offset)
		}
		fmt.Fprintf(d.Out, "producerId: %d producerEpoch: %d coordinatorEpoch: %d currentTxnFirstOffset: %s lastTimestamp: %d ",
			int64(be.Uint64(body)), int16(be.Uint16(body[8:])), int32(be.Uint32(body[34:])), first, timestamp)
		if lastOffset >= 0 {
			fmt.Fprintf(d.Out, "firstSequence: %d lastSequence: %d lastOffset: %d offsetDelta: %d timestamp: %d",
				firstSequence(lastSequence, delta), lastSequence, lastOffset, delta, timestamp)
		}
		fmt.Fprintln(d.Out)
	}
	return nil
}

func checkSnapshot(data []byte) (body []byte, err error) {
	be := binary.BigEndian
	switch {
	case len(data) < snapshotHeadBytes:
		return nil, fmt.Errorf("%w: %d bytes", errSnapshot, len(data))
	case be.Uint16(data) != 1:
		return nil, fmt.Errorf("%w: version %d", errSnapshot, be.Uint16(data))
	case be.Uint32(data[2:]) != crc32.Checksum(data[6:], castagnoli):
		return nil, fmt.Errorf("%w: checksum", errSnapshot)
	}
	body = data[snapshotHeadBytes:]
	if int64(len(body)) != int64(be.Uint32(data[6:]))*snapshotEntryBytes {
		return nil, fmt.Errorf("%w: length", errSnapshot)
	}
	return body, nil
}

// firstSequence goes back from the last sequence of a batch to its first; before 0 comes 2^31-1.
func firstSequence(last, delta int32) int32 {
	return int32((int64(last) - int64(delta)) & 0x7fffffff)
}
