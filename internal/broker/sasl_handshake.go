package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// SaslHandshake, versions 0 and 1. All listeners are plaintext: whoever connects is already as authenticated as can be,
// and Kafka answers a handshake that comes after that like this. A client that is set up for SASL stops with the error.

func (b *Broker) saslHandshake(context.Context, *Request, *kmsg.SASLHandshakeRequest) *kmsg.SASLHandshakeResponse {
	resp := kmsg.NewPtrSASLHandshakeResponse()
	resp.ErrorCode = wire.IllegalSASLState.Code()
	return resp
}
