package record

import (
	"bytes"
	"errors"
	"hash/crc32"
	"math"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// What kafka-python 0.9.5 sends: three plain messages (the second empty, the third a tombstone), and a gzip wrapper with
// the payloads "harsh" (key "d1") and "calm". Taken from its own encoder.
const (
	pythonPlain = "000000000000000000000026ff8831c40000ffffffff0000001874696d653d31323a3030206c61743d312e35206c6f6e3d32" +
		"00000000000000000000000f4e3924150000000000016b00000000000000000000000000000012509093e7000000000004746f6d62ffffffff"
	pythonGzip = "00000000000000000000004a7201854a0001ffffffff0000003c1f8b080000ba4e5602ff63608003518dcf8acbc02ca6144320c99a" +
		"9158549c81906710b2baa3a6ccc0f01f08803c96e4c49c5c0074bf997c3f000000"
)

// kmsgMessage encodes one message with franz-go's generated encoders.
func kmsgMessage(magic int8, attributes int8, offset, timestamp int64, key, value []byte) []byte {
	if magic == 0 {
		m := kmsg.MessageV0{Offset: offset, Attributes: attributes, Key: key, Value: value}
		m.MessageSize = int32(len(m.AppendTo(nil)) - 12)
		m.CRC = int32(crc32.ChecksumIEEE(m.AppendTo(nil)[16:]))
		return m.AppendTo(nil)
	}
	m := kmsg.MessageV1{Offset: offset, Magic: magic, Attributes: attributes, Timestamp: timestamp, Key: key, Value: value}
	m.MessageSize = int32(len(m.AppendTo(nil)) - 12)
	m.CRC = int32(crc32.ChecksumIEEE(m.AppendTo(nil)[16:]))
	return m.AppendTo(nil)
}

func messages(t testing.TB, set []byte) []Record {
	t.Helper()
	var all []Record
	for r, err := range Messages(set, 1<<20) {
		if err != nil {
			t.Fatalf("Messages: %v", err)
		}
		all = append(all, r)
	}
	return all
}

func plain(offset, timestamp int64, key, value []byte) Record {
	return Record{Offset: offset, Timestamp: timestamp, Sequence: NoSequence, Key: key, Value: value}
}

func TestMessagesOfKafkaPython(t *testing.T) {
	want := []Record{
		plain(0, NoTimestamp, nil, []byte("time=12:00 lat=1.5 lon=2")),
		plain(0, NoTimestamp, []byte("k"), []byte{}),
		plain(0, NoTimestamp, []byte("tomb"), nil),
	}
	if got := messages(t, unhex(pythonPlain)); !reflect.DeepEqual(got, want) {
		t.Errorf("plain: %+v", got)
	}
	want = []Record{plain(0, NoTimestamp, []byte("d1"), []byte("harsh")), plain(0, NoTimestamp, nil, []byte("calm"))}
	if got := messages(t, unhex(pythonGzip)); !reflect.DeepEqual(got, want) {
		t.Errorf("gzip: %+v", got)
	}
}

func TestAppendMessageAgreesWithKmsg(t *testing.T) {
	for magic := int8(0); magic <= 1; magic++ {
		m := message{offset: 7, timestamp: 99, magic: magic, attributes: 2, key: []byte("key"), value: nil}
		want := kmsgMessage(magic, 2, 7, 99, []byte("key"), nil)
		if got := appendMessage([]byte("x"), &m)[1:]; !bytes.Equal(got, want) {
			t.Errorf("magic %d: %x, kmsg has %x", magic, got, want)
		}
	}
}

func TestWrapperOffsetsAndTimestamps(t *testing.T) {
	for _, c := range []Codec{Gzip, Snappy, LZ4} {
		inner := append(kmsgMessage(0, 0, 105, 0, nil, []byte("a")), kmsgMessage(0, 0, 108, 0, nil, []byte("b"))...)
		set := kmsgMessage(0, int8(c), 108, 0, nil, kgoCompress(t, c, inner))
		want := []Record{plain(105, NoTimestamp, nil, []byte("a")), plain(108, NoTimestamp, nil, []byte("b"))}
		if got := messages(t, set); !reflect.DeepEqual(got, want) {
			t.Errorf("%v, version 0: %+v", c, got)
		}

		inner = append(kmsgMessage(1, 0, 0, 40, nil, []byte("a")), kmsgMessage(1, 0, 3, 30, nil, []byte("b"))...)
		set = kmsgMessage(1, int8(c), 108, 40, nil, kgoCompress(t, c, inner))
		want = []Record{plain(105, 40, nil, []byte("a")), plain(108, 30, nil, []byte("b"))}
		if got := messages(t, set); !reflect.DeepEqual(got, want) {
			t.Errorf("%v, version 1: %+v", c, got)
		}

		set = kmsgMessage(1, int8(c)|messageLogAppend, 108, 777, nil, kgoCompress(t, c, inner))
		want[0].Timestamp, want[1].Timestamp = 777, 777
		if got := messages(t, set); !reflect.DeepEqual(got, want) {
			t.Errorf("%v, LogAppendTime: %+v", c, got)
		}
	}
}

func TestMessagesLeaveOutACutMessage(t *testing.T) {
	set := unhex(pythonPlain)
	for n := range len(set) {
		want := 0
		for _, end := range []int{38 + 12, 38 + 12 + 15 + 12} {
			if n >= end {
				want++
			}
		}
		if got := len(messages(t, set[:n])); got != want {
			t.Errorf("%d bytes hold %d messages, want %d", n, got, want)
		}
		if _, err := UpConvert(set[:n], UpOptions{MaxBytes: 1000}); n != 0 && n != 50 && n != 77 && !errors.Is(err, ErrCorrupt) {
			t.Errorf("%d bytes converted: %v", n, err)
		}
	}
}

func TestUpConvertRefuses(t *testing.T) {
	value := []byte("v")
	v1 := func(attributes int8, value []byte) []byte { return kmsgMessage(1, attributes, 0, 5, nil, value) }
	gz := func(set []byte) []byte { return kgoCompress(t, Gzip, set) }
	flipped := unhex(pythonPlain)
	flipped[30] ^= 1
	innerFlipped := v1(0, value)
	innerFlipped[20] ^= 1
	for name, c := range map[string]struct {
		set  []byte
		want error
	}{
		"a wrong checksum":              {flipped, ErrCorrupt},
		"a wrong checksum inside":       {v1(1, gz(innerFlipped)), ErrCorrupt},
		"a message size of 13":          {unhex("0000000000000000 0000000d 00000000 00 00 00000000 000000"), ErrCorrupt},
		"a negative message size":       {unhex("0000000000000000 ffffffff 00000000 00 00 00000000 00000000"), ErrCorrupt},
		"version 2 behind version 1":    {append(v1(0, value), kmsgMessage(2, 0, 0, 0, nil, value)...), ErrInvalid},
		"a wrapper in a wrapper":        {v1(1, gz(v1(1, gz(v1(0, value))))), ErrInvalid},
		"version 0 inside of version 1": {v1(1, gz(kmsgMessage(0, 0, 0, 0, nil, value))), ErrInvalid},
		"a wrapper of nothing":          {v1(1, gz(nil)), ErrInvalid},
		"a wrapper of null":             {v1(1, nil), ErrInvalid},
		"a wrapper of garbage":          {v1(1, value), ErrInvalid},
		"a cut message inside":          {v1(1, gz(v1(0, value)[:30])), ErrInvalid},
		"a cut message behind another":  {v1(1, gz(append(v1(0, value), v1(0, value)[:30]...))), ErrInvalid},
		"LogAppendTime":                 {v1(8, value), ErrInvalidTimestamp},
		"zstd":                          {v1(4, kgoCompress(t, Zstd, v1(0, value))), ErrUnsupportedCodec},
		"codec 6":                       {v1(6, value), ErrUnsupportedCodec},
		"a bomb":                        {v1(1, gz(v1(0, make([]byte, 1<<20)))), ErrTooLarge},
		"two halves of a bomb": {append(v1(1, gz(v1(0, make([]byte, 60_000)))), v1(1, gz(v1(0, make([]byte, 60_000))))...),
			ErrTooLarge},
	} {
		if _, err := UpConvert(c.set, UpOptions{MaxBytes: 100_000}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestUpConvertOfKafkaPython(t *testing.T) {
	batch, err := UpConvert(unhex(pythonGzip), UpOptions{MaxBytes: 1000, Timestamp: 1448000000000})
	if err != nil {
		t.Fatal(err)
	}
	h, err := Check(batch)
	if err != nil || h.Attributes.Codec() != Gzip || h.MaxTimestamp != 1448000000000 {
		t.Fatalf("%+v, %v", h, err)
	}
	want := []Record{
		plain(0, 1448000000000, []byte("d1"), []byte("harsh")), plain(1, 1448000000000, nil, []byte("calm")),
	}
	if got := collect(t, batch, 1000); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if batch, err := UpConvert(nil, UpOptions{}); batch != nil || err != nil {
		t.Errorf("an empty set: %x, %v", batch, err)
	}
}

// TestUpDownRoundTrip sends what old clients can express through a log and back.
func TestUpDownRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		magic := rapid.Int8Range(0, 1).Draw(t, "magic")
		codec := rapid.SampledFrom([]Codec{None, Gzip, Snappy, LZ4}).Draw(t, "codec")
		base := rapid.Int64Range(0, 1<<50).Draw(t, "base")
		records := rapid.SliceOfN(rapid.Custom(genRecord), 1, 10).Draw(t, "records")
		var set []byte
		for i := range records {
			r := &records[i]
			r.Offset, r.Sequence, r.Headers = base+int64(i), NoSequence, nil
			if magic == 0 {
				r.Timestamp = NoTimestamp
			}
			set = append(set, kmsgMessage(magic, 0, int64(i), r.Timestamp, r.Key, r.Value)...)
		}
		if codec != None {
			set = kmsgMessage(magic, int8(codec), int64(len(records)-1), 0, nil, compress(codec, 0, nil, set))
		}
		batch, err := UpConvert(set, UpOptions{MaxBytes: 1 << 20, Timestamp: NoTimestamp})
		if err != nil {
			t.Fatal(err)
		}
		h, err := Check(batch)
		if err != nil || h.Attributes.Codec() != codec {
			t.Fatalf("%+v, %v", h, err)
		}
		PatchOffsets(batch, base, 4)
		down, err := DownConvert(batch, magic, DownOptions{MaxBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		i := 0
		for r, err := range Messages(down, 1<<20) {
			if err != nil || !reflect.DeepEqual(r, records[i]) {
				t.Fatalf("message %d: %+v, %v, sent %+v", i, r, err, records[i])
			}
			i++
		}
		if i != len(records) {
			t.Fatalf("%d of %d messages", i, len(records))
		}
	})
}

// downBatches returns three data batches of two records with a control batch between, at offsets 10, 13 (12 is the
// marker's) and 15.
func downBatches(c Codec) []byte {
	var all []byte
	for _, base := range []int64{10, 12, 13, 15} {
		b := NewBuilder(BuilderOptions{BaseOffset: base, Codec: c, Control: base == 12})
		for i := range int64(2) {
			if base == 12 && i == 1 {
				break
			}
			b.Append(Record{
				Timestamp: 1000 + base, Key: []byte("k"), Value: []byte{byte(base + i)},
				Headers: []RecordHeader{{Key: "dropped"}},
			})
		}
		all = append(all, b.Bytes()...)
	}
	return all
}

func offsets(t testing.TB, set []byte) (all []int64) {
	for _, r := range messages(t, set) {
		if len(r.Value) != 1 || int64(r.Value[0]) != r.Offset {
			t.Errorf("offset %d has value %v", r.Offset, r.Value)
		}
		all = append(all, r.Offset)
	}
	return all
}

func TestDownConvert(t *testing.T) {
	for _, c := range []Codec{None, Gzip, Snappy, LZ4} {
		for magic := int8(0); magic <= 1; magic++ {
			for _, d := range []struct {
				name string
				o    DownOptions
				want []int64
			}{
				{"all", DownOptions{SetBytes: math.MaxInt32}, []int64{10, 11, 13, 14, 15, 16}},
				{"the first always", DownOptions{SetBytes: 1}, []int64{10, 11}},
				{"from within a batch", DownOptions{SetBytes: 1, FirstOffset: 11}, []int64{11}},
				{"from a control batch", DownOptions{SetBytes: 1, FirstOffset: 12}, []int64{13, 14}},
				{"from behind", DownOptions{SetBytes: 1, FirstOffset: 99}, nil},
			} {
				d.o.MaxBytes = 1000
				set, err := DownConvert(downBatches(c), magic, d.o)
				if err != nil {
					t.Fatal(err)
				}
				if got := offsets(t, set); !reflect.DeepEqual(got, d.want) {
					t.Errorf("%v, magic %d, %s: offsets %v", c, magic, d.name, got)
				}
			}
		}
	}
}

func TestDownConvertLeavesOutACutBatch(t *testing.T) {
	whole := downBatches(None)
	set, err := DownConvert(whole[:len(whole)-1], 1, DownOptions{SetBytes: math.MaxInt32})
	if got := offsets(t, set); err != nil || !reflect.DeepEqual(got, []int64{10, 11, 13, 14}) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestDownConvertErrorsComeAfterWhatCouldBeConverted(t *testing.T) {
	good, bad := downBatches(None), downBatches(Zstd)
	if _, err := DownConvert(bad, 1, DownOptions{MaxBytes: 1000}); !errors.Is(err, ErrUnsupportedCodec) {
		t.Errorf("zstd first: %v", err)
	}
	set, err := DownConvert(append(good, bad...), 1, DownOptions{MaxBytes: 1000, SetBytes: math.MaxInt32})
	if got := offsets(t, set); err != nil || len(got) != 6 {
		t.Errorf("zstd last: %v, %v", got, err)
	}
	if _, err := DownConvert(nil, 2, DownOptions{}); !errors.Is(err, ErrInvalid) {
		t.Errorf("magic 2: %v", err)
	}
}

// TestDownConvertWireForm looks at the outer messages as a client of the time does.
func TestDownConvertWireForm(t *testing.T) {
	b := NewBuilder(BuilderOptions{BaseOffset: 20, Codec: LZ4})
	b.Append(Record{Timestamp: 9, Value: []byte("a")})
	b.Append(Record{Timestamp: 7, Value: []byte("b")})
	batch := b.Bytes()
	for magic := int8(0); magic <= 1; magic++ {
		set, err := DownConvert(batch, magic, DownOptions{MaxBytes: 100})
		if err != nil {
			t.Fatal(err)
		}
		m, rest, err := cutMessage(set)
		if err != nil || len(rest) > 0 || m.offset != 21 || m.key != nil || m.codec() != LZ4 {
			t.Fatalf("magic %d: %+v, %v", magic, m, err)
		}
		if want := []byte{lz4OldHeaderChecksum, 0x82}[magic]; m.value[6] != want {
			t.Errorf("magic %d: header checksum %#x", magic, m.value[6])
		}
		if magic == 0 {
			continue
		}
		if m.timestamp != 9 {
			t.Errorf("timestamp %d", m.timestamp)
		}
		inner, err := kgo.DefaultDecompressor().Decompress(m.value, kgo.CodecLz4)
		want := append(kmsgMessage(1, 0, 0, 9, nil, []byte("a")), kmsgMessage(1, 0, 1, 7, nil, []byte("b"))...)
		if err != nil || !bytes.Equal(inner, want) {
			t.Errorf("inside: %x, %v, want %x", inner, err, want)
		}
	}
	SetLogAppendTime(batch, 5555)
	set, _ := DownConvert(batch, 1, DownOptions{MaxBytes: 100})
	if m, _, err := cutMessage(set); err != nil || !m.logAppendTime() || m.timestamp != 5555 {
		t.Errorf("LogAppendTime: %+v, %v", m, err)
	}
}

// TestCompressedMessageAfterTheBound: the first message takes all that there is room for, and the second has nothing.
func TestCompressedMessageAfterTheBound(t *testing.T) {
	inner := kmsgMessage(1, 0, 0, 40, nil, []byte("a"))
	for _, c := range []Codec{Gzip, Snappy, LZ4} {
		wrapped := kmsgMessage(1, int8(c), 0, 40, nil, compress(c, 0, nil, bytes.Repeat(inner, 8)))
		_, err := UpConvert(append(wrapped, wrapped...), UpOptions{MaxBytes: 8 * len(inner)})
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("%v: %v", c, err)
		}
	}
}
