package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

var codecs = []Codec{None, Gzip, Snappy, LZ4, Zstd}

// kmsgBatch encodes records with franz-go's generated encoders, which share no code with this package.
func kmsgBatch(h kmsg.RecordBatch, records ...kmsg.Record) []byte {
	for _, r := range records {
		r.Length = int32(len(r.AppendTo(nil)) - 1) // a length of 0 takes one byte
		h.Records = r.AppendTo(h.Records)
	}
	h.Magic, h.NumRecords = 2, int32(len(records))
	h.LastOffsetDelta = h.NumRecords - 1
	h.Length = int32(HeaderSize - LogOverhead + len(h.Records))
	raw := h.AppendTo(nil)
	h.CRC = int32(crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	return h.AppendTo(nil)
}

func kmsgRecords() (kmsg.RecordBatch, []kmsg.Record) {
	h := kmsg.RecordBatch{
		PartitionLeaderEpoch: 3, FirstTimestamp: 1000, MaxTimestamp: 1200, ProducerID: 9, ProducerEpoch: 2,
		FirstSequence: math.MaxInt32 - 1, Attributes: 0x10,
	}
	return h, []kmsg.Record{
		{TimestampDelta64: 0, OffsetDelta: 0, Key: []byte("k"), Value: []byte("v")},
		{TimestampDelta64: 200, OffsetDelta: 1, Value: []byte{}},
		{TimestampDelta64: -70, OffsetDelta: 2, Key: []byte{}, Headers: []kmsg.Header{{Key: "a", Value: []byte("1")}, {Key: ""}}},
	}
}

func ourRecords() []Record {
	return []Record{
		{Offset: 0, Timestamp: 1000, Sequence: math.MaxInt32 - 1, Key: []byte("k"), Value: []byte("v")},
		{Offset: 1, Timestamp: 1200, Sequence: math.MaxInt32, Value: []byte{}},
		{
			Offset: 2, Timestamp: 930, Sequence: 0, Key: []byte{},
			Headers: []RecordHeader{{Key: "a", Value: []byte("1")}, {Key: ""}},
		},
	}
}

func collect(t testing.TB, batch []byte, maxBytes int) []Record {
	t.Helper()
	var all []Record
	for r, err := range Records(batch, maxBytes) {
		if err != nil {
			t.Fatalf("Records: %v", err)
		}
		all = append(all, r)
	}
	return all
}

func TestBuilderAgreesWithKmsg(t *testing.T) {
	h, records := kmsgRecords()
	want := kmsgBatch(h, records...)
	b := NewBuilder(BuilderOptions{
		LeaderEpoch: 3, Transactional: true,
		Producer: &Producer{ID: 9, Epoch: 2, Sequence: math.MaxInt32 - 1},
	})
	for _, r := range ourRecords() {
		b.Append(r)
	}
	if got := b.Bytes(); !bytes.Equal(got, want) {
		t.Fatalf("built\n%x, kmsg has\n%x", got, want)
	}
}

func TestReadsKmsgBatch(t *testing.T) {
	h, records := kmsgRecords()
	batch := kmsgBatch(h, records...)
	got, err := Check(batch)
	if err != nil {
		t.Fatal(err)
	}
	if got.LastOffset() != 2 || got.NextOffset() != 3 || got.LastSequence() != 0 || got.Size() != len(batch) {
		t.Errorf("header %+v", got)
	}
	if !got.Attributes.Transactional() || got.ProducerID != 9 || got.MaxTimestamp != 1200 {
		t.Errorf("header %+v", got)
	}
	if all := collect(t, batch, 0); !reflect.DeepEqual(all, ourRecords()) {
		t.Errorf("records %+v", all)
	}
}

func TestRecordsOfUncompressedBatchAreNotCopied(t *testing.T) {
	h, records := kmsgRecords()
	batch := kmsgBatch(h, records...)
	all := collect(t, batch, 0)
	batch[bytes.IndexByte(batch, 'v')] = 'w'
	if string(all[0].Value) != "w" {
		t.Error("the value was copied")
	}
}

func genRecord(t *rapid.T) Record {
	field := func(name string) []byte {
		if rapid.Bool().Draw(t, name+" is null") {
			return nil
		}
		return rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, name)
	}
	r := Record{Timestamp: rapid.Int64Range(-1, 1<<41).Draw(t, "timestamp"), Key: field("key"), Value: field("value")}
	for range rapid.IntRange(0, 3).Draw(t, "headers") {
		r.Headers = append(r.Headers, RecordHeader{Key: rapid.StringN(0, 20, -1).Draw(t, "header"), Value: field("header value")})
	}
	return r
}

