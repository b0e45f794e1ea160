package quorum

import (
	"fmt"
	"path"
	"testing"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/vfs"
)

// BenchmarkFirstCommit measures what a start on a real disk takes: format, elect, commit.
func BenchmarkFirstCommit(b *testing.B) {
	for b.Loop() {
		dir, q := openOnDisk(b, b.TempDir())
		q.Close()
		if err := dir.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDo measures committed changes on a real disk, few callers and many.
func BenchmarkDo(b *testing.B) {
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(callers, " callers per core"), func(b *testing.B) {
			dir, q := openOnDisk(b, b.TempDir())
			defer dir.Close()
			defer q.Close()
			b.SetParallelism(callers)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if _, err := q.Do(b.Context(), set("key")); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

func openOnDisk(b *testing.B, data string) (*commitlog.Dir, *Quorum) {
	b.Helper()
	dir, err := commitlog.OpenDir(commitlog.DirConfig{FS: vfs.Disk(), Path: data, ClusterID: "c", NodeID: 1})
	if err != nil {
		b.Fatal(err)
	}
	log, err := dir.Open(commitlog.TopicPartition{Topic: "__cluster_metadata"}, cluster.UUID{15: 1}, commitlog.DefaultConfig(), commitlog.Hooks{})
	if err != nil {
		b.Fatal(err)
	}
	q, err := Open(Config{
		FS: vfs.Disk(), Dir: path.Join(data, "__cluster_metadata-0"), Log: log, ClusterID: "c",
		Self: Voter{NodeID: 1, DirectoryID: dir.DirectoryID()}, Voters: []Voter{{NodeID: 1, DirectoryID: dir.DirectoryID()}},
		Machine: configurer{},
	})
	if err != nil {
		b.Fatal(err)
	}
	return dir, q
}
