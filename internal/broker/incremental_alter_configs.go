package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/config"
	"github.com/logbahn/logbahn/internal/wire"
)

// IncrementalAlterConfigs, versions 0 and 1 (KIP-339): the controller's.

func (b *Broker) incrementalAlterConfigs(ctx context.Context, _ *Request, req *kmsg.IncrementalAlterConfigsRequest) *kmsg.IncrementalAlterConfigsResponse {
	name := func(r *kmsg.IncrementalAlterConfigsRequestResource) resourceName {
		return resourceName{r.ResourceType, r.ResourceName}
	}
	kept, refused := takeOut(req.Resources, name, func(asked *kmsg.IncrementalAlterConfigsRequestResource) (r kmsg.IncrementalAlterConfigsResponseResource, no bool) {
		changes := make([]config.Change, len(asked.Configs))
		for i := range asked.Configs {
			c := &asked.Configs[i]
			changes[i] = config.Change{Name: c.Name, Op: config.Op(c.Op), Value: c.Value}
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
		done := resp.(*kmsg.IncrementalAlterConfigsResponse)
		done.Resources = putBack(done.Resources, refused)
		return done
	}
	failed := kmsg.NewPtrIncrementalAlterConfigsResponse()
	for i := range req.Resources {
		r := kmsg.NewIncrementalAlterConfigsResponseResource()
		r.ResourceType, r.ResourceName = req.Resources[i].ResourceType, req.Resources[i].ResourceName
		r.ErrorCode, r.ErrorMessage = code.Code(), kmsg.StringPtr(code.Message())
		failed.Resources = append(failed.Resources, r)
	}
	failed.Resources = putBack(failed.Resources, refused)
	return failed
}
