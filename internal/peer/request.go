package peer

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// Request sends a request in the version that it has, and returns the reply. It waits for as long as the context allows.
func (p *Peers) Request(ctx context.Context, node cluster.NodeID, lane Lane, req kmsg.Request) (kmsg.Response, error) {
	c := p.newCall(req.Key(), req.GetVersion(), req.AppendTo)
	p.begin(node, lane, c)
	o := c.wait(ctx)
	if o.err != nil {
		return nil, fmt.Errorf("%s: %w", wire.APIName(req.Key()), o.err)
	}
	return readReply(node, req, o.body)
}

// readReply decodes the reply to a request.
func readReply(node cluster.NodeID, req kmsg.Request, body []byte) (kmsg.Response, error) {
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	if err := resp.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("%s: %w", wire.APIName(req.Key()), noAnswer(node, err))
	}
	return resp, nil
}

func (p *Peers) newCall(key, version int16, appendBody func([]byte) []byte) *call {
	return &call{
		key: key, version: version, bytesMax: p.cfg.ReplyBytesMax, done: make(chan outcome, 1),
		frame: wire.AppendRequest(nil, wire.RequestHeader{Key: key, Version: version, ClientID: &p.client}, appendBody),
	}
}

// begin puts a call on its way.
func (p *Peers) begin(node cluster.NodeID, lane Lane, c *call) {
	if l := p.lane(node, lane); l != nil {
		l.begin(c)
		return
	}
	c.finish(nil, notSent(node, p.unknown()))
}

// unknown says why there is no node.
func (p *Peers) unknown() error {
	if p.ctx.Err() != nil {
		return ErrClosed
	}
	return ErrUnknownNode
}
