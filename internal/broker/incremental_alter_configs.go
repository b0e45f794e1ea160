package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// IncrementalAlterConfigs, versions 0 and 1 (KIP-339): the controller's.

func (b *Broker) incrementalAlterConfigs(ctx context.Context, _ *Request, req *kmsg.IncrementalAlterConfigsRequest) *kmsg.IncrementalAlterConfigsResponse {
	resp, code := b.change(ctx, req, 0)
	if code == wire.None {
		return resp.(*kmsg.IncrementalAlterConfigsResponse)
	}
	failed := kmsg.NewPtrIncrementalAlterConfigsResponse()
	for i := range req.Resources {
		r := kmsg.NewIncrementalAlterConfigsResponseResource()
		r.ResourceType, r.ResourceName = req.Resources[i].ResourceType, req.Resources[i].ResourceName
		r.ErrorCode, r.ErrorMessage = code.Code(), kmsg.StringPtr(code.Message())
		failed.Resources = append(failed.Resources, r)
	}
	return failed
}
