package peer

import (
	"errors"
	"fmt"

	"github.com/logbahn/logbahn/internal/cluster"
)

// Errors of requests, wrapped with the node that they are about.
var (
	// ErrNotSent means that nothing of the request has left this node: it may be sent again.
	ErrNotSent = errors.New("not sent")
	// ErrUnknownNode is an ErrNotSent: there is no address of the node.
	ErrUnknownNode = fmt.Errorf("%w: no address is known", ErrNotSent)
	// ErrBusy is an ErrNotSent: too many requests wait already.
	ErrBusy = fmt.Errorf("%w: too many requests wait already", ErrNotSent)
	// ErrClosed is an ErrNotSent: the Peers are closed, or the node was forgotten.
	ErrClosed = fmt.Errorf("%w: the connections to other nodes are closed", ErrNotSent)
	// ErrNoAnswer means that the request was sent and its reply did not come, or was none. It may have been carried out.
	ErrNoAnswer = errors.New("no answer")
)

// Reasons to close a connection.
var (
	errSilent = errors.New("the node does not answer in time")
	errMoved  = errors.New("the node has another address now")
	errIdle   = errors.New("nothing to ask")
	errHungUp = errors.New("the node closed the connection")
	errDead   = errors.New("the cluster holds the node for dead")
)

func notSent(node cluster.NodeID, err error) error {
	if errors.Is(err, ErrNotSent) {
		return fmt.Errorf("node %d: %w", node, err)
	}
	return fmt.Errorf("node %d: %w: %w", node, ErrNotSent, err)
}

// noAnswer is what becomes of a call that was sent. It must not match ErrNotSent, as ErrClosed by itself does.
func noAnswer(node cluster.NodeID, err error) error {
	if errors.Is(err, ErrNotSent) {
		return fmt.Errorf("node %d: %w: %v", node, ErrNoAnswer, err)
	}
	return fmt.Errorf("node %d: %w: %w", node, ErrNoAnswer, err)
}
