package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/quorum"
	"github.com/logbahn/logbahn/internal/wire"
)

// FetchSnapshot, versions 0 to 1 (KIP-630), and Fetch of the metadata log, by which nodes that are no voters follow it
// (KIP-595). v1 names the replica's directory (KIP-853).

func (b *Broker) fetchSnapshot(_ context.Context, _ *Request, req *kmsg.FetchSnapshotRequest) *kmsg.FetchSnapshotResponse {
	return b.cfg.Metadata.FetchSnapshot(req)
}

// ofMetadata tells a node's fetch of the metadata log. Clients do not find that topic.
func ofMetadata(req *wire.FetchRequest) bool {
	if req.ReplicaID < 0 || len(req.Topics) != 1 {
		return false
	}
	t := &req.Topics[0]
	return t.Topic == quorum.MetadataTopic || t.TopicID == quorum.MetadataTopicID
}
