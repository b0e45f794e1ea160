package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/config"
	"github.com/logbahn/logbahn/internal/ops"
	"github.com/logbahn/logbahn/internal/wire"
)

const (
	openFilesWarn      = 10_000
	advertisedWait     = 5 * time.Second
	spaceCheckInterval = time.Minute
	replyBytesMax      = 1 << 20
	correlationOfSelf  = 7
)

// warn says what is going to be trouble though the node runs. It is a goroutine: asking for names can take its time.
func (n *Node) warn() {
	defer n.running.Done()
	if limit, ok := openFilesMax(); ok && limit < openFilesWarn {
		n.log.Warn("this process may open few files: each partition takes about three and each connection one; raise it with ulimit -n or LimitNOFILE",
			"limit", limit, "better", openFilesWarn)
	}
	if least := (config.Layers{Static: n.static}).Topic(nil).MinInsyncReplicas; least > int32(n.broker.Topics.ReplicationFactor) {
		n.log.Warn("topics that are made without saying have fewer replicas than min.insync.replicas asks for: all of them must be in sync, and no more is promised",
			"min.insync.replicas", least, "default.replication.factor", n.broker.Topics.ReplicationFactor)
	}
	if n.cfg.InProcess {
		return
	}
	n.warnOfAddresses()
	n.warnOfOthersAddresses()
}

// untilAdvertisedWait returns a context for asking whether addresses can be reached.
func (n *Node) untilAdvertisedWait() (context.Context, context.CancelFunc) {
	stops, end := n.untilStop()
	ctx, cancel := context.WithTimeout(stops, advertisedWait)
	return ctx, func() {
		cancel()
		end()
	}
}

// warnOfAddresses says which of this node's addresses do not lead here.
func (n *Node) warnOfAddresses() {
	ctx, cancel := n.untilAdvertisedWait()
	defer cancel()
	for _, e := range n.advertised() {
		if n.alone() && n.tellsReached(e.Name) {
			continue // nobody is told e
		}
		address := endpointAddress(e)
		if err := n.answersAt(ctx, address); err != nil && !n.stopping() {
			n.log.Warn("clients are told to connect to an address that this node is not reached at from here; if they fail, set advertised.listeners",
				"listener", e.Name, "address", address, "err", err)
		}
	}
}

// warnOfOthersAddresses says which addresses of other brokers cannot be reached from here. Clients that reach this broker are
// sent there, and this broker fetches from there.
func (n *Node) warnOfOthersAddresses() {
	for _, b := range n.quorum.Image().Brokers() {
		if b.ID != n.broker.NodeID && b.Live() {
			n.warnOfAddressesOf(b)
		}
	}
}

func (n *Node) warnOfAddressesOf(b cluster.Broker) {
	ctx, cancel := n.untilAdvertisedWait()
	defer cancel()
	for _, e := range b.Listeners {
		address := endpointAddress(e)
		if n.advertises(e) {
			n.log.Warn("another broker tells clients the same address as this one: who is sent to either may reach the wrong one; set advertised.listeners",
				"broker", b.ID, "listener", e.Name, "address", address)
		} else if err := n.brokerAnswersAt(ctx, b.ID, address); err != nil && !n.stopping() {
			n.log.Warn("another broker tells clients to connect to an address that it is not reached at from here; if they fail, set its advertised.listeners",
				"broker", b.ID, "listener", e.Name, "address", address, "err", err)
		}
	}
}

// advertises tells whether this node says that it is where another broker says so.
func (n *Node) advertises(of cluster.Endpoint) bool {
	return slices.ContainsFunc(n.advertised(), func(e cluster.Endpoint) bool { return endpointAddress(e) == endpointAddress(of) })
}

func (n *Node) stopping() bool {
	select {
	case <-n.stop:
		return true
	default:
		return false
	}
}

// answersAt returns why this node is not the one that answers at an address, nil when it may be.
func (n *Node) answersAt(ctx context.Context, address string) error {
	return n.brokerAnswersAt(ctx, n.broker.NodeID, address)
}

// brokerAnswersAt returns why a broker of this cluster is not the one that answers at an address, nil when it may be.
func (n *Node) brokerAnswersAt(ctx context.Context, id cluster.NodeID, address string) error {
	c, err := n.cfg.Network.Dial(ctx, address)
	if err != nil {
		return err
	}
	defer c.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(deadline)
	}
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	clusterID, brokers, err := describeCluster(c)
	switch {
	case err != nil:
		return fmt.Errorf("what answers there is no Kafka broker: %w", err)
	case clusterID != n.dir.ClusterID():
		return fmt.Errorf("a broker of another cluster answers there, %s", clusterID)
	case !brokers[id]:
		return errors.New("another broker answers there")
	}
	return nil
}

// describeCluster asks who is at the other end of a connection: the cluster and its brokers.
func describeCluster(c net.Conn) (id string, brokers map[cluster.NodeID]bool, err error) {
	req := kmsg.NewPtrDescribeClusterRequest()
	name := "logbahn"
	frame := make([]byte, wire.FrameHeaderSize, 64)
	frame = wire.AppendRequestHeader(frame, wire.RequestHeader{Key: req.Key(), Version: req.Version, CorrelationID: correlationOfSelf, ClientID: &name})
	frame = req.AppendTo(frame)
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-wire.FrameHeaderSize))
	if _, err := c.Write(frame); err != nil {
		return "", nil, err
	}
	var length [wire.FrameHeaderSize]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return "", nil, err
	}
	size := wire.FrameLength(length)
	if size < 5 || size > replyBytesMax {
		return "", nil, fmt.Errorf("a reply of %d bytes", size)
	}
	reply := make([]byte, size)
	if _, err := io.ReadFull(c, reply); err != nil {
		return "", nil, err
	}
	resp := kmsg.NewPtrDescribeClusterResponse()
	resp.Version = req.Version
	if err := resp.ReadFrom(reply[5:]); err != nil { // behind correlation id and empty tags
		return "", nil, err
	}
	brokers = make(map[cluster.NodeID]bool)
	for _, b := range resp.Brokers {
		brokers[b.NodeID] = true
	}
	return resp.ClusterID, brokers, nil
}

// warnOfSpace says once that the disk is nearly full, and once more when it has been and is again. It belongs to the
// goroutine that ticks.
func (n *Node) warnOfSpace(warned *bool) {
	free, err := n.fs.Free(n.dir.Path())
	switch {
	case err != nil:
	case free >= ops.FreeBytesMin:
		*warned = false
	case !*warned:
		*warned = true
		n.log.Warn("the disk is nearly full: what is produced will be refused when it is", "directory", n.dir.Path(), "MiB left", free>>20)
	}
}
