package node

import (
	"context"
	"slices"
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
)

// prove tells whether a broker's machine says twice that nobody listens where the broker does.
func (l *lookout) prove(ctx context.Context, b cluster.Broker) bool {
	must, others := l.addresses(b)
	if len(must) == 0 || !l.refuses(ctx, must, others) {
		return false
	}
	pause := time.NewTimer(refusalPause)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
		return false
	}
	return l.refuses(ctx, must, others)
}

// refuses tells whether all addresses of must refuse, and nobody answers at the others.
func (l *lookout) refuses(ctx context.Context, must, others []string) bool {
	for _, address := range must {
		if !refused(l.try(ctx, address)) {
			return false
		}
	}
	for _, address := range others {
		if l.try(ctx, address) == nil {
			return false
		}
	}
	return ctx.Err() == nil
}

// try connects to an address, and hangs up.
func (l *lookout) try(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, refusalTimeout)
	defer cancel()
	c, err := l.dial(ctx, address)
	if err == nil {
		_ = c.Close()
	}
	return err
}

// addressesOf returns where a broker listens. One that has no listener of the name that this node knows as that between
// brokers must refuse at all.
func (n *Node) addressesOf(b cluster.Broker) (must, others []string) {
	for _, e := range b.Listeners {
		if e.Name == n.broker.Network.InterBroker {
			must = append(must, endpointAddress(e))
		} else {
			others = append(others, endpointAddress(e))
		}
	}
	if len(must) == 0 {
		must, others = others, nil
	}
	if address, known := n.controllers.Address(b.ID); known && !slices.Contains(must, address) && !slices.Contains(others, address) {
		others = append(others, address)
	}
	return must, others
}
