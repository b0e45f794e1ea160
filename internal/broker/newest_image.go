package broker

import (
	"context"
	"sync"
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/quorum"
)

// newestPatience is how long a request waits for metadata that its client may know and this broker does not.
const newestPatience = 500 * time.Millisecond

// imageWith returns the first image from now on for which has is true, or one as new as any broker had when this was called. A
// client may have heard of a topic from a broker that is ahead of this one by a moment: it should not be told, for
// that moment, that there is none. Without a controller it waits for newestPatience.
func (b *Broker) imageWith(ctx context.Context, has func(*cluster.Image) bool) *cluster.Image {
	img := b.cfg.Metadata.Image()
	if has(img) {
		return img
	}
	ctx, cancel := context.WithTimeout(ctx, newestPatience)
	defer cancel()
	known := b.newest.ask(ctx, b.cfg.Metadata) == nil
	for img = b.cfg.Metadata.Image(); !known && !has(img) && b.cfg.Metadata.AwaitImage(ctx, img.Offset()+1) == nil; {
		img = b.cfg.Metadata.Image()
	}
	return img
}

// newest asks the controller how far the metadata are: for all that wait at once, with one question, and one at a time,
// since clients can ask for what does not exist as often as they like.
type newest struct {
	mu   sync.Mutex
	next *inquiry // that nobody has asked yet
	turn chan struct{}
}

// inquiry is asked of the controller for those who wait until it is answered.
type inquiry struct {
	answered chan struct{}
	err      error // set before
}

func newNewest() *newest { return &newest{turn: make(chan struct{}, 1)} }

// ask returns nil when this broker's image has all that was decided before.
func (n *newest) ask(ctx context.Context, m Metadata) error {
	n.mu.Lock()
	q, first := n.next, n.next == nil
	if first {
		q = &inquiry{answered: make(chan struct{})}
		n.next = q
	}
	n.mu.Unlock()
	if first {
		q.err = n.put(ctx, m)
		close(q.answered)
	}
	select {
	case <-q.answered:
		return q.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// put asks the next question once the one before is answered. Others wait for it too: it does not end with the client that was first.
func (n *newest) put(ctx context.Context, m Metadata) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), newestPatience)
	defer cancel()
	var err error
	select {
	case n.turn <- struct{}{}:
		defer func() { <-n.turn }()
	case <-ctx.Done():
		err = ctx.Err()
	}
	n.mu.Lock()
	n.next = nil // who comes from here on may know what was decided after this question
	n.mu.Unlock()
	if err == nil {
		_, err = m.Do(ctx, quorum.Barrier())
	}
	return err
}
