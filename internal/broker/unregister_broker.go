package broker

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// UnregisterBroker, version 0: the controller's. A broker that is alive is refused: it would go on with partitions that
// have lost their leader, until somebody starts it again. Kafka lets that happen.

func (b *Broker) unregisterBroker(ctx context.Context, _ *Request, req *kmsg.UnregisterBrokerRequest) *kmsg.UnregisterBrokerResponse {
	failed := kmsg.NewPtrUnregisterBrokerResponse()
	if node, ok := b.cfg.Metadata.Image().Broker(req.BrokerID); ok && !node.Fenced {
		text := fmt.Sprintf("Broker ID %d is alive: stop it first.", req.BrokerID)
		failed.ErrorCode, failed.ErrorMessage = wire.InvalidRequest.Code(), &text
		return failed
	}
	resp, code := b.change(ctx, req, 0)
	if code == wire.None {
		return resp.(*kmsg.UnregisterBrokerResponse)
	}
	failed.ErrorCode, failed.ErrorMessage = code.Code(), kmsg.StringPtr(code.Message())
	return failed
}
