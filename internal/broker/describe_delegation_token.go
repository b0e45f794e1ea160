package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// DescribeDelegationToken, versions 0 to 3: see CreateDelegationToken.

func (b *Broker) describeDelegationToken(context.Context, *Request, *kmsg.DescribeDelegationTokenRequest) *kmsg.DescribeDelegationTokenResponse {
	resp := kmsg.NewPtrDescribeDelegationTokenResponse()
	resp.ErrorCode = wire.DelegationTokenRequestNotAllowed.Code()
	return resp
}
