package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// ExpireDelegationToken, versions 0 to 2: see CreateDelegationToken.

func (b *Broker) expireDelegationToken(context.Context, *Request, *kmsg.ExpireDelegationTokenRequest) *kmsg.ExpireDelegationTokenResponse {
	resp := kmsg.NewPtrExpireDelegationTokenResponse()
	resp.ErrorCode, resp.ExpiryTimestamp = wire.DelegationTokenRequestNotAllowed.Code(), -1
	return resp
}
