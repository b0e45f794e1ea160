package broker

import (
	"context"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// ListConfigResources, versions 0 and 1: what has configs. v0 is of client metrics alone (KIP-1000), v1 of the kinds
// asked for, or all (KIP-1142). Client metrics and groups have no configs here.

// resourceKinds are the kinds that Kafka lists, in the order in which it does.
var resourceKinds = [...]kmsg.ConfigResourceType{
	kmsg.ConfigResourceTypeGroupConfig, kmsg.ConfigResourceTypeClientMetrics, kmsg.ConfigResourceTypeBrokerLogger,
	kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeTopic,
}

func (b *Broker) listConfigResources(_ context.Context, _ *Request, req *kmsg.ListConfigResourcesRequest) *kmsg.ListConfigResourcesResponse {
	img := b.cfg.Metadata.Image()
	resp := kmsg.NewPtrListConfigResourcesResponse()
	if req.Version == 0 {
		return resp
	}
	for _, kind := range req.ResourceTypes {
		if !slices.Contains(resourceKinds[:], kmsg.ConfigResourceType(kind)) {
			resp.ErrorCode = wire.UnsupportedVersion.Code()
			return resp
		}
	}
	for _, kind := range resourceKinds {
		if len(req.ResourceTypes) > 0 && !slices.Contains(req.ResourceTypes, int8(kind)) {
			continue
		}
		for _, name := range configResources(img, kind) {
			r := kmsg.NewListConfigResourcesResponseConfigResource()
			r.Type, r.Name = int8(kind), name
			resp.ConfigResources = append(resp.ConfigResources, r)
		}
	}
	return resp
}

// configResources returns the names of all resources of a kind.
func configResources(img *cluster.Image, kind kmsg.ConfigResourceType) []string {
	var names []string
	switch kind {
	case kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeBrokerLogger:
		for _, node := range img.Brokers() {
			names = append(names, strconv.Itoa(int(node.ID)))
		}
	case kmsg.ConfigResourceTypeTopic:
		for t := range img.Topics() {
			names = append(names, t.Name)
		}
	}
	return names
}
