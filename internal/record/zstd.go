package record

import (
	"encoding/binary"
	"errors"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// zstdWindowMax is the largest window that zstd reads without being told to (2^27); level 22 writes it. It costs no
// memory: the output itself serves as the window.
const zstdWindowMax = 128 << 20

var zstdReaders = sync.Pool{New: func() any {
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(zstdWindowMax), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic(err) // the options are constants
	}
	return r
}}

// decompressZstd gives the decoder no more room than the blocks of src can fill. It tries first with what usual data
// needs, because that bound is 128 KiB for the smallest batch.
func decompressZstd(dst, src []byte, maxBytes int) ([]byte, error) {
	bound, err := zstdBound(src)
	if err != nil {
		return nil, undecodable(Zstd, err)
	}
	r := zstdReaders.Get().(*zstd.Decoder)
	defer zstdReaders.Put(r)
	room := min(bound, maxBytes)
	usual := min(room, 8*len(src)+1024)
	out, err := decodeAll(r, dst, src, usual)
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) && usual < room {
		out, err = decodeAll(r, dst, src, room)
	}
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) && maxBytes < bound {
		return nil, ErrTooLarge
	}
	if err != nil {
		return nil, undecodable(Zstd, err)
	}
	return out, nil
}

func decodeAll(r *zstd.Decoder, dst, src []byte, room int) ([]byte, error) {
	dst = slices.Grow(dst, room)
	return r.DecodeAll(src, dst[:len(dst):len(dst)+room])
}

// zstdBlockBytesMax is the most that one block decompresses to (RFC 8878, 3.1.1.2.4).
const zstdBlockBytesMax = 128 << 10

// zstdBound returns the most bytes that the frames of src can decompress to, from the sizes of their blocks alone: what
// a frame claims as its content size may be a lie.
func zstdBound(src []byte) (int, error) {
	bound := 0
	for len(src) > 0 {
		var header zstd.Header
		if err := header.Decode(src); err != nil {
			return 0, err
		}
		size := header.HeaderSize
		if header.Skippable {
			size += int(header.SkippableSize)
		}
		if size <= 0 || size > len(src) {
			return 0, errTruncated
		}
		src = src[size:]
		if header.Skippable {
			continue
		}
		n, rest, err := zstdBlocksBound(src)
		if err != nil {
			return 0, err
		}
		if header.HasCheckSum {
			if rest, err = skip(rest, 4); err != nil {
				return 0, err
			}
		}
		src, bound = rest, bound+n
	}
	return bound, nil
}

// zstdBlocksBound walks over the blocks of one frame and returns what follows them.
func zstdBlocksBound(src []byte) (bound int, rest []byte, err error) {
	const (
		raw = iota
		runLength
	)
	for last := false; !last; {
		if len(src) < 3 {
			return 0, nil, errTruncated
		}
		word := uint32(binary.LittleEndian.Uint16(src)) | uint32(src[2])<<16
		last = word&1 != 0
		size := int(word >> 3)
		stored := size
		switch word >> 1 & 3 {
		case raw:
			bound += size
		case runLength:
			bound, stored = bound+min(size, zstdBlockBytesMax), 1
		default:
			bound += zstdBlockBytesMax
		}
		if src, err = skip(src[3:], stored); err != nil {
			return 0, nil, err
		}
	}
	return bound, src, nil
}
