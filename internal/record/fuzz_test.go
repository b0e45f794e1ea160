package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"
)

// The bound that the fuzz targets give, and what they allow to be allocated: the pools' decoders, a few times the input
// and the bound.
const (
	fuzzMaxBytes = 256 << 10
	fuzzAllocMax = 24 << 20
)

func boundedAlloc(t *testing.T, input []byte, f func()) {
	t.Helper()
	if n := allocated(f); n > uint64(fuzzAllocMax+64*len(input)) {
		t.Fatalf("%d bytes of input made %d bytes of memory", len(input), n)
	}
}

func known(err error) bool {
	for _, class := range []error{ErrCorrupt, ErrInvalid, ErrInvalidTimestamp, ErrTooLarge, ErrUnsupportedCodec} {
		if errors.Is(err, class) {
			return true
		}
	}
	return err == nil
}

// FuzzBatch mends length and checksum of its input, so that what lies behind them is reached.
func FuzzBatch(f *testing.F) {
	h, records := kmsgRecords()
	f.Add(kmsgBatch(h, records...))
	for _, c := range codecs {
		f.Add(bytes.Clone(benchBatch(3, 20, c)))
	}
	f.Fuzz(func(t *testing.T, batch []byte) {
		if _, err := Check(bytes.Clone(batch)); !known(err) {
			t.Fatalf("Check as it is: %v", err)
		}
		if len(batch) < HeaderSize {
			return
		}
		batch = bytes.Clone(batch)
		PutHeader(batch, decodeHeader(batch))
		boundedAlloc(t, batch, func() { checkAllAgree(t, batch) })
	})
}

// checkAllAgree holds Check, Validate, Records and DownConvert against each other.
func checkAllAgree(t *testing.T, batch []byte) {
	_, checkErr := CheckInternal(bytes.Clone(batch))
	_, validErr := Validate(bytes.Clone(batch), ValidateOptions{MaxBytes: fuzzMaxBytes})
	count, readErr := 0, error(nil)
	for _, err := range Records(batch, fuzzMaxBytes) {
		if readErr = err; err == nil {
			count++
		}
	}
	h := decodeHeader(batch)
	_, downErr := DownConvert(batch, 1, DownOptions{MaxBytes: fuzzMaxBytes})
	for _, err := range []error{checkErr, validErr, readErr, downErr} {
		if !known(err) {
			t.Fatalf("an error without a class: %v", err)
		}
	}
	if validErr == nil && (readErr != nil || count != int(h.Count)) {
		t.Fatalf("valid, but %d records of %d and %v", count, h.Count, readErr)
	}
	if checkErr != nil && validErr == nil && checkHeader(h) == nil {
		t.Fatalf("valid, but Check says %v", checkErr)
	}
}

func FuzzMessageSet(f *testing.F) {
	f.Add(unhex(pythonPlain))
	f.Add(unhex(pythonGzip))
	inner := append(kmsgMessage(1, 0, 0, 40, nil, []byte("a")), kmsgMessage(1, 0, 3, 30, nil, []byte("b"))...)
	for _, c := range []Codec{Gzip, Snappy, LZ4} {
		f.Add(kmsgMessage(1, int8(c), 3, 40, nil, compress(c, 0, nil, inner)))
	}
	f.Fuzz(func(t *testing.T, set []byte) {
		set = mendChecksums(bytes.Clone(set))
		boundedAlloc(t, set, func() {
			count := 0
			for _, err := range Messages(set, fuzzMaxBytes) {
				if !known(err) {
					t.Fatalf("Messages: %v", err)
				}
				count++
			}
			batch, err := UpConvert(set, UpOptions{MaxBytes: fuzzMaxBytes})
			if !known(err) {
				t.Fatalf("UpConvert: %v", err)
			}
			if batch == nil {
				return
			}
			h, err := Check(batch)
			if err != nil || int(h.Count) != count {
				t.Fatalf("converted to %+v, %v, from %d messages", h, err, count)
			}
		})
	})
}

// mendChecksums gives every outer message that is whole its right checksum.
func mendChecksums(set []byte) []byte {
	for rest := set; ; {
		size, whole := messageSize(rest)
		if !whole || size < messageSizeMin {
			return set
		}
		m := rest[LogOverhead : LogOverhead+size]
		binary.BigEndian.PutUint32(m, crc32.ChecksumIEEE(m[messageMagicAt:]))
		rest = rest[LogOverhead+size:]
	}
}

func FuzzDecompress(f *testing.F) {
	for _, c := range codecs {
		for _, src := range [][]byte{[]byte("a"), text(300), make([]byte, 5000)} {
			f.Add(int8(c), compress(c, 0, nil, src))
		}
	}
	f.Add(int8(Snappy), unhex("18 14 68656c6c6f20 46 0600"))
	f.Fuzz(func(t *testing.T, c int8, src []byte) {
		boundedAlloc(t, src, func() {
			got, err := Decompress(Codec(c), nil, src, fuzzMaxBytes)
			if !known(err) || len(got) > fuzzMaxBytes {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
			if err != nil {
				return
			}
			again, err := Decompress(Codec(c), nil, compress(Codec(c), 0, nil, got), len(got))
			if err != nil || !bytes.Equal(again, got) {
				t.Fatalf("compressed again: %v", err)
			}
		})
	})
}
