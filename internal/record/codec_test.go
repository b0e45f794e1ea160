package record

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kgo"
)

func kgoCompress(t testing.TB, c Codec, src []byte) []byte {
	t.Helper()
	codec := map[Codec]kgo.CompressionCodec{
		Gzip: kgo.GzipCompression(), Snappy: kgo.SnappyCompression(), LZ4: kgo.Lz4Compression(), Zstd: kgo.ZstdCompression(),
	}[c]
	compressor, err := kgo.DefaultCompressor(codec)
	if err != nil {
		t.Fatal(err)
	}
	out, used := compressor.Compress(new(bytes.Buffer), src)
	if Codec(used) != c {
		t.Fatalf("kgo used %v", used)
	}
	return bytes.Clone(out)
}

// samples are what compressors treat differently: nothing, little, much, what does not shrink.
func samples() [][]byte {
	noise := make([]byte, 200_000)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	return [][]byte{{}, []byte("a"), text(1000), text(300_000), noise, make([]byte, 1<<20)}
}

func TestCodecsAgreeWithKgo(t *testing.T) {
	for _, c := range codecs[1:] {
		for _, src := range samples()[1:] { // kgo never has an empty batch, and reads an empty xerial stream as raw
			ours := compress(c, 0, []byte("before"), src)[len("before"):]
			theirs, err := kgo.DefaultDecompressor().Decompress(ours, kgo.CompressionCodecType(c))
			if err != nil || !bytes.Equal(theirs, src) {
				t.Errorf("%v, %d bytes: kgo reads ours: %v", c, len(src), err)
			}
			got, err := Decompress(c, []byte("before"), kgoCompress(t, c, src), len(src))
			if err != nil || string(got[:6]) != "before" || !bytes.Equal(got[6:], src) {
				t.Errorf("%v, %d bytes: we read kgo's: %v", c, len(src), err)
			}
		}
	}
}

func TestCodecLevels(t *testing.T) {
	src := text(50_000)
	for _, c := range codecs {
		for level := -3; level <= 30; level += 3 {
			packed, err := Compress(c, level, nil, src)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := Decompress(c, nil, packed, len(src)); err != nil || !bytes.Equal(got, src) {
				t.Errorf("%v at level %d: %v", c, level, err)
			}
		}
	}
}

func TestDecompressStopsAtTheBound(t *testing.T) {
	for _, c := range codecs {
		for _, src := range samples()[1:] {
			packed := compress(c, 0, nil, src)
			if _, err := Decompress(c, nil, packed, len(src)-1); !errors.Is(err, ErrTooLarge) {
				t.Errorf("%v, %d bytes, one more than allowed: %v", c, len(src), err)
			}
			if _, err := Decompress(c, nil, packed, -1); !errors.Is(err, ErrTooLarge) {
				t.Errorf("%v, %d bytes, less than none allowed: %v", c, len(src), err)
			}
			if _, err := Decompress(c, []byte("x"), packed, math.MaxInt); err != nil {
				t.Errorf("%v, %d bytes, any number allowed: %v", c, len(src), err)
			}
			if _, err := Decompress(c, nil, packed, len(src)); err != nil {
				t.Errorf("%v, %d bytes, as many as allowed: %v", c, len(src), err)
			}
		}
	}
}

func TestUnknownCodecs(t *testing.T) {
	for _, c := range []Codec{-1, 5, 6, 7} {
		if _, err := Compress(c, 0, nil, nil); !errors.Is(err, ErrUnsupportedCodec) {
			t.Errorf("Compress(%d): %v", c, err)
		}
		if _, err := Decompress(c, nil, nil, 10); !errors.Is(err, ErrUnsupportedCodec) {
			t.Errorf("Decompress(%d): %v", c, err)
		}
	}
}

