package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
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
	asked := partitionsNamed(req)
	for _, p := range b.cfg.Partitions.All() {
		log := p.Log()
		if log == nil || asked != nil && !asked[topicPartition{p.Topic(), p.Index()}] {
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

// partitionsNamed returns what a request asks for: nil, as null in the request, is all.
func partitionsNamed(req *kmsg.DescribeLogDirsRequest) map[topicPartition]bool {
	if req.Topics == nil {
		return nil
	}
	named := map[topicPartition]bool{}
	for _, t := range req.Topics {
		for _, index := range t.Partitions {
			named[topicPartition{t.Topic, index}] = true
		}
	}
	return named
}
