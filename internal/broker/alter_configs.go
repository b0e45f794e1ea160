package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// AlterConfigs, versions 0 to 2: the controller's. It replaces all that is set for a resource; IncrementalAlterConfigs
// changes single keys.

func (b *Broker) alterConfigs(ctx context.Context, _ *Request, req *kmsg.AlterConfigsRequest) *kmsg.AlterConfigsResponse {
	resp, code := b.change(ctx, req, 0)
	if code == wire.None {
		return resp.(*kmsg.AlterConfigsResponse)
	}
	failed := kmsg.NewPtrAlterConfigsResponse()
	for i := range req.Resources {
		r := kmsg.NewAlterConfigsResponseResource()
		r.ResourceType, r.ResourceName = req.Resources[i].ResourceType, req.Resources[i].ResourceName
		r.ErrorCode, r.ErrorMessage = code.Code(), kmsg.StringPtr(code.Message())
		failed.Resources = append(failed.Resources, r)
	}
	return failed
}
