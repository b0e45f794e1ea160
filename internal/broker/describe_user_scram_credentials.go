package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// DescribeUserScramCredentials, version 0 (KIP-554). No credential can be set (see AlterUserScramCredentials), so that
// no user has one.

func (b *Broker) describeUserSCRAMCredentials(_ context.Context, _ *Request, req *kmsg.DescribeUserSCRAMCredentialsRequest) *kmsg.DescribeUserSCRAMCredentialsResponse {
	resp := kmsg.NewPtrDescribeUserSCRAMCredentialsResponse()
	resp.ErrorMessage = kmsg.StringPtr("")
	times := map[string]int{}
	for i := range req.Users {
		times[req.Users[i].Name]++
	}
	for i := range req.Users {
		name := req.Users[i].Name
		code, text := wire.ResourceNotFound, "Attempt to describe a user credential that does not exist: "+name
		switch times[name] {
		case 0: // has been answered
			continue
		case 1:
		default:
			code, text = wire.DuplicateResource, "Cannot describe SCRAM credentials for the same user twice in a single request: "+name
		}
		times[name] = 0
		r := kmsg.NewDescribeUserSCRAMCredentialsResponseResult()
		r.User, r.ErrorCode, r.ErrorMessage = name, code.Code(), &text
		resp.Results = append(resp.Results, r)
	}
	return resp
}
