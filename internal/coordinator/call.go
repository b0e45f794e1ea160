package coordinator

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/coordinator/group"
)

// call is a request on its way through a shard, and the caller's end of it.
type call struct {
	shard   *shard
	client  group.Client
	request kmsg.Request
	answer  chan answer // room for the one answer: the shard never waits for a caller
}

// answer is a reply and the end of the log as it saw it, or why there is no reply.
type answer struct {
	response kmsg.Response
	end      int64
	appended bool // records went to the log after the request had come
	err      error
}

// submit hands the request to the shard of the partition.
func (g *Groups) submit(ctx context.Context, partition int32, client group.Client, req kmsg.Request) (*call, error) {
	s, err := g.shard(partition)
	if err != nil {
		return nil, err
	}
	c := &call{shard: s, client: client, request: req, answer: make(chan answer, 1)}
	select {
	case s.inbox <- c:
		return c, nil
	case <-s.gone:
		return nil, s.cause
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// wait returns the reply once it may leave.
func (c *call) wait(ctx context.Context) (kmsg.Response, error) {
	a, err := c.await(ctx)
	if err == nil {
		err = a.err
	}
	if err != nil {
		return nil, err
	}
	if err := c.shard.log.Wait(ctx, a.end); err != nil {
		if ctx.Err() == nil {
			c.shard.unload(err)
		}
		return nil, err
	}
	if !a.appended && !c.shard.log.Confirmed() {
		return nil, errUnconfirmed
	}
	return a.response, nil
}

func (c *call) await(ctx context.Context) (answer, error) {
	select {
	case a := <-c.answer:
		return a, nil
	case <-ctx.Done():
		return answer{}, ctx.Err()
	case <-c.shard.gone:
	}
	select {
	case a := <-c.answer: // it had left before the shard
		return a, nil
	default:
		return answer{}, c.shard.cause
	}
}