func TestBuildCheckReadRoundTrip(t *testing.T) {
	b := new(Builder)
	rapid.Check(t, func(t *rapid.T) {
		o := BuilderOptions{
			Codec:       rapid.SampledFrom(codecs).Draw(t, "codec"),
			Level:       rapid.IntRange(0, 25).Draw(t, "level"),
			LeaderEpoch: rapid.Int32().Draw(t, "epoch"),
		}
		if rapid.Bool().Draw(t, "idempotent") {
			o.Producer = &Producer{ID: 5, Epoch: 1, Sequence: rapid.Int32Range(0, math.MaxInt32).Draw(t, "sequence")}
		}
		records := rapid.SliceOfN(rapid.Custom(genRecord), 1, 20).Draw(t, "records")
		b.Reset(o)
		latest := int64(-1)
		for i := range records {
			records[i].Offset, records[i].Sequence = int64(i), NoSequence
			if o.Producer != nil {
				records[i].Sequence = AddSequence(o.Producer.Sequence, int32(i))
			}
			latest = max(latest, records[i].Timestamp)
			b.Append(records[i])
		}
		batch := bytes.Clone(b.Bytes())
		h, err := Check(batch)
		if err != nil {
			t.Fatal(err)
		}
		if h.MaxTimestamp != latest || h.Count != int32(len(records)) || h.LastSequence() != records[len(records)-1].Sequence {
			t.Fatalf("header %+v", h)
		}
		if _, err := Validate(batch, ValidateOptions{MaxBytes: b.Size()}); err != nil {
			t.Fatal(err)
		}
		i := 0
		for r, err := range Records(batch, b.Size()) {
			if err != nil || !reflect.DeepEqual(r, records[i]) {
				t.Fatalf("record %d: %+v, %v, built from %+v", i, r, err, records[i])
			}
			i++
		}
	})
}

func TestSequenceWraps(t *testing.T) {
	for _, c := range []struct{ sequence, delta, want int32 }{
		{0, 0, 0}, {5, 3, 8}, {math.MaxInt32, 1, 0}, {math.MaxInt32 - 1, 4, 2}, {math.MaxInt32, math.MaxInt32, math.MaxInt32 - 1},
	} {
		if got := AddSequence(c.sequence, c.delta); got != c.want {
			t.Errorf("AddSequence(%d, %d) = %d, want %d", c.sequence, c.delta, got, c.want)
		}
	}
	if got := (Header{BaseSequence: NoSequence, LastOffsetDelta: 9}).LastSequence(); got != NoSequence {
		t.Errorf("LastSequence without sequences = %d", got)
	}
}

// mutate returns a batch of three records with one change and a right checksum.
func mutate(change func(b []byte) []byte) []byte {
	h, records := kmsgRecords()
	b := change(kmsgBatch(h, records...))
	if len(b) >= HeaderSize {
		putCRC(b)
	}
	return b
}

func set32(at int, v int32) func([]byte) []byte {
	return func(b []byte) []byte { binary.BigEndian.PutUint32(b[at:], uint32(v)); return b }
}

func or16(at int, bits uint16) func([]byte) []byte {
	return func(b []byte) []byte {
		binary.BigEndian.PutUint16(b[at:], binary.BigEndian.Uint16(b[at:])|bits)
		return b
	}
}