func TestTruncatedInput(t *testing.T) {
	src := text(70_000)
	for _, c := range codecs[1:] {
		packed := compress(c, 0, nil, src)
		for n := 0; n < len(packed); n += 1 + n/20 {
			got, err := Decompress(c, nil, packed[:n], len(src))
			// A stream of snappy blocks, or no zstd frame at all, may end between two of them.
			if err == nil && !bytes.HasPrefix(src, got) {
				t.Fatalf("%v cut to %d of %d bytes: %d wrong bytes", c, n, len(packed), len(got))
			}
			if err == nil && c != Snappy && n > 0 {
				t.Errorf("%v cut to %d of %d bytes: no error", c, n, len(packed))
			}
		}
	}
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// TestSnappyFramings has "hello hello hello hello " as a raw block: a literal of six bytes and a copy of eighteen.
func TestSnappyFramings(t *testing.T) {
	const want = "hello hello hello hello "
	raw := unhex("18 14 68656c6c6f20 46 0600")
	block := append([]byte{0, 0, 0, byte(len(raw))}, raw...)
	stream := append(unhex("82534e41505059 00 00000001 00000001"), block...)
	for name, c := range map[string]struct {
		src  []byte
		want string
	}{
		"raw":                {raw, want},
		"xerial":             {stream, want},
		"two blocks":         {append(bytes.Clone(stream), block...), want + want},
		"two xerial streams": {append(bytes.Clone(stream), stream...), want + want},
	} {
		if got, err := Decompress(Snappy, nil, c.src, 100); err != nil || string(got) != c.want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if got := compress(Snappy, 0, nil, []byte(want)); !bytes.HasPrefix(got, stream[:16]) {
		t.Errorf("we write %x", got)
	}
	if _, err := Decompress(Snappy, nil, unhex("18 14 68656c6c6f20 46 0000"), 100); !errors.Is(err, ErrInvalid) {
		t.Errorf("a copy from offset 0, which only S2 knows: %v", err)
	}
}

func TestLZ4Frames(t *testing.T) {
	src := text(300_000)
	for name, options := range map[string][]lz4.Option{
		"all checksums, 4 MiB blocks": {lz4.ChecksumOption(true), lz4.BlockChecksumOption(true), lz4.BlockSizeOption(lz4.Block4Mb)},
		"content size":                {lz4.SizeOption(uint64(len(src))), lz4.BlockSizeOption(lz4.Block64Kb)},
		"256 KiB blocks":              {lz4.ChecksumOption(false), lz4.BlockSizeOption(lz4.Block256Kb)},
	} {
		var frame bytes.Buffer
		w := lz4.NewWriter(&frame)
		if err := w.Apply(options...); err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(src)
		_ = w.Close()
		if got, err := Decompress(LZ4, nil, frame.Bytes(), len(src)); err != nil || !bytes.Equal(got, src) {
			t.Errorf("%s: %v", name, err)
		}
	}
	packed := compress(LZ4, 0, nil, src)
	if got, err := io.ReadAll(lz4.NewReader(bytes.NewReader(packed))); err != nil || !bytes.Equal(got, src) {
		t.Errorf("pierrec reads ours: %v", err)
	}
	packed[6] = lz4OldHeaderChecksum
	if got, err := Decompress(LZ4, nil, packed, len(src)); err != nil || !bytes.Equal(got, src) {
		t.Errorf("the old header checksum: %v", err)
	}
}

func TestLZ4Refuses(t *testing.T) {
	frame := func(flags, size byte, rest string) []byte {
		return append([]byte{0x04, 0x22, 0x4d, 0x18, flags, size, 0}, unhex(rest)...)
	}
	for name, src := range map[string][]byte{
		"dependent blocks":              frame(0x40, 0x40, "00000000"),
		"a dictionary":                  frame(0x61, 0x40, "00000000 00000000"),
		"version 2":                     frame(0xa0, 0x40, "00000000"),
		"a block size of 3":             frame(0x60, 0x30, "00000000"),
		"a legacy frame":                unhex("02214c18 00000000 00000000"),
		"a block past the end":          frame(0x60, 0x40, "ffffff7f"),
		"no end mark":                   frame(0x60, 0x40, "01000080 61"),
		"a stored block above its size": append(frame(0x60, 0x40, "01000180"), make([]byte, 1<<16+5)...),
		"garbage behind":                frame(0x60, 0x40, "00000000 01"),
		"no content checksum":           frame(0x64, 0x40, "00000000 0102"),
	} {
		if got, err := Decompress(LZ4, nil, src, 1<<20); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

// TestOldLZ4HeaderChecksum computes both checksums of the frame header with xxHash32.
func TestOldLZ4HeaderChecksum(t *testing.T) {
	if got := byte(xxh32(lz4Header[4:6]) >> 8); got != lz4Header[6] {
		t.Errorf("right checksum %#x", got)
	}
	if got := byte(xxh32(lz4Header[:6]) >> 8); got != lz4OldHeaderChecksum {
		t.Errorf("old checksum %#x", got)
	}
}

// xxh32 is xxHash32 with seed 0 for fewer than 16 bytes.
func xxh32(b []byte) uint32 {
	const p1, p2, p3, p4, p5 = 2654435761, 2246822519, 3266489917, 668265263, 374761393
	h := uint32(p5) + uint32(len(b))
	for ; len(b) >= 4; b = b[4:] {
		h += binary.LittleEndian.Uint32(b) * p3
		h = (h<<17 | h>>15) * p4
	}
	for _, c := range b {
		h += uint32(c) * p5
		h = (h<<11 | h>>21) * p1
	}
	h = (h ^ h>>15) * p2
	h = (h ^ h>>13) * p3
	return h ^ h>>16
}

func TestZstdFrames(t *testing.T) {
	src := append(text(300_000), make([]byte, 200_000)...)
	for name, options := range map[string][]zstd.EOption{
		"a window of 128 MiB": {zstd.WithWindowSize(128 << 20)},
		"single segment":      {zstd.WithSingleSegment(true)},
		"checksum":            {zstd.WithEncoderCRC(true)},
	} {
		var frame bytes.Buffer // streamed, as the Java client writes it: no content size
		w, err := zstd.NewWriter(&frame, append(options, zstd.WithEncoderConcurrency(1))...)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(src)
		_ = w.Close()
		skippable := append(unhex("502a4d18 03000000 010203"), frame.Bytes()...)
		twice := append(skippable, w.EncodeAll(src, nil)...)
		if got, err := Decompress(Zstd, nil, twice, 2*len(src)); err != nil || !bytes.Equal(got, append(bytes.Clone(src), src...)) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

// allocated returns the bytes that f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestLyingSizesAllocateNothing(t *testing.T) {
	const bound = 1 << 30
	for _, c := range codecs[1:] { // what the pools need once
		_, _ = Decompress(c, nil, compress(c, 0, nil, text(1000)), bound)
	}
	for name, l := range map[string]struct {
		c   Codec
		src []byte
	}{
		"snappy of 512 MiB":            {Snappy, unhex("8080808002 00 61")},
		"snappy of 4 GiB":              {Snappy, unhex("ffffffff0f 00 61")},
		"xerial block of 512 MiB":      {Snappy, append(bytes.Clone(xerialHeader), unhex("00000007 8080808002 0061")...)},
		"xerial block past the end":    {Snappy, append(bytes.Clone(xerialHeader), unhex("7fffffff 00")...)},
		"lz4 block of 4 MiB":           {LZ4, unhex("04224d18 60 70 73 01000000 00 00000000")},
		"lz4 content of 1 GiB":         {LZ4, unhex("04224d18 68 70 0000004000000000 73 00000000")},
		"zstd content of 1 GiB":        {Zstd, unhex("28b52ffd a0 00000040 010000")},
		"zstd content of 2^60":         {Zstd, unhex("28b52ffd e0 0000000000000010 010000")},
		"zstd window of 128 MiB":       {Zstd, unhex("28b52ffd 00 88 010000")},
		"zstd run of 2 MiB in a block": {Zstd, unhex("28b52ffd 00 88 fbffff 61")},
		"zstd skippable of 4 GiB":      {Zstd, unhex("502a4d18 ffffffff 00")},
		"gzip with an extra field":     {Gzip, unhex("1f8b0804000000000000 ffff 00")},
	} {
		if n := allocated(func() { _, _ = Decompress(l.c, nil, l.src, bound) }); n > 400<<10 {
			t.Errorf("%s: %d bytes of input made %d bytes of memory", name, len(l.src), n)
		}
	}
}
