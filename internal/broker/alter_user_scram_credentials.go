package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// AlterUserScramCredentials, version 0 (KIP-554).
//
// No listener authenticates anybody, so that a password that was accepted would protect nothing: setting one is refused
// with SECURITY_DISABLED, where Kafka stores it. What is wrong with a request is said first, as by Kafka.

// Kafka's bounds on the iterations of both mechanisms.
const (
	scramIterationsMin = 4096
	scramIterationsMax = 16384
)

func (b *Broker) alterUserSCRAMCredentials(_ context.Context, _ *Request, req *kmsg.AlterUserSCRAMCredentialsRequest) *kmsg.AlterUserSCRAMCredentialsResponse {
	resp := kmsg.NewPtrAlterUserSCRAMCredentialsResponse()
	answered := map[string]bool{}
	answer := func(user string, code wire.Error, text string) {
		if answered[user] { // one result for each user, the first thing that went wrong
			return
		}
		answered[user] = true
		r := kmsg.NewAlterUserSCRAMCredentialsResponseResult()
		r.User, r.ErrorCode, r.ErrorMessage = user, code.Code(), &text
		resp.Results = append(resp.Results, r)
	}
	for i := range req.Deletions {
		d := &req.Deletions[i]
		code, text := checkSCRAMUser(d.Name, d.Mechanism)
		if code == wire.None {
			code, text = wire.ResourceNotFound, "Attempt to delete a user credential that does not exist"
		}
		answer(d.Name, code, text)
	}
	for i := range req.Upsertions {
		u := &req.Upsertions[i]
		code, text := checkSCRAMUser(u.Name, u.Mechanism)
		switch {
		case code != wire.None:
		case u.Iterations < scramIterationsMin:
			code, text = wire.UnacceptableCredential, "Too few iterations"
		case u.Iterations > scramIterationsMax:
			code, text = wire.UnacceptableCredential, "Too many iterations"
		default:
			code, text = wire.SecurityDisabled, "No listener authenticates clients: a credential would protect nothing."
		}
		answer(u.Name, code, text)
	}
	return resp
}

func checkSCRAMUser(name string, mechanism int8) (wire.Error, string) {
	const sha256, sha512 = 1, 2
	switch {
	case name == "":
		return wire.UnacceptableCredential, "Username must not be empty"
	case mechanism != sha256 && mechanism != sha512:
		return wire.UnsupportedSASLMechanism, "Unknown SCRAM mechanism"
	}
	return wire.None, ""
}
