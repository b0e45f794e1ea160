package commitlog

import (
	"fmt"
	"testing"

	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/vfs"
)

func benchDir(b *testing.B) *Dir {
	d, err := OpenDir(DirConfig{FS: vfs.Disk(), Path: b.TempDir(), NodeID: 1})
	must(b, err)
	b.Cleanup(func() { must(b, d.Close()) })
	return d
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			c := DefaultConfig()
			c.MaxMessageBytes, c.RetentionBytes, c.SegmentBytes = 2<<20, 1<<30, 256<<20
			l, err := benchDir(b).Open(testTP, testID, c, Hooks{})
			must(b, err)
			bb := record.NewBuilder(record.BuilderOptions{})
			bb.Append(record.Record{Timestamp: 1, Value: make([]byte, size)})
			batch := bb.Bytes()
			b.SetBytes(int64(len(batch)))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := l.Append(batch, AppendOptions{LeaderEpoch: 1, Now: int64(i)}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			l, err := benchDir(b).Open(testTP, testID, DefaultConfig(), Hooks{})
			must(b, err)
			bb := record.NewBuilder(record.BuilderOptions{})
			bb.Append(record.Record{Timestamp: 1, Value: make([]byte, 1000)})
			for range 50_000 {
				if _, err := l.Append(bb.Bytes(), AppendOptions{LeaderEpoch: 1}); err != nil {
					b.Fatal(err)
				}
			}
			must(b, l.Flush())
			buffer := make([]byte, 0, 2<<20)
			end, at := l.EndOffset(), int64(0)
			var read int64
			b.ReportAllocs()
			for b.Loop() {
				c, err := l.Read(at, size, end, true)
				if err != nil {
					b.Fatal(err)
				}
				if buffer, err = c.AppendTo(buffer[:0]); err != nil {
					b.Fatal(err)
				}
				read += int64(c.Size())
				c.Release()
				if at = c.NextOffset(); at == end {
					at = 0
				}
			}
			b.SetBytes(read / int64(b.N))
		})
	}
}

// BenchmarkOpenEmpty makes the partitions of an internal topic.
func BenchmarkOpenEmpty(b *testing.B) {
	for b.Loop() {
		d, err := OpenDir(DirConfig{FS: vfs.Disk(), Path: b.TempDir(), NodeID: 1})
		must(b, err)
		for i := range 50 {
			_, err := d.Open(TopicPartition{"__consumer_offsets", int32(i)}, testID, DefaultConfig(), Hooks{})
			must(b, err)
		}
		b.StopTimer()
		must(b, d.Close())
		b.StartTimer()
	}
}
