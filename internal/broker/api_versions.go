package broker

import (
	"context"
	"regexp"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// ApiVersions, versions 0 to 4.
//
// A version that is too new is answered in v0 with UNSUPPORTED_VERSION and this API's own range, so that the client can
// ask again (KIP-511); v3 says which software the client is. Features are listed when they exist here: neither
// group.version nor transaction.version does yet, which newer clients take for 0.

// softwareName is what Kafka accepts as the name and the version of a client's software.
var softwareName = regexp.MustCompile(`^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$`)

func (b *Broker) apiVersions(_ context.Context, r *Request, req *kmsg.ApiVersionsRequest) *kmsg.ApiVersionsResponse {
	resp := kmsg.NewPtrApiVersionsResponse()
	if req.Version >= 3 {
		if !softwareName.MatchString(req.ClientSoftwareName) || !softwareName.MatchString(req.ClientSoftwareVersion) {
			resp.ErrorCode = wire.InvalidRequest.Code()
			return resp
		}
		r.Conn.ClientSoftware, r.Conn.ClientSoftwareVersion = clipped(req.ClientSoftwareName), clipped(req.ClientSoftwareVersion)
	}
	for i := range b.table {
		resp.ApiKeys = append(resp.ApiKeys, b.table[i].versions())
	}
	return resp
}

// softwareBytesMax is how much of a software's name and version a connection keeps. All but freaks are shorter.
const softwareBytesMax = 256

func clipped(s string) string {
	if len(s) <= softwareBytesMax {
		return s
	}
	return strings.Clone(s[:softwareBytesMax]) // a piece would keep the whole
}

func (a *API) versions() kmsg.ApiVersionsResponseApiKey {
	k := kmsg.NewApiVersionsResponseApiKey()
	k.ApiKey, k.MinVersion, k.MaxVersion = a.Key, a.Min, a.Max
	return k
}

// apiVersionsTooNew answers a version of this API that is not served.
func (b *Broker) apiVersionsTooNew() wire.Response {
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.ErrorCode = wire.UnsupportedVersion.Code()
	for i := range b.table {
		if b.table[i].Key == wire.KeyApiVersions {
			resp.ApiKeys = append(resp.ApiKeys, b.table[i].versions())
		}
	}
	return wire.Message(resp)
}
