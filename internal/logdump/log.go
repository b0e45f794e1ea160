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
	"strings"
	"unicode/utf8"

	"github.com/logbahn/logbahn/internal/record"
)

const (
	// batchBytesMax bounds a batch that is read, decompressedMax what it may decompress to.
	batchBytesMax   = 256 << 20
	decompressedMax = 1 << 30
	// headBytes are what tells how long a batch is and of which version.
	headBytes = 17
	magicAt   = 16
	// batchBytesMin is the shortest message of all, one of magic 0: Kafka's LegacyRecord.RECORD_OVERHEAD_V0.
	batchBytesMin = record.LogOverhead + 14
)

// batchReader reads the batches of a file one after the other.
type batchReader struct {
	r        *bufio.Reader
	left     int64 // bytes of the file that are not read
	position int64 // of the batch that was returned last
	next     int64
}

// errIncomplete means that what is left of a file is no whole batch.
var errIncomplete = errors.New("incomplete batch")

func newBatchReader(f *os.File, max int64) (*batchReader, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := info.Size()
	if max > 0 {
		size = min(size, max)
	}
	return &batchReader{r: bufio.NewReaderSize(io.LimitReader(f, size), 64<<10), left: size}, nil
}

// read returns the next batch, io.EOF behind the last one, errIncomplete before bytes that are none.
func (b *batchReader) read() ([]byte, error) {
	if b.left == 0 {
		return nil, io.EOF
	}
	head, err := b.r.Peek(headBytes)
	if err != nil {
		return nil, errIncomplete
	}
	size := int64(binary.BigEndian.Uint32(head[8:])) + record.LogOverhead
	if size < batchBytesMin || size > b.left || size > batchBytesMax {
		return nil, errIncomplete
	}
	batch := make([]byte, size)
	if _, err := io.ReadFull(b.r, batch); err != nil {
		return nil, err
	}
	b.position, b.next, b.left = b.next, b.next+size, b.left-size
	return batch, nil
}

// log prints a .log, or a .checkpoint of Kafka's metadata.
func (d *Dumper) log(name string) error {
	base := filepath.Base(name)
	if strings.HasSuffix(base, ".log") {
		offset, err := baseOffset(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(d.Out, "Log starting offset: %d\n", offset)
	} else {
		var offset, epoch int64
		if _, err := fmt.Sscanf(base, "%d-%d.checkpoint", &offset, &epoch); err != nil {
			return &failure{fmt.Sprintf("%s is not named as a snapshot", name)}
		}
		fmt.Fprintf(d.Out, "Snapshot end offset: %d, epoch: %d\n", offset, epoch)
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	reader, err := newBatchReader(f, d.MaxBytes)
	if err != nil {
		return err
	}
	last := int64(-1)
	for {
		batch, err := reader.read()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errIncomplete):
			if d.MaxBytes == 0 {
				fmt.Fprintf(d.Out, "Found %d invalid bytes at the end of %s\n", reader.left, base)
			}
			return nil
		case err != nil:
			return err
		}
		if last, err = d.batch(name, batch, reader.position, last); err != nil {
			return err
		}
	}
}

// batch prints a batch and, if they are asked for, its records; last is the offset of the record before.
func (d *Dumper) batch(name string, batch []byte, position, last int64) (int64, error) {
	if batch[magicAt] < record.Magic {
		return d.messages(name, batch, position, last)
	}
	h, err := record.ReadHeader(batch)
	if err != nil {
		return last, err
	}
	horizon := "OptionalLong.empty"
	if h.Attributes.DeleteHorizon() {
		horizon = fmt.Sprintf("OptionalLong[%d]", h.BaseTimestamp)
	}
	fmt.Fprintf(d.Out, "baseOffset: %d lastOffset: %d count: %d baseSequence: %d lastSequence: %d producerId: %d producerEpoch: %d "+
		"partitionLeaderEpoch: %d isTransactional: %t isControl: %t deleteHorizonMs: %s", h.BaseOffset, h.LastOffset(), h.Count, h.BaseSequence,
		h.LastSequence(), h.ProducerID, h.ProducerEpoch, h.LeaderEpoch, h.Attributes.Transactional(), h.Attributes.Control(), horizon)
	fmt.Fprintf(d.Out, " position: %d %s: %d size: %d magic: %d compresscodec: %v crc: %d isvalid: %t\n", position, timeType(h.Attributes.LogAppendTime()),
		h.MaxTimestamp, len(batch), h.Magic, h.Attributes.Codec(), h.CRC, record.CheckCRC(batch) == nil)
	if !d.Deep && !d.Contents {
		return last, nil
	}
	for r, err := range record.Records(batch, decompressedMax) {
		if err != nil {
			return last, fmt.Errorf("batch at position %d: %w", position, err)
		}
		last = d.consecutive(name, last, r.Offset)
		d.record(&h, &r)
	}
	return last, nil
}

