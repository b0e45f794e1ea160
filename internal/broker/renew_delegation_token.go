package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// RenewDelegationToken, versions 0 to 2: see CreateDelegationToken.

func (b *Broker) renewDelegationToken(context.Context, *Request, *kmsg.RenewDelegationTokenRequest) *kmsg.RenewDelegationTokenResponse {
	resp := kmsg.NewPtrRenewDelegationTokenResponse()
	resp.ErrorCode, resp.ExpiryTimestamp = wire.DelegationTokenRequestNotAllowed.Code(), -1
	return resp
}
