package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// CreateDelegationToken, versions 0 to 3. Tokens are given to whom SASL or a certificate has authenticated. On a
// plaintext listener Kafka refuses the four APIs of tokens, whatever they ask for, and all listeners here are plaintext.

// anonymous is who every client of a plaintext listener is, by Kafka's names.
const anonymousType, anonymousName = "User", "ANONYMOUS"

func (b *Broker) createDelegationToken(context.Context, *Request, *kmsg.CreateDelegationTokenRequest) *kmsg.CreateDelegationTokenResponse {
	resp := kmsg.NewPtrCreateDelegationTokenResponse()
	resp.ErrorCode = wire.DelegationTokenRequestNotAllowed.Code()
	resp.PrincipalType, resp.PrincipalName = anonymousType, anonymousName
	resp.TokenRequesterPrincipalType, resp.TokenRequesterPrincipalName = anonymousType, anonymousName
	resp.IssueTimestamp, resp.ExpiryTimestamp, resp.MaxTimestamp = -1, -1, -1
	return resp
}
