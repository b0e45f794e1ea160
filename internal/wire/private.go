package wire

import (
	"fmt"
	"unsafe"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Keys of the APIs of our own, far above Kafka's. Nodes use them among each other; no client is told of them.
const (
	KeyRaftMessages int16 = privateKeys
	KeyHello        int16 = privateKeys + 1
	KeyProxied      int16 = privateKeys + 2
)

const privateKeys = 31000

// private is what the framing knows of our own APIs, from privateKeys on.
var private = [...]api{
	{name: "RaftMessages", size: unsafe.Sizeof(RaftMessagesRequest{}), fields: []field{
		{to: never, tag: -1, kind: kindString},
		{to: never, tag: -1, kind: kindInt32},
		{to: never, tag: -1, kind: kindString},
		{to: never, tag: -1, kind: kindInt32},
		{to: never, tag: -1, kind: kindArray, size: unsafe.Sizeof([]byte(nil)), fields: []field{
			{to: never, tag: -1, kind: kindBytes},
		}},
	}},
	{name: "Hello", size: unsafe.Sizeof(HelloRequest{}), fields: []field{
		{to: never, tag: -1, kind: kindInt32},
		{to: never, tag: -1, kind: kindUUID},
		{to: never, tag: -1, kind: kindString, nullable: true},
	}},
	{name: "Proxied", size: unsafe.Sizeof(ProxiedRequest{}), fields: []field{
		{to: never, tag: -1, kind: kindString},
		{to: never, tag: -1, kind: kindInt64},
	}},
}

// NewRequest returns the request of a key that has one, Kafka's or ours, nil for others.
func NewRequest(key int16) kmsg.Request {
	switch key {
	case KeyRaftMessages:
		return &RaftMessagesRequest{}
	case KeyHello:
		return &HelloRequest{}
	case KeyProxied:
		return &ProxiedRequest{}
	}
	return kmsg.RequestForKey(key)
}

// version is the version of a message of ours. All are flexible from version 0 on.
type version int16

// MaxVersion implements [kmsg.Request].
func (*version) MaxVersion() int16 { return 0 }

// SetVersion implements [kmsg.Request].
func (v *version) SetVersion(n int16) { *v = version(n) }

// GetVersion implements [kmsg.Request].
func (v *version) GetVersion() int16 { return int16(*v) }

// IsFlexible implements [kmsg.Request].
func (*version) IsFlexible() bool { return true }

// These give requests and responses their key.
type (
	raftMessagesKey struct{}
	helloKey        struct{}
	proxiedKey      struct{}
)

// Key implements [kmsg.Request].
func (raftMessagesKey) Key() int16 { return KeyRaftMessages }

// Key implements [kmsg.Request].
func (helloKey) Key() int16 { return KeyHello }

// Key implements [kmsg.Request].
func (proxiedKey) Key() int16 { return KeyProxied }

// RaftMessagesRequest carries messages of raft between two members of the metadata quorum.
type RaftMessagesRequest struct {
	version
	raftMessagesKey
	ClusterID string
	From      int32    // a node
	Address   string   // host and port of its listener for controllers, where replies go that nobody else knows the way of
	To        int32    // a node
	Messages  [][]byte // each an encoded raftpb.Message
}

// RaftMessagesResponse tells that messages have arrived, or that the receiver wants none: INCONSISTENT_CLUSTER_ID, or
// BROKER_ID_NOT_REGISTERED when it is another node than To.
type RaftMessagesResponse struct {
	version
	raftMessagesKey
	ErrorCode int16
}

// ResponseKind implements [kmsg.Request].
func (*RaftMessagesRequest) ResponseKind() kmsg.Response { return &RaftMessagesResponse{} }

// RequestKind implements [kmsg.Response].
func (*RaftMessagesResponse) RequestKind() kmsg.Request { return &RaftMessagesRequest{} }

// AppendTo implements [kmsg.Request].
func (r *RaftMessagesRequest) AppendTo(dst []byte) []byte {
	dst = appendString(dst, r.ClusterID, true)
	dst = appendInt32(dst, r.From)
	dst = appendString(dst, r.Address, true)
	dst = appendInt32(dst, r.To)
	dst = appendLength(dst, len(r.Messages), true)
	for _, m := range r.Messages {
		dst = appendLength(dst, len(m), true)
		dst = append(dst, m...)
	}
	return append(dst, 0)
}

// ReadFrom implements [kmsg.Request]. Messages alias src.
func (r *RaftMessagesRequest) ReadFrom(src []byte) error {
	b := weighed{reader: reader{src: src, flexible: true}, limit: decodeLimit(src)}
	r.ClusterID = b.string()
	r.From = b.int32()
	r.Address = b.string()
	r.To = b.int32()
	r.Messages = make([][]byte, weighedLength[[]byte](&b))
	for i := range r.Messages {
		r.Messages[i] = b.bytes()
	}
	b.skipTags()
	return b.malformed(KeyRaftMessages, src)
}

// AppendTo implements [kmsg.Response].
func (r *RaftMessagesResponse) AppendTo(dst []byte) []byte {
	return append(appendInt16(dst, r.ErrorCode), 0)
}

// ReadFrom implements [kmsg.Response].
func (r *RaftMessagesResponse) ReadFrom(src []byte) error {
	b := weighed{reader: reader{src: src, flexible: true}}
	r.ErrorCode = b.int16()
	b.skipTags()
	return b.malformed(KeyRaftMessages, src)
}

// HelloRequest is how nodes find each other: who asks, and what it knows.
type HelloRequest struct {
	version
	helloKey
	NodeID      int32
	DirectoryID [16]byte
	ClusterID   *string // nil when it does not know its cluster yet
}

// HelloResponse is who answers a Hello, and what it knows of the cluster.
type HelloResponse struct {
	version
	helloKey
	ErrorCode   int16 // INCONSISTENT_CLUSTER_ID: it belongs to another cluster than the one who asks
	NodeID      int32
	DirectoryID [16]byte
	ClusterID   *string
	Formed      bool // it has a metadata log
	Voters      []HelloVoter
}

// HelloVoter is a member of the metadata quorum.
type HelloVoter struct {
	NodeID      int32
	DirectoryID [16]byte
	Address     string // host and port of its controller listener
}

// ResponseKind implements [kmsg.Request].
func (*HelloRequest) ResponseKind() kmsg.Response { return &HelloResponse{} }

// RequestKind implements [kmsg.Response].
func (*HelloResponse) RequestKind() kmsg.Request { return &HelloRequest{} }

// AppendTo implements [kmsg.Request].
func (r *HelloRequest) AppendTo(dst []byte) []byte {
	dst = appendInt32(dst, r.NodeID)
	dst = append(dst, r.DirectoryID[:]...)
	return append(appendNullableString(dst, r.ClusterID, true), 0)
}

// ReadFrom implements [kmsg.Request].
func (r *HelloRequest) ReadFrom(src []byte) error {
	b := weighed{reader: reader{src: src, flexible: true}}
	r.NodeID = b.int32()
	r.DirectoryID = b.uuid()
	r.ClusterID = b.nullableString()
	b.skipTags()
	return b.malformed(KeyHello, src)
}

// AppendTo implements [kmsg.Response].
func (r *HelloResponse) AppendTo(dst []byte) []byte {
	dst = appendInt16(dst, r.ErrorCode)
	dst = appendInt32(dst, r.NodeID)
	dst = append(dst, r.DirectoryID[:]...)
	dst = appendNullableString(dst, r.ClusterID, true)
	dst = appendBool(dst, r.Formed)
	dst = appendLength(dst, len(r.Voters), true)
	for i := range r.Voters {
		v := &r.Voters[i]
		dst = appendInt32(dst, v.NodeID)
		dst = append(dst, v.DirectoryID[:]...)
		dst = appendString(dst, v.Address, true)
		dst = append(dst, 0)
	}
	return append(dst, 0)
}

// ReadFrom implements [kmsg.Response].
func (r *HelloResponse) ReadFrom(src []byte) error {
	b := weighed{reader: reader{src: src, flexible: true}, limit: decodeLimit(src)}
	r.ErrorCode = b.int16()
	r.NodeID = b.int32()
	r.DirectoryID = b.uuid()
	r.ClusterID = b.nullableString()
	r.Formed = b.int8() != 0
	r.Voters = make([]HelloVoter, weighedLength[HelloVoter](&b))
	for i := range r.Voters {
		v := &r.Voters[i]
		v.NodeID = b.int32()
		v.DirectoryID = b.uuid()
		v.Address = b.string()
		b.skipTags()
	}
	b.skipTags()
	return b.malformed(KeyHello, src)
}

// ProxiedRequest says that another node passes on what one client asks by this connection. It comes first, again when a Fetch
// that waits is to be answered with what there is, and again ahead of what was decided by a newer image of the cluster.
type ProxiedRequest struct {
	version
	proxiedKey
	Client      string // the client's address, host:port
	ImageOffset int64  // what follows was sent here by an image of this metadata offset
}

// ProxiedResponse answers a Proxied.
type ProxiedResponse struct {
	version
	proxiedKey
	ErrorCode int16
}

// ResponseKind implements [kmsg.Request].
func (*ProxiedRequest) ResponseKind() kmsg.Response { return &ProxiedResponse{} }

// RequestKind implements [kmsg.Response].
func (*ProxiedResponse) RequestKind() kmsg.Request { return &ProxiedRequest{} }

// AppendTo implements [kmsg.Request].
func (r *ProxiedRequest) AppendTo(dst []byte) []byte {
	return append(appendInt64(appendString(dst, r.Client, true), r.ImageOffset), 0)
}

// ReadFrom implements [kmsg.Request].
func (r *ProxiedRequest) ReadFrom(src []byte) error {
	b := weighed{reader: reader{src: src, flexible: true}}
	r.Client = b.string()
	r.ImageOffset = b.int64()
	b.skipTags()
	return b.malformed(KeyProxied, src)
}

// AppendTo implements [kmsg.Response].
func (r *ProxiedResponse) AppendTo(dst []byte) []byte {
	return append(appendInt16(dst, r.ErrorCode), 0)
}

// ReadFrom implements [kmsg.Response].
func (r *ProxiedResponse) ReadFrom(src []byte) error {
	b := weighed{reader: reader{src: src, flexible: true}}
	r.ErrorCode = b.int16()
	b.skipTags()
	return b.malformed(KeyProxied, src)
}

// malformed returns what is to be said of a message that was read from src.
func (r *reader) malformed(key int16, src []byte) error {
	if r.bad {
		return fmt.Errorf("%w: %s of %d bytes", ErrMalformed, APIName(key), len(src))
	}
	return nil
}

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, 1)
	}
	return append(dst, 0)
}
