package broker

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/partition"
)

// DescribeLogDirs, versions 0 to 5. v4 tells the space of the volume (KIP-827); its total is not known here (-1). v5
// tells whether the directory takes new replicas (KIP-1066): ours always does.

// LogDir is where this broker's logs are.
type LogDir struct {
	Path string
	// Free returns the bytes that are left on the volume. nil: not known.
	Free func() (int64, error)
}

const unknownBytes = -1

func (b *Broker) describeLogDirs(_ context.Context, _ *Request, req *kmsg.DescribeLogDirsRequest) *kmsg.DescribeLogDirsResponse {
	dir := kmsg.NewDescribeLogDirsResponseDir()
	dir.Dir, dir.TotalBytes, dir.UsableBytes = b.cfg.Dir.Path, unknownBytes, b.freeBytes()
	for _, p := range b.cfg.Partitions.All() {
		log := p.Log()
		if log == nil || !asksFor(req, p) {
			continue
		}
		rp := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
		rp.Partition, rp.Size = p.Index(), log.Size()
		rp.OffsetLag = max(p.HighWatermark()-p.EndOffset(), 0)
		if n := len(dir.Topics); n == 0 || dir.Topics[n-1].Topic != p.Topic() {
			t := kmsg.NewDescribeLogDirsResponseDirTopic()
			t.Topic = p.Topic()
			dir.Topics = append(dir.Topics, t)
		}
		last := &dir.Topics[len(dir.Topics)-1]
		last.Partitions = append(last.Partitions, rp)
	}
	resp := kmsg.NewPtrDescribeLogDirsResponse()
	resp.Dirs = append(resp.Dirs, dir)
	return resp
}

func (b *Broker) freeBytes() int64 {
	if b.cfg.Dir.Free == nil {
		return unknownBytes
	}
	n, err := b.cfg.Dir.Free()
	if err != nil {
		b.log.Warn("free space not known", "dir", b.cfg.Dir.Path, "err", err)
		return unknownBytes
	}
	return n
}

// asksFor tells whether a request names a partition. Null names all.
func asksFor(req *kmsg.DescribeLogDirsRequest, p *partition.Partition) bool {
	return req.Topics == nil || slices.ContainsFunc(req.Topics, func(t kmsg.DescribeLogDirsRequestTopic) bool {
		return t.Topic == p.Topic() && slices.Contains(t.Partitions, p.Index())
	})
}
