package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/config"
	"github.com/logbahn/logbahn/internal/wire"
)

// AlterConfigs, versions 0 to 2: the controller's. It replaces all that is set for a resource; IncrementalAlterConfigs
// changes single keys.

func (b *Broker) alterConfigs(ctx context.Context, _ *Request, req *kmsg.AlterConfigsRequest) *kmsg.AlterConfigsResponse {
	name := func(r *kmsg.AlterConfigsRequestResource) resourceName {
		return resourceName{r.ResourceType, r.ResourceName}
	}
	kept, refused := takeOut(req.Resources, name, func(asked *kmsg.AlterConfigsRequestResource) (r kmsg.AlterConfigsResponseResource, no bool) {
		changes := make([]config.Change, len(asked.Configs))
		for i := range asked.Configs {
			changes[i] = config.Change{Name: asked.Configs[i].Name, Value: asked.Configs[i].Value}
		}
		why := b.checkThreads(asked.ResourceType, asked.ResourceName, changes)
		if why == nil {
			return r, false
		}
		r.ResourceType, r.ResourceName, r.ErrorCode, r.ErrorMessage = asked.ResourceType, asked.ResourceName, why.Code, &why.Message
		return r, true
	})
	req.Resources = kept
	resp, code := b.change(ctx, req, 0)
	if code == wire.None {
		done := resp.(*kmsg.AlterConfigsResponse)
		done.Resources = putBack(done.Resources, refused)
		return done
	}
	failed := kmsg.NewPtrAlterConfigsResponse()
	for i := range req.Resources {
		r := kmsg.NewAlterConfigsResponseResource()
		r.ResourceType, r.ResourceName = req.Resources[i].ResourceType, req.Resources[i].ResourceName
		r.ErrorCode, r.ErrorMessage = code.Code(), kmsg.StringPtr(code.Message())
		failed.Resources = append(failed.Resources, r)
	}
	failed.Resources = putBack(failed.Resources, refused)
	return failed
}
