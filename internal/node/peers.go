package node

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/config"
	"github.com/logbahn/logbahn/internal/peer"
	"github.com/logbahn/logbahn/internal/quorum"
)

// openPeers makes the ways to other nodes: to controllers by their listeners for controllers, to brokers by their listeners
// for brokers. Nobody is connected to before there is something to ask.
func (n *Node) openPeers(context.Context) error {
	cfg := peer.Config{
		Self: n.broker.NodeID, Dial: n.cfg.Network.Dial,
		// A heartbeat that is not answered has to be sent elsewhere well within the session.
		LivenessTimeout: n.beatPatience(),
		Severed:         n.severed,
	}
	n.controllers = peer.New(cfg)
	cfg.Dial, cfg.Severed = n.dialBroker, nil
	n.brokers = peer.New(cfg)
	n.raft = peer.NewRaft(peer.RaftConfig{
		Peers: n.controllers, Self: n.broker.NodeID, Address: n.controllerAddress(), ClusterID: n.dir.ClusterID, Log: n.log,
	})
	for _, v := range n.otherVoters() {
		n.controllers.SetAddress(v.ID, v.Address)
	}
	return nil
}

// closePeers ends all connections to other nodes.
func (n *Node) closePeers() {
	if n.raft != nil {
		n.raft.Close()
		n.controllers.Close()
		n.brokers.Close()
	}
}

// otherVoters returns the voters of the configuration but for this node.
func (n *Node) otherVoters() []config.Voter {
	return slices.DeleteFunc(slices.Clone(n.broker.Quorum.Voters), func(v config.Voter) bool { return v.ID == n.broker.NodeID })
}

// voterAddress returns where the configuration says that a controller is.
func (n *Node) voterAddress(id cluster.NodeID) (string, bool) {
	for _, v := range n.broker.Quorum.Voters {
		if v.ID == id {
			return v.Address, true
		}
	}
	return "", false
}

// membersChanged is told by the quorum's loop who its members are: their messages find them from now on.
func (n *Node) membersChanged(members []quorum.Member) {
	known := make(map[uint64]bool)
	for _, m := range members {
		if m.NodeID == n.broker.NodeID {
			continue
		}
		known[m.RaftID()] = true
		if m.Address != "" {
			n.controllers.SetAddress(m.NodeID, m.Address)
		}
		n.raft.SetVoter(m.RaftID(), m.NodeID)
	}
	for _, id := range n.raft.Voters() {
		if !known[id] {
			n.raft.ForgetVoter(id)
		}
	}
}

// controllerChanged takes in who is the controller. One that has just been elected hears of this broker at once: not before
// does it notice the end of this process by that of a connection.
func (n *Node) controllerChanged(img *cluster.Image) {
	n.controllerWatch.is(img.ControllerID())
	if img.ControllerID() != cluster.NoLeader && n.isBroker() {
		n.alive.beatSoon(img.Offset())
	}
}

// brokersChanged takes over where the brokers of an image are.
func (n *Node) brokersChanged(img *cluster.Image, d cluster.Delta) {
	if !n.isBroker() {
		return
	}
	if slices.ContainsFunc(img.Brokers(), func(b cluster.Broker) bool { return b.Draining && b.ID != n.broker.NodeID }) {
		n.alive.beatSoon(img.Offset())
	}
	for _, change := range d.Brokers {
		switch b := change.New; {
		case b == nil:
			n.brokers.Forget(change.Old.ID)
		default:
			if b.Fenced {
				n.brokers.EndStreams(b.ID) // which may wait for an answer that does not come
			}
			if e, ok := b.Endpoint(n.broker.Network.InterBroker); ok {
				n.brokers.SetAddress(b.ID, endpointAddress(e))
			} else {
				n.log.Warn("a broker has no listener of the name that this one uses between brokers: nothing can be copied from it",
					"broker", b.ID, "listener", n.broker.Network.InterBroker)
			}
		}
	}
}

// dialBroker connects to a broker, to this one inside the process.
func (n *Node) dialBroker(ctx context.Context, address string) (net.Conn, error) {
	for _, e := range n.advertised() {
		if e.Name == n.broker.Network.InterBroker && endpointAddress(e) == address {
			return n.dialSelf(ctx)
		}
	}
	return n.cfg.Network.Dial(ctx, address)
}

// dialSelf connects to this node's listener between brokers.
func (n *Node) dialSelf(ctx context.Context) (net.Conn, error) {
	for _, s := range n.serving {
		if server := s.server.Load(); s.brokers && server != nil {
			return server.DialInProcess(ctx)
		}
	}
	return nil, errNotServing
}

var errNotServing = errors.New("this node does not answer brokers yet")

// controllerAddress is where other nodes reach this one as a controller.
func (n *Node) controllerAddress() string { return endpointAddress(n.controllerEndpoint()) }

func endpointAddress(e cluster.Endpoint) string {
	return net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port)))
}

// pause waits, and returns why it did not wait for so long: the context has ended, or the node stops.
func (n *Node) pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-n.stop:
		return errStopping
	}
}
