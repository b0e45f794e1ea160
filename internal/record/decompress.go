package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/pierrec/lz4/v4"
)

// decompressedBytesMax is where 32-bit lengths end, and keeps sums with a caller's bound from overflowing.
const decompressedBytesMax = math.MaxInt32 - 1

// Decompress appends what src decompresses to, at most maxBytes (less than 0 is 0), to dst. More fails with ErrTooLarge, an unknown codec
// with ErrUnsupportedCodec, anything else with ErrInvalid; dst then holds anything behind its length.
//
// Memory is allocated by what src really holds, never because it claims a size: a claim that src cannot fulfil is
// refused before. Snappy may be raw or in xerial framing. The header checksum of lz4 frames is not looked at, because
// the producers of magic 0 sets wrote a wrong one (KAFKA-3160); the records have a checksum of their own. Decoders are
// pooled; it may be called from many goroutines at once.
func Decompress(c Codec, dst, src []byte, maxBytes int) ([]byte, error) {
	maxBytes = min(max(maxBytes, 0), decompressedBytesMax)
	switch c {
	case None:
		if len(src) > maxBytes {
			return nil, ErrTooLarge
		}
		return append(dst, src...), nil
	case Gzip:
		return decompressGzip(dst, src, maxBytes)
	case Snappy:
		return decompressSnappy(dst, src, maxBytes)
	case LZ4:
		return decompressLZ4(dst, src, maxBytes)
	case Zstd:
		return decompressZstd(dst, src, maxBytes)
	}
	return nil, unsupported(c)
}

func undecodable(c Codec, err error) error {
	return invalid("%v: %v", c, err)
}

var errTruncated = errors.New("truncated")

var gzipReaders sync.Pool

// gzipReader keeps its source with it, so that neither is allocated again.
type gzipReader struct {
	z   gzip.Reader
	src bytes.Reader
}

func decompressGzip(dst, src []byte, maxBytes int) ([]byte, error) {
	r, ok := gzipReaders.Get().(*gzipReader)
	if !ok {
		r = new(gzipReader)
	}
	defer gzipReaders.Put(r)
	r.src.Reset(src)
	defer r.src.Reset(nil)
	if err := r.z.Reset(&r.src); err != nil {
		return nil, undecodable(Gzip, err)
	}
	return readBounded(dst, &r.z, 2*len(src), maxBytes)
}

// readBounded appends all that r gives to dst, in steps that double from the first.
func readBounded(dst []byte, r io.Reader, step, maxBytes int) ([]byte, error) {
	start, step := len(dst), max(step, 512)
	for {
		if len(dst)-start > maxBytes {
			return nil, ErrTooLarge
		}
		if len(dst) == cap(dst) {
			// One byte above the bound tells "exactly" from "more".
			step = min(step, maxBytes-(len(dst)-start)+1)
			dst = grow(dst, step)[:len(dst)]
			step *= 2
		}
		n, err := r.Read(dst[len(dst):min(cap(dst), start+maxBytes+1)])
		dst = dst[:len(dst)+n]
		if err == io.EOF {
			if len(dst)-start > maxBytes {
				return nil, ErrTooLarge
			}
			return dst, nil
		}
		if err != nil {
			return nil, undecodable(Gzip, err)
		}
	}
}

func decompressSnappy(dst, src []byte, maxBytes int) ([]byte, error) {
	if !bytes.HasPrefix(src, xerialHeader[:8]) {
		return decompressSnappyBlock(dst, src, maxBytes)
	}
	start := len(dst)
	for len(src) > 0 {
		// A stream may be several ones in a row, as snappy-java reads them.
		if bytes.HasPrefix(src, xerialHeader[:8]) {
			if len(src) < len(xerialHeader) {
				return nil, undecodable(Snappy, errTruncated)
			}
			src = src[len(xerialHeader):]
			continue
		}
		block, rest, ok := cutBlock(src)
		if !ok {
			return nil, undecodable(Snappy, errTruncated)
		}
		var err error
		if dst, err = decompressSnappyBlock(dst, block, maxBytes-(len(dst)-start)); err != nil {
			return nil, err
		}
		src = rest
	}
	return dst, nil
}

// cutBlock cuts a block with its big-endian size in front off src.
func cutBlock(src []byte) (block, rest []byte, ok bool) {
	if len(src) < 4 {
		return nil, nil, false
	}
	size := binary.BigEndian.Uint32(src)
	if int64(size) > int64(len(src)-4) {
		return nil, nil, false
	}
	return src[4 : 4+size], src[4+size:], true
}

// snappyRatioMax bounds what a snappy block can grow to: its best element makes 64 bytes of 3.
const snappyRatioMax = 22

