package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// CreateTopics, versions 0 to 7: the controller's. v5 tells the new topics' settings (KIP-525), v7 their ids.

func (b *Broker) createTopics(ctx context.Context, _ *Request, req *kmsg.CreateTopicsRequest) *kmsg.CreateTopicsResponse {
	resp, code := b.change(ctx, req, req.TimeoutMillis)
	if code == wire.None {
		return resp.(*kmsg.CreateTopicsResponse)
	}
	failed := kmsg.NewPtrCreateTopicsResponse()
	for i := range req.Topics {
		t := kmsg.NewCreateTopicsResponseTopic()
		t.Topic, t.ErrorCode, t.ErrorMessage = req.Topics[i].Topic, code.Code(), kmsg.StringPtr(code.Message())
		failed.Topics = append(failed.Topics, t)
	}
	return failed
}
