package quorum

import pb "go.etcd.io/raft/v3/raftpb"

// Transport carries raft's messages between voters. Messages may be lost, doubled and reordered; a Transport does not
// wait for their arrival.
type Transport interface {
	// Send is called by the loop and must not block.
	Send(messages []*pb.Message)
}

// noTransport is the transport of a voter that is alone.
type noTransport struct{}

func (noTransport) Send([]*pb.Message) {}
