package wire

import "github.com/twmb/franz-go/pkg/kmsg"

// NewEnvelope returns the request that has req in it, as one node passes it on to another (KIP-590). There is no principal and no
// address of a client in it.
func NewEnvelope(req kmsg.Request) *kmsg.EnvelopeRequest {
	e := kmsg.NewPtrEnvelopeRequest()
	e.RequestData = req.AppendTo(AppendRequestHeader(nil, RequestHeader{Key: req.Key(), Version: req.GetVersion()}))
	e.ClientHostAddress = []byte{}
	return e
}

// OpenEnvelope returns the response to req that e has in it. What e's own error code says is the caller's to look at before: there is
// no response in it then.
func OpenEnvelope(e *kmsg.EnvelopeResponse, req kmsg.Request) (kmsg.Response, error) {
	_, body, err := ReadResponseHeader(e.ResponseData, req.Key(), req.GetVersion())
	if err != nil {
		return nil, err
	}
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	return resp, resp.ReadFrom(body)
}
