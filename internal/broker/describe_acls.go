package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// DescribeAcls, versions 0 to 3. There is no authorizer: whoever reaches a listener may do everything, and no ACL can be
// kept. The three APIs of ACLs say so in Kafka's words.

func (b *Broker) describeACLs(context.Context, *Request, *kmsg.DescribeACLsRequest) *kmsg.DescribeACLsResponse {
	resp := kmsg.NewPtrDescribeACLsResponse()
	resp.ErrorCode, resp.ErrorMessage = wire.SecurityDisabled.Code(), kmsg.StringPtr("No Authorizer is configured on the broker")
	return resp
}
