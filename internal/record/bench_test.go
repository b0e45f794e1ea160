package record

import (
	"fmt"
	"testing"
)

// text returns n bytes that look like what devices send and compress as such.
func text(n int) []byte {
	var b []byte
	for i := 0; len(b) < n; i++ {
		b = fmt.Appendf(b, `{"device":"d%05d","speed":%d,"lat":%d.%05d}`, i*7919%100000, i%130, i%90, i*104729%100000)
	}
	return b[:n]
}

func benchBatch(count, size int, c Codec) []byte {
	b := NewBuilder(BuilderOptions{Codec: c})
	for i := range count {
		b.Append(Record{Timestamp: 1700000000000 + int64(i), Key: []byte("device-12"), Value: text(size)})
	}
	return b.Bytes()
}

func BenchmarkBatch(b *testing.B) {
	for _, bm := range []struct {
		name        string
		count, size int
	}{{"16KiBof100B", 150, 90}, {"16KiBof1KiB", 16, 1000}, {"1MiBof1KiB", 1020, 1000}} {
		batch := benchBatch(bm.count, bm.size, None)
		run := func(name string, f func() error) {
			b.Run(bm.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(batch)))
				for b.Loop() {
					if err := f(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		run("CheckCRC", func() error { return CheckCRC(batch) })
		run("Check", func() error { _, err := Check(batch); return err })
		run("PatchOffsets", func() error { PatchOffsets(batch, 0, 7); return nil })
		run("SetMaxTimestamp", func() error { setMaxTimestamp(batch, 1); return nil })
	}
}

func BenchmarkCodecs(b *testing.B) {
	for _, c := range []Codec{Gzip, Snappy, LZ4, Zstd} {
		for _, size := range []int{16 << 10, 1 << 20} {
			src := text(size)
			packed := compress(c, 0, nil, src)
			var dst []byte
			b.Run(fmt.Sprintf("%v/%dKiB/Compress", c, size>>10), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					dst = compress(c, 0, dst[:0], src)
				}
			})
			b.Run(fmt.Sprintf("%v/%dKiB/Decompress", c, size>>10), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					var err error
					if dst, err = Decompress(c, dst[:0], packed, size); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
