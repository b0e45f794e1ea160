package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// ElectLeaders, versions 0 to 2 (KIP-183, KIP-460): the controller's. An operator asks for the preferred leaders, or from
// v1 on for any.

func (b *Broker) electLeaders(ctx context.Context, _ *Request, req *kmsg.ElectLeadersRequest) *kmsg.ElectLeadersResponse {
	resp, code := b.change(ctx, req, req.TimeoutMillis)
	if code == wire.None {
		return resp.(*kmsg.ElectLeadersResponse)
	}
	failed := kmsg.NewPtrElectLeadersResponse()
	failed.ErrorCode = code.Code()
	for i := range req.Topics {
		rt := kmsg.NewElectLeadersResponseTopic()
		rt.Topic = req.Topics[i].Topic
		for _, index := range req.Topics[i].Partitions {
			rp := kmsg.NewElectLeadersResponseTopicPartition()
			rp.Partition, rp.ErrorCode, rp.ErrorMessage = index, code.Code(), kmsg.StringPtr(code.Message())
			rt.Partitions = append(rt.Partitions, rp)
		}
		failed.Topics = append(failed.Topics, rt)
	}
	return failed
}