func timeType(logAppend bool) string {
	if logAppend {
		return "LogAppendTime"
	}
	return "CreateTime"
}

func (d *Dumper) consecutive(name string, last, offset int64) int64 {
	if last >= 0 && offset != last+1 {
		d.problems.gap(name, last, offset)
	}
	return offset
}

func size(b []byte) int {
	if b == nil {
		return -1
	}
	return len(b)
}

// record prints one record of a batch of version 2.
func (d *Dumper) record(h *record.Header, r *record.Record) {
	prefix := "| "
	if !d.SkipMetadata {
		keys := make([]string, len(r.Headers))
		for i := range r.Headers {
			keys[i] = r.Headers[i].Key
		}
		fmt.Fprintf(d.Out, "| offset: %d %s: %d keySize: %d valueSize: %d sequence: %d headerKeys: [%s]", r.Offset, timeType(h.Attributes.LogAppendTime()),
			r.Timestamp, size(r.Key), size(r.Value), r.Sequence, strings.Join(keys, ","))
		prefix = " "
		if h.Attributes.Control() {
			fmt.Fprint(d.Out, control(r))
		}
	}
	if d.Contents && !h.Attributes.Control() {
		d.contents(prefix, r)
	}
	fmt.Fprintln(d.Out)
}

func (d *Dumper) contents(prefix string, r *record.Record) {
	decode := d.Decode
	if decode == nil {
		decode = Text
	}
	key, value := decode(r.Offset, r.Key, r.Value)
	if key != nil {
		fmt.Fprintf(d.Out, "%skey: %s", prefix, *key)
		prefix = " "
	}
	if value != nil {
		fmt.Fprintf(d.Out, "%spayload: %s", prefix, *value)
	}
}

// Text is a Decoder for texts.
func Text(_ int64, key, value []byte) (keyText, valueText *string) {
	text := func(b []byte) *string {
		if b == nil {
			return nil
		}
		s := validText(b)
		return &s
	}
	return text(key), text(value)
}

// validText returns b with a replacement character wherever Java's decoder of UTF-8 has one: for each longest piece that
// could begin a character, where Go's has one for each byte or for a whole run.
func validText(b []byte) string {
	var text strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			n = malformed(b)
		}
		text.WriteRune(r)
		b = b[n:]
	}
	return text.String()
}

// malformed returns how many bytes at the beginning of b are replaced together. A surrogate's three are.
func malformed(b []byte) int {
	length := 1
	switch lead := b[0]; {
	case lead >= 0xe0 && lead <= 0xef:
		length = 3
	case lead >= 0xf0 && lead <= 0xf4:
		length = 4
	}
	n := 1
	for n < length && n < len(b) && b[n]&0xc0 == 0x80 {
		tooLong := b[0] == 0xe0 && b[1] < 0xa0 || b[0] == 0xf0 && b[1] < 0x90
		if tooLong || b[0] == 0xf4 && b[1] > 0x8f {
			break
		}
		n++
	}
	return n
}

var controlTypes = map[int16]string{0: "ABORT", 1: "COMMIT", 2: "LEADER_CHANGE", 3: "SNAPSHOT_HEADER", 4: "SNAPSHOT_FOOTER", 5: "KRAFT_VERSION", 6: "KRAFT_VOTERS"}

