package peer

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// Fetching is a Fetch that has been begun. Wait is called once.
type Fetching struct {
	node  cluster.NodeID
	call  *call
	reply *fetched
}

// fetched is a reply with the memory that its record data aliases.
type fetched struct {
	response wire.FetchResponse
	frame    []byte
}

var fetchedPool = sync.Pool{New: func() any { return new(fetched) }}

// frameBytesKept bounds the memory that a pooled reply keeps.
const frameBytesKept = 16 << 20

// free gives a reply back.
func (f *fetched) free() {
	f.response.Release()
	if cap(f.frame) > frameBytesKept {
		f.frame = nil
	}
	fetchedPool.Put(f)
}

// StartFetch puts a Fetch on its way, in wire.FetchVersion, behind those that were begun before. The request is encoded
// when it returns, and may be used for something else.
func (p *Peers) StartFetch(node cluster.NodeID, req *wire.FetchRequest) *Fetching {
	f := &Fetching{node: node, reply: fetchedPool.Get().(*fetched)}
	f.call = p.newCall(wire.KeyFetch, wire.FetchVersion, req.AppendTo)
	f.call.into, f.reply.frame = f.reply.frame, nil
	f.call.patience = time.Duration(max(req.MaxWaitMillis, 0)) * time.Millisecond
	p.begin(node, fetches, f.call)
	return f
}

// Wait returns the reply. Its record data is gone when release is called, which is called once unless there is an error.
func (f *Fetching) Wait(ctx context.Context) (reply *wire.FetchResponse, release func(), err error) {
	o := f.call.wait(ctx)
	if o.err != nil {
		return nil, nil, fmt.Errorf("Fetch: %w", o.err)
	}
	f.reply.frame = o.frame
	if err := f.reply.response.Decode(o.body); err != nil {
		f.reply.free()
		return nil, nil, fmt.Errorf("Fetch: %w", noAnswer(f.node, err))
	}
	return &f.reply.response, f.reply.free, nil
}

// Fetch is StartFetch and Wait.
func (p *Peers) Fetch(ctx context.Context, node cluster.NodeID, req *wire.FetchRequest) (*wire.FetchResponse, func(), error) {
	return p.StartFetch(node, req).Wait(ctx)
}
