package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// DeleteTopics, versions 0 to 6: the controller's. v6 names topics by name or id.

func (b *Broker) deleteTopics(ctx context.Context, _ *Request, req *kmsg.DeleteTopicsRequest) *kmsg.DeleteTopicsResponse {
	resp, code := b.change(ctx, req, req.TimeoutMillis)
	if code == wire.None {
		return resp.(*kmsg.DeleteTopicsResponse)
	}
	failed := kmsg.NewPtrDeleteTopicsResponse()
	for _, name := range req.TopicNames {
		failed.Topics = append(failed.Topics, topicNotDeleted(kmsg.StringPtr(name), [16]byte{}, code))
	}
	for i := range req.Topics {
		failed.Topics = append(failed.Topics, topicNotDeleted(req.Topics[i].Topic, req.Topics[i].TopicID, code))
	}
	return failed
}

func topicNotDeleted(name *string, id [16]byte, code wire.Error) kmsg.DeleteTopicsResponseTopic {
	t := kmsg.NewDeleteTopicsResponseTopic()
	t.Topic, t.TopicID, t.ErrorCode, t.ErrorMessage = name, id, code.Code(), kmsg.StringPtr(code.Message())
	return t
}
