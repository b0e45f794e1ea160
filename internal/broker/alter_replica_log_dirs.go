package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// AlterReplicaLogDirs, versions 0 to 2 (KIP-113). There is one directory: a replica can be sent to where it is, or to
// where there is none.

func (b *Broker) alterReplicaLogDirs(_ context.Context, _ *Request, req *kmsg.AlterReplicaLogDirsRequest) *kmsg.AlterReplicaLogDirsResponse {
	img := b.cfg.Metadata.Image()
	resp := kmsg.NewPtrAlterReplicaLogDirsResponse()
	for i := range req.Dirs {
		for j := range req.Dirs[i].Topics {
			t := &req.Dirs[i].Topics[j]
			rt := kmsg.NewAlterReplicaLogDirsResponseTopic()
			rt.Topic = t.Topic
			for _, index := range t.Partitions {
				rp := kmsg.NewAlterReplicaLogDirsResponseTopicPartition()
				rp.Partition = index
				code := wire.LogDirNotFound
				if req.Dirs[i].Dir == b.cfg.Dir.Path {
					code = b.hasReplica(img, t.Topic, index)
				}
				rp.ErrorCode = code.Code()
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
	}
	return resp
}

// hasReplica returns None when this broker has a replica of the partition.
func (b *Broker) hasReplica(img *cluster.Image, topic string, index int32) wire.Error {
	t, code := topicRef{name: topic}.find(img)
	if code == wire.None {
		_, code = b.replica(t, index)
	}
	return code
}
