package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// CreatePartitions, versions 0 to 3: the controller's.

func (b *Broker) createPartitions(ctx context.Context, _ *Request, req *kmsg.CreatePartitionsRequest) *kmsg.CreatePartitionsResponse {
	resp, code := b.change(ctx, req, req.TimeoutMillis)
	if code == wire.None {
		return resp.(*kmsg.CreatePartitionsResponse)
	}
	failed := kmsg.NewPtrCreatePartitionsResponse()
	for i := range req.Topics {
		t := kmsg.NewCreatePartitionsResponseTopic()
		t.Topic, t.ErrorCode, t.ErrorMessage = req.Topics[i].Topic, code.Code(), kmsg.StringPtr(code.Message())
		failed.Topics = append(failed.Topics, t)
	}
	return failed
}
