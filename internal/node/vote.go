package node

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/quorum"
	"github.com/logbahn/logbahn/internal/wire"
)

const (
	votePause    = time.Second
	votePatience = 30 * time.Second
)

// vote is the goroutine that makes this node the voter that it should be: one whose directory was lost takes the place of
// its former self, and one that no configuration has an address of says where it is. It ends when there is nothing to change.
func (n *Node) vote() {
	defer n.running.Done()
	ctx, cancel := n.untilStop()
	defer cancel()
	if n.catchUp(ctx) != nil {
		return
	}
	told, replaces := "", false
	for {
		req := n.nextVote(n.quorum.Status().Members, replaces)
		if req == nil {
			return
		}
		if _, removes := req.(*kmsg.RemoveRaftVoterRequest); removes {
			replaces = true // whatever the answer: one that is lost may have been a yes
		}
		err := n.changeVoters(ctx, req)
		var code wire.Error
		passes := err == nil || n.stopping() || errors.As(err, &code) && code.Retriable() // such as while another voter is changed: one at a time is
		if !passes && err.Error() != told {
			told = err.Error()
			n.log.Warn("this node is not the voter that it should be", "api", wire.APIName(req.Key()), "err", err)
		}
		if n.pause(ctx, votePause) != nil {
			return
		}
	}
}

// catchUp returns when this node knows what the controller has decided before: who votes, for one.
func (n *Node) catchUp(ctx context.Context) error {
	for {
		_, err := n.metadata().Do(ctx, quorum.Barrier())
		if err == nil {
			return nil
		}
		if err := n.pause(ctx, votePause); err != nil {
			return err
		}
	}
}

// nextVote returns the next change that this node asks for, nil when it is what it should be. One change follows the other:
// replaces tells that this node has asked for a voter of its id to be taken away, whose place it takes.
func (n *Node) nextVote(members []quorum.Member, replaces bool) kmsg.Request {
	_, configured := n.voterAddress(n.broker.NodeID)
	at := slices.IndexFunc(members, func(m quorum.Member) bool { return m.NodeID == n.broker.NodeID })
	switch {
	case at >= 0 && members[at].DirectoryID != n.dir.DirectoryID():
		req := kmsg.NewPtrRemoveRaftVoterRequest()
		id := n.dir.ClusterID()
		req.ClusterID, req.VoterID, req.VoterDirectoryID = &id, n.broker.NodeID, members[at].DirectoryID
		return req
	case at < 0 && (configured || n.broker.Quorum.AutoJoin || replaces):
		return n.addVoter()
	case at >= 0 && !configured && len(members) > 1 && members[at].Address == "":
		return n.updateVoter()
	}
	return nil
}

func (n *Node) addVoter() kmsg.Request {
	req := kmsg.NewPtrAddRaftVoterRequest()
	id := n.dir.ClusterID()
	req.ClusterID, req.TimeoutMillis = &id, int32(votePatience.Milliseconds())
	req.VoterID, req.VoterDirectoryID = n.broker.NodeID, n.dir.DirectoryID()
	e := n.controllerEndpoint()
	l := kmsg.NewAddRaftVoterRequestListener()
	l.Name, l.Host, l.Port = e.Name, e.Host, e.Port
	req.Listeners = append(req.Listeners, l)
	return req
}

func (n *Node) updateVoter() kmsg.Request {
	req := kmsg.NewPtrUpdateRaftVoterRequest()
	id := n.dir.ClusterID()
	req.ClusterID, req.CurrentLeaderEpoch = &id, n.quorum.Status().Epoch
	req.VoterID, req.VoterDirectoryID = n.broker.NodeID, n.dir.DirectoryID()
	e := n.controllerEndpoint()
	l := kmsg.NewUpdateRaftVoterRequestListener()
	l.Name, l.Host, l.Port = e.Name, e.Host, e.Port
	req.Listeners = append(req.Listeners, l)
	return req
}

// controllerEndpoint is where other nodes reach this one as a controller.
func (n *Node) controllerEndpoint() cluster.Endpoint {
	s := n.controllerListener()
	e := cluster.Endpoint{Name: s.Name, Host: s.Host, Port: uint16(s.Port)}
	if address, ok := n.voterAddress(n.broker.NodeID); ok {
		if host, port, err := net.SplitHostPort(address); err == nil {
			if number, err := strconv.ParseUint(port, 10, 16); err == nil && number > 0 {
				e.Host, e.Port = host, uint16(number)
			}
		}
	}
	if ip := net.ParseIP(e.Host); e.Host == "" || ip != nil && ip.IsUnspecified() {
		e.Host = hostname()
	}
	return e
}

// changeVoters asks the controller for a change of the voters.
func (n *Node) changeVoters(ctx context.Context, req kmsg.Request) error {
	ctx, cancel := context.WithTimeout(ctx, votePatience)
	defer cancel()
	resp, err := n.metadata().Do(ctx, req)
	if err != nil {
		return err
	}
	var code int16
	switch resp := resp.(type) {
	case *kmsg.AddRaftVoterResponse:
		code = resp.ErrorCode
	case *kmsg.RemoveRaftVoterResponse:
		code = resp.ErrorCode
	case *kmsg.UpdateRaftVoterResponse:
		code = resp.ErrorCode
	default:
		return errors.New("no answer to it")
	}
	if code != 0 && wire.Error(code) != wire.DuplicateVoter {
		return wire.Error(code)
	}
	return nil
}