// control is what is shown of a control record.
func control(r *record.Record) string {
	if len(r.Key) < 4 {
		return " controlType: UNKNOWN(-1)"
	}
	id := int16(binary.BigEndian.Uint16(r.Key[2:]))
	name, ok := controlTypes[id]
	switch {
	case !ok:
		return fmt.Sprintf(" controlType: UNKNOWN(%d)", id)
	case id <= 1 && len(r.Value) >= 6:
		return fmt.Sprintf(" endTxnMarker: %s coordinatorEpoch: %d", name, int32(binary.BigEndian.Uint32(r.Value[2:])))
	}
	return fmt.Sprintf(" controlType: %s(%d)", name, id)
}

// messages prints a message of a message set of version 0 or 1; a compressed one holds others.
func (d *Dumper) messages(name string, message []byte, position, last int64) (int64, error) {
	const head = 8 + 4 + 4 + 1 + 1
	if len(message) < head {
		return last, &failure{fmt.Sprintf("message at position %d: %d bytes", position, len(message))}
	}
	be, magic, attributes := binary.BigEndian, message[magicAt], message[17]
	crc, kind, timestamp := be.Uint32(message[12:]), "NoTimestampType", int64(-1)
	if magic == 1 && len(message) >= head+8 {
		kind, timestamp = timeType(attributes&8 != 0), int64(be.Uint64(message[18:]))
	}
	valid := crc == crc32.ChecksumIEEE(message[16:])
	fmt.Fprintf(d.Out, "offset: %d position: %d %s: %d size: %d magic: %d compresscodec: %v crc: %d isvalid: %t\n", int64(be.Uint64(message)),
		position, kind, timestamp, len(message), magic, record.Codec(attributes&7), crc, valid)
	if !d.Deep && !d.Contents {
		return last, nil
	}
	for r, err := range record.Messages(message, decompressedMax) {
		if err != nil {
			return last, fmt.Errorf("message at position %d: %w", position, err)
		}
		last = d.consecutive(name, last, r.Offset)
		prefix := "| "
		if !d.SkipMetadata {
			fmt.Fprintf(d.Out, "| offset: %d %s: %d keySize: %d valueSize: %d", r.Offset, kind, r.Timestamp, size(r.Key), size(r.Value))
			prefix = " "
		}
		if d.Contents {
			d.contents(prefix, &r)
		}
		fmt.Fprintln(d.Out)
	}
	return last, nil
}

// lastOffsetAt returns the last offset of the batch at a position.
func lastOffsetAt(log *os.File, position int64) (int64, bool) {
	var head [record.HeaderSize]byte
	n, err := log.ReadAt(head[:], position)
	if n < headBytes || err != nil && !errors.Is(err, io.EOF) {
		return -1, false
	}
	offset := int64(binary.BigEndian.Uint64(head[:]))
	if head[magicAt] < record.Magic {
		return offset, true
	}
	h, err := record.ReadHeader(head[:n])
	if err != nil {
		return -1, false
	}
	return h.LastOffset(), true
}

// batchTime is the last offset of a batch and its youngest timestamp.
type batchTime struct{ last, max int64 }

// maxTimestamps reads the headers of a log.
func (d *Dumper) maxTimestamps(name string) ([]batchTime, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	reader, err := newBatchReader(f, 0)
	if err != nil {
		return nil, err
	}
	var times []batchTime
	for {
		batch, err := reader.read()
		if errors.Is(err, io.EOF) || errors.Is(err, errIncomplete) {
			return times, nil
		}
		if err != nil {
			return nil, err
		}
		if batch[magicAt] < record.Magic {
			if batch[magicAt] == 1 && len(batch) >= 26 {
				times = append(times, batchTime{int64(binary.BigEndian.Uint64(batch)), int64(binary.BigEndian.Uint64(batch[18:]))})
			}
			continue
		}
		h, err := record.ReadHeader(batch)
		if err != nil {
			return times, nil
		}
		times = append(times, batchTime{h.LastOffset(), h.MaxTimestamp})
	}
}
