package record

import (
	"bytes"
	"encoding/binary"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Compress appends src, compressed as Kafka's clients expect it, to dst: gzip, snappy in xerial framing, an lz4 frame
// of independent 64 KiB blocks, zstd. The level is the codec's own (gzip 1 to 9, lz4 1 to 17, zstd 1 to 22; snappy has
// none); 0 is the default, and what is out of range counts as the nearest in it. It fails only with
// ErrUnsupportedCodec. Encoders are pooled; it may be called from many goroutines at once.
func Compress(c Codec, level int, dst, src []byte) ([]byte, error) {
	if !c.Valid() {
		return nil, unsupported(c)
	}
	return compress(c, level, dst, src), nil
}

func compress(c Codec, level int, dst, src []byte) []byte {
	switch c {
	case Gzip:
		return compressGzip(level, dst, src)
	case Snappy:
		return compressSnappy(dst, src)
	case LZ4:
		return compressLZ4(level, dst, src)
	case Zstd:
		return compressZstd(level, dst, src)
	}
	return append(dst, src...)
}

// gzipWriters holds a pool for each level, the default at 0.
var gzipWriters [gzip.BestCompression + 1]sync.Pool

func compressGzip(level int, dst, src []byte) []byte {
	level = min(max(level, 0), gzip.BestCompression)
	out := bytes.NewBuffer(dst)
	w, ok := gzipWriters[level].Get().(*gzip.Writer)
	if ok {
		w.Reset(out)
	} else {
		w = newGzipWriter(out, level)
	}
	// Writes to a bytes.Buffer do not fail.
	_, _ = w.Write(src)
	_ = w.Close()
	gzipWriters[level].Put(w)
	return out.Bytes()
}

func newGzipWriter(out *bytes.Buffer, level int) *gzip.Writer {
	if level == 0 {
		level = gzip.DefaultCompression
	}
	w, err := gzip.NewWriterLevel(out, level)
	if err != nil {
		panic(err) // the level is clamped
	}
	return w
}

// xerialHeader begins the framing of snappy-java's streams: a magic, the version, the least version that can read it.
var xerialHeader = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1}

const xerialBlockBytes = 32 << 10 // snappy-java's default

func compressSnappy(dst, src []byte) []byte {
	dst = append(dst, xerialHeader...)
	for len(src) > 0 {
		block := src[:min(len(src), xerialBlockBytes)]
		src = src[len(block):]
		at := len(dst)
		dst = grow(dst, 4+s2.MaxEncodedLen(len(block)))
		encoded := s2.EncodeSnappy(dst[at+4:], block)
		binary.BigEndian.PutUint32(dst[at:], uint32(len(encoded)))
		dst = dst[:at+4+len(encoded)]
	}
	return dst
}

// The frame that Kafka's clients write: version 1, independent blocks of 64 KiB, no checksums but that of this header.
var lz4Header = []byte{0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82}

// lz4OldHeaderChecksum is what the header above must end with inside messages of version 0: their clients computed the
// checksum over the frame's magic too, and some refuse the right one (KAFKA-3160, KIP-57).
const lz4OldHeaderChecksum = 0x1a

const (
	lz4BlockBytes   = 64 << 10
	lz4Uncompressed = 1 << 31 // in a block's size: the block is stored as it is
)

func compressLZ4(level int, dst, src []byte) []byte {
	dst = append(dst, lz4Header...)
	for len(src) > 0 {
		block := src[:min(len(src), lz4BlockBytes)]
		src = src[len(block):]
		at := len(dst)
		dst = grow(dst, 4+lz4.CompressBlockBound(len(block)))
		n := compressLZ4Block(level, dst[at+4:], block)
		if n == 0 || n >= len(block) {
			n = copy(dst[at+4:], block)
			binary.LittleEndian.PutUint32(dst[at:], uint32(n)|lz4Uncompressed)
		} else {
			binary.LittleEndian.PutUint32(dst[at:], uint32(n))
		}
		dst = dst[:at+4+n]
	}
	return append(dst, 0, 0, 0, 0) // the end mark
}

// compressLZ4Block returns 0 when the block does not shrink.
func compressLZ4Block(level int, dst, block []byte) int {
	var n int
	if level <= 1 {
		n, _ = lz4.CompressBlock(block, dst, nil) // fails only when dst is too small, and it is not
	} else {
		n, _ = lz4.CompressBlockHC(block, dst, lz4.CompressionLevel(1<<(8+min(level-1, 9))), nil, nil)
	}
	return n
}

var zstdWriters [zstd.SpeedBestCompression + 1]sync.Pool

func compressZstd(level int, dst, src []byte) []byte {
	speed := zstd.SpeedDefault
	if level > 0 {
		speed = zstd.EncoderLevelFromZstd(level)
	}
	w, ok := zstdWriters[speed].Get().(*zstd.Encoder)
	if !ok {
		w = newZstdWriter(speed)
	}
	dst = w.EncodeAll(src, dst)
	zstdWriters[speed].Put(w)
	return dst
}

func newZstdWriter(speed zstd.EncoderLevel) *zstd.Encoder {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(speed), zstd.WithEncoderConcurrency(1),
		zstd.WithZeroFrames(true), zstd.WithEncoderCRC(false))
	if err != nil {
		panic(err) // the options are constants
	}
	return w
}

// grow returns dst longer by n bytes, which hold anything.
func grow(dst []byte, n int) []byte {
	if cap(dst)-len(dst) >= n {
		return dst[:len(dst)+n]
	}
	return append(dst, make([]byte, n)...)
}