func TestCheckRefuses(t *testing.T) {
	const firstRecord = HeaderSize // 1 byte length, attributes, timestamp delta, offset delta
	for _, c := range []struct {
		name   string
		change func(b []byte) []byte
		want   error
	}{
		{"nothing", func([]byte) []byte { return nil }, ErrCorrupt},
		{"a cut header", func(b []byte) []byte { return b[:60] }, ErrCorrupt},
		{"a cut record", func(b []byte) []byte { return b[:len(b)-1] }, ErrCorrupt},
		{"two batches", func(b []byte) []byte { return append(b, b...) }, ErrInvalid},
		{"magic 1", func(b []byte) []byte { b[16] = 1; return b }, ErrInvalid},
		{"magic 3", func(b []byte) []byte { b[16] = 3; return b }, ErrCorrupt},
		{"length 0", set32(8, 0), ErrCorrupt},
		{"negative length", set32(8, -5), ErrCorrupt},
		{"length of 2 GiB", set32(8, math.MaxInt32), ErrCorrupt},
		{"too few records", set32(57, 2), ErrInvalid},
		{"too many records", set32(57, 4), ErrInvalid},
		{"no records", set32(57, 0), ErrInvalid},
		{"a negative count", set32(57, -3), ErrInvalid},
		{"count and delta that lie together", func(b []byte) []byte { return set32(57, 4)(set32(23, 3)(b)) }, ErrInvalid},
		{"count and delta at the limit", func(b []byte) []byte { return set32(57, math.MinInt32)(set32(23, math.MaxInt32)(b)) }, ErrInvalid},
		{"fewer records than there are", func(b []byte) []byte { return set32(57, 2)(set32(23, 1)(b)) }, ErrInvalid},
		{"a negative sequence", set32(53, -1), ErrInvalid},
		{"a negative epoch", or16(51, 0x8000), ErrInvalid},
		{"a transaction without a producer", func(b []byte) []byte { return set32(47, -1)(set32(43, -1)(b)) }, ErrInvalid},
		{"a control batch", or16(21, 0x20), ErrInvalid},
		{"a delete horizon", or16(21, 0x40), ErrInvalid},
		{"LogAppendTime", or16(21, 0x08), ErrInvalidTimestamp},
		{"codec 5", or16(21, 5), ErrUnsupportedCodec},
		{"codec 7", or16(21, 7), ErrUnsupportedCodec},
		{"a base offset", set32(4, 1), ErrInvalid},
		{"an offset delta", func(b []byte) []byte { b[firstRecord+3] = 2; return b }, ErrInvalid},
		{"a record's length", func(b []byte) []byte { b[firstRecord] -= 2; return b }, ErrInvalid},
		{"a negative record length", func(b []byte) []byte { b[firstRecord] = 1; return b }, ErrInvalid},
		{"a record that passes the end", func(b []byte) []byte { b[firstRecord] = 0x7e; return b }, ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Check(mutate(c.change))
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestCheckNamesTheRecord(t *testing.T) {
	_, err := Check(mutate(func(b []byte) []byte {
		second := HeaderSize + 1 + int(b[HeaderSize]>>1)
		b[second+4]++ // behind a length of one and a timestamp delta of two bytes
		return b
	}))
	var r *RecordError
	if !errors.As(err, &r) || r.Index != 1 {
		t.Fatalf("got %v", err)
	}
}

func TestEveryBitFlipIsNoticed(t *testing.T) {
	h, records := kmsgRecords()
	batch := kmsgBatch(h, records...)
	for bit := lengthAt * 8; bit < len(batch)*8; bit++ {
		if bit/8 >= leaderEpochAt && bit/8 < magicAt {
			continue // the leader epoch lies outside the checksum
		}
		bad := bytes.Clone(batch)
		bad[bit/8] ^= 1 << (bit % 8)
		if _, err := Check(bad); err == nil {
			t.Errorf("bit %d of byte %d flipped: no error", bit%8, bit/8)
		}
	}
}

func TestCheckInternalTakesControlBatches(t *testing.T) {
	b := NewBuilder(BuilderOptions{BaseOffset: 77, Control: true})
	b.Append(Record{Timestamp: 5, Key: []byte{0, 0, 0, 1}, Value: []byte{1}})
	h, err := CheckInternal(b.Bytes())
	if err != nil || !h.Attributes.Control() || h.BaseOffset != 77 {
		t.Fatalf("%+v, %v", h, err)
	}
}

func TestCheckInternalTakesTransactionMarkers(t *testing.T) {
	b := NewBuilder(BuilderOptions{
		Control: true, Transactional: true, Producer: &Producer{ID: 3, Epoch: 1, Sequence: NoSequence},
	})
	b.Append(Record{Key: []byte{0, 0, 0, 1}, Value: []byte{0, 0, 0, 0, 0, 0}})
	if h, err := CheckInternal(b.Bytes()); err != nil || h.LastSequence() != NoSequence {
		t.Fatalf("%+v, %v", h, err)
	}
}

func TestCheckRepairsMaxTimestamp(t *testing.T) {
	for _, c := range codecs {
		b := NewBuilder(BuilderOptions{Codec: c})
		b.Append(Record{Timestamp: 900})
		b.Append(Record{Timestamp: 300})
		batch := b.Bytes()
		setMaxTimestamp(batch, 12345)
		h, err := Check(batch)
		if err == nil && c != None {
			h, err = Validate(batch, ValidateOptions{MaxBytes: 1000})
		}
		if err != nil || h.MaxTimestamp != 900 || h != decodeHeader(batch) || CheckCRC(batch) != nil {
			t.Errorf("%v: %+v, %v", c, h, err)
		}
	}
}

func TestPatches(t *testing.T) {
	h, records := kmsgRecords()
	batch := kmsgBatch(h, records...)
	PatchOffsets(batch, 1<<40, 12)
	SetLogAppendTime(batch, 4242)
	if err := CheckCRC(batch); err != nil {
		t.Fatal(err)
	}
	for i, r := range collect(t, batch, 0) {
		if r.Offset != 1<<40+int64(i) || r.Timestamp != 4242 {
			t.Errorf("record %d: %+v", i, r)
		}
	}
	if got, _ := ReadHeader(batch); got.LeaderEpoch != 12 || !got.Attributes.LogAppendTime() {
		t.Errorf("header %+v", got)
	}
}

func TestBuilderKeepsOffsetsAndLastOffset(t *testing.T) {
	for _, c := range codecs {
		b := NewBuilder(BuilderOptions{
			BaseOffset: 100, LastOffset: 109, KeepOffsets: true, Codec: c, DeleteHorizonMs: 5000,
			Producer: &Producer{ID: 1, Sequence: 40},
		})
		b.Append(Record{Offset: 102, Timestamp: 4000})
		b.Append(Record{Offset: 107, Timestamp: 6000})
		batch := b.Bytes()
		h, err := ReadHeader(batch)
		if err != nil || h.NextOffset() != 110 || h.LastSequence() != 49 || h.Count != 2 {
			t.Fatalf("%+v, %v", h, err)
		}
		if !h.Attributes.DeleteHorizon() || h.BaseTimestamp != 5000 || h.MaxTimestamp != 6000 {
			t.Errorf("%+v", h)
		}
		all := collect(t, batch, 1000)
		want := []Record{{Offset: 102, Timestamp: 4000, Sequence: 42}, {Offset: 107, Timestamp: 6000, Sequence: 47}}
		if !reflect.DeepEqual(all, want) {
			t.Errorf("%+v", all)
		}
	}
}

func TestBatchWithoutRecords(t *testing.T) {
	b := NewBuilder(BuilderOptions{BaseOffset: 5, LastOffset: 9, KeepOffsets: true, Codec: Zstd})
	batch := b.Bytes()
	h, err := ReadHeader(batch)
	if err != nil || h.Count != 0 || h.NextOffset() != 10 || len(batch) != HeaderSize || CheckCRC(batch) != nil {
		t.Fatalf("%+v, %v", h, err)
	}
	if all := collect(t, batch, 0); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}

func TestValidateNamesRecordsThatBreakTheTopicsRules(t *testing.T) {
	for _, c := range codecs {
		b := NewBuilder(BuilderOptions{Codec: c})
		b.Append(Record{Timestamp: 50, Key: []byte("k")})
		b.Append(Record{Timestamp: NoTimestamp, Value: []byte("keyless")})
		b.Append(Record{Timestamp: 9, Key: []byte{}})
		b.Append(Record{Timestamp: 101})
		batch := b.Bytes()
		_, err := Validate(batch, ValidateOptions{MaxBytes: 1000, RequireKey: true})
		if got := indexes(err); !reflect.DeepEqual(got, []int{1, 3}) || !errors.Is(err, ErrInvalid) {
			t.Errorf("%v: keys: %v, %v", c, got, err)
		}
		_, err = Validate(batch, ValidateOptions{MaxBytes: 1000, EarliestTimestamp: 10, LatestTimestamp: 100})
		if got := indexes(err); !reflect.DeepEqual(got, []int{2, 3}) || !errors.Is(err, ErrInvalidTimestamp) {
			t.Errorf("%v: timestamps: %v, %v", c, got, err)
		}
		if _, err := Validate(batch, ValidateOptions{MaxBytes: 3}); c != None && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%v: bound: %v", c, err)
		}
	}
}

func indexes(err error) (all []int) {
	var bad RecordErrors
	errors.As(err, &bad)
	for _, r := range bad {
		all = append(all, r.Index)
	}
	return all
}

func TestValidateBoundsItsErrors(t *testing.T) {
	b := NewBuilder(BuilderOptions{})
	for range 1000 {
		b.Append(Record{})
	}
	if _, err := Validate(b.Bytes(), ValidateOptions{RequireKey: true}); len(indexes(err)) != recordErrorsMax {
		t.Errorf("%d errors", len(indexes(err)))
	}
}

func TestValidateLooksIntoFieldsAndCounts(t *testing.T) {
	for _, c := range codecs {
		if c != None {
			b := NewBuilder(BuilderOptions{Codec: c})
			b.Append(Record{Value: []byte("one")})
			b.Append(Record{Value: []byte("two")})
			batch := b.Bytes()
			set32(57, 1)(set32(23, 0)(batch)) // one record is hidden
			putCRC(batch)
			if _, err := Check(batch); err != nil {
				t.Errorf("%v: Check looked inside: %v", c, err)
			}
			if _, err := Validate(batch, ValidateOptions{MaxBytes: 1000}); !errors.Is(err, ErrInvalid) {
				t.Errorf("%v: a hidden record: %v", c, err)
			}
			continue
		}
		batch := mutate(func(b []byte) []byte { b[HeaderSize+4] = 0x7e; return b }) // the first key's length
		if _, err := Validate(batch, ValidateOptions{}); !errors.Is(err, ErrInvalid) {
			t.Errorf("a field that does not fit: %v", err)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	batch := benchBatch(50, 90, None)
	packed := benchBatch(50, 90, LZ4)
	for name, f := range map[string]func(){
		"Check":            func() { _, _ = Check(batch) },
		"Check compressed": func() { _, _ = Check(packed) },
		"PatchOffsets":     func() { PatchOffsets(batch, 3, 4) },
		"Records": func() {
			for range Records(batch, 0) {
			}
		},
	} {
		if n := testing.AllocsPerRun(100, f); n > 0 && name != "Records" || n > 3 {
			t.Errorf("%s allocates %v times", name, n)
		}
		PatchOffsets(batch, 0, 0)
	}
}

// TestValidateKeepsNoBatch: a batch without records is not decompressed, whatever codec it names, and its memory must not
// be where the next one is.
func TestValidateKeepsNoBatch(t *testing.T) {
	empty := bytes.Clone(benchBatch(3, 100, Gzip))
	h := decodeHeader(empty)
	h.Count = 0
	PutHeader(empty, h)
	before := bytes.Clone(empty)
	for range 10 { // the pool may drop what it is given
		if _, err := Validate(empty, ValidateOptions{MaxBytes: 1 << 20}); !errors.Is(err, ErrInvalid) {
			t.Fatalf("a batch without records: %v", err)
		}
		if _, err := Validate(bytes.Clone(benchBatch(3, 100, Gzip)), ValidateOptions{MaxBytes: 1 << 20}); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(empty, before) {
		t.Fatal("another batch was decompressed over it")
	}
}