func decompressSnappyBlock(dst, block []byte, maxBytes int) ([]byte, error) {
	size, err := snappy.DecodedLen(block)
	if err != nil {
		return nil, undecodable(Snappy, err)
	}
	if size > snappyRatioMax*len(block) {
		return nil, undecodable(Snappy, errors.New("claims more than it can hold"))
	}
	if size > maxBytes {
		return nil, ErrTooLarge
	}
	at := len(dst)
	dst = grow(dst, size)
	if _, err := snappy.DecodeStrict(dst[at:], block); err != nil {
		return nil, undecodable(Snappy, err)
	}
	return dst, nil
}

// lz4RatioMax bounds what a byte of an lz4 block can grow to: each byte of a match's length adds 255.
const lz4RatioMax = 255

func decompressLZ4(dst, src []byte, maxBytes int) ([]byte, error) {
	start := len(dst)
	for first := true; first || len(src) > 0; first = false {
		f, rest, err := cutLZ4Header(src)
		if err != nil {
			return nil, undecodable(LZ4, err)
		}
		dst, src, err = f.decompress(dst, rest, start+maxBytes)
		if errors.Is(err, ErrTooLarge) {
			return nil, err
		}
		if err != nil {
			return nil, undecodable(LZ4, err)
		}
	}
	return dst, nil
}

// lz4Frame is what an lz4 frame's header says of its blocks.
type lz4Frame struct {
	blockBytesMax   int
	blockChecksum   bool
	contentChecksum bool
}

// The bits of an lz4 frame's first flag byte.
const (
	lz4VersionMask     = 0xc0
	lz4Version         = 0x40
	lz4Independent     = 0x20
	lz4BlockChecksum   = 0x10
	lz4ContentSize     = 0x08
	lz4ContentChecksum = 0x04
	lz4Reserved        = 0x02
	lz4Dictionary      = 0x01
)

func cutLZ4Header(src []byte) (f lz4Frame, rest []byte, err error) {
	if len(src) < len(lz4Header) {
		return f, nil, errTruncated
	}
	if !bytes.HasPrefix(src, lz4Header[:4]) {
		return f, nil, errors.New("no lz4 frame")
	}
	flags, block, size := src[4], src[5], len(lz4Header)
	if flags&lz4VersionMask != lz4Version || flags&(lz4Reserved|lz4Dictionary) != 0 || flags&lz4Independent == 0 {
		return f, nil, fmt.Errorf("flags %#02x are not supported", flags)
	}
	code := int(block >> 4)
	if block&0x8f != 0 || code < 4 {
		return f, nil, fmt.Errorf("block size %#02x does not exist", block)
	}
	if flags&lz4ContentSize != 0 {
		size += 8
	}
	if len(src) < size {
		return f, nil, errTruncated
	}
	f.blockBytesMax = 1 << (8 + 2*code)
	f.blockChecksum = flags&lz4BlockChecksum != 0
	f.contentChecksum = flags&lz4ContentChecksum != 0
	return f, src[size:], nil
}

// decompress appends the blocks of a frame to dst until it has end bytes, and returns what follows the frame.
func (f lz4Frame) decompress(dst, src []byte, end int) (out, rest []byte, err error) {
	for {
		if len(src) < 4 {
			return nil, nil, errTruncated
		}
		word := binary.LittleEndian.Uint32(src)
		src = src[4:]
		if word == 0 {
			break
		}
		size := int(word &^ lz4Uncompressed)
		if size > len(src) {
			return nil, nil, errTruncated
		}
		if dst, err = f.appendBlock(dst, src[:size], word&lz4Uncompressed != 0, end); err != nil {
			return nil, nil, err
		}
		if src = src[size:]; f.blockChecksum {
			if src, err = skip(src, 4); err != nil {
				return nil, nil, err
			}
		}
	}
	if f.contentChecksum {
		src, err = skip(src, 4)
	}
	return dst, src, err
}

func skip(b []byte, n int) ([]byte, error) {
	if len(b) < n {
		return nil, errTruncated
	}
	return b[n:], nil
}

func (f lz4Frame) appendBlock(dst, block []byte, stored bool, end int) ([]byte, error) {
	if stored {
		if len(block) > f.blockBytesMax {
			return nil, errors.New("block is too large")
		}
		if len(dst)+len(block) > end {
			return nil, ErrTooLarge
		}
		return append(dst, block...), nil
	}
	at, room := len(dst), min(f.blockBytesMax, lz4RatioMax*len(block))
	bounded := end-at < room
	if bounded {
		room = end - at
	}
	dst = grow(dst, max(room, 1))[:at+room] // the decoder's assembly writes through nil, as if that had room
	n, err := lz4.UncompressBlock(block, dst[at:])
	if err != nil && bounded {
		return nil, ErrTooLarge
	}
	if err != nil {
		return nil, err
	}
	return dst[:at+n], nil
}
