package cluster

import (
	"encoding/base64"
	"fmt"
)

// NodeID is a node's id, node.id in its configuration; never negative for a real node.
type NodeID = int32

// NoLeader is the leader of a partition that has none.
const NoLeader NodeID = -1

// UUID identifies a topic, a directory, or one run of a broker.
type UUID [16]byte

// Reserved ids that are never a topic's: none, and Kafka's id of the metadata topic.
var (
	ZeroUUID     UUID
	metadataUUID = UUID{15: 1}
)

// Reserved tells whether id must not be given to a topic (KIP-516, Uuid.RESERVED).
func (id UUID) Reserved() bool { return id == ZeroUUID || id == metadataUUID }

// String returns the id as Kafka prints it: URL-safe base64 without padding.
func (id UUID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// ParseUUID reads what String prints.
func ParseUUID(s string) (UUID, error) {
	var id UUID
	if len(s) != base64.RawURLEncoding.EncodedLen(len(id)) {
		return id, fmt.Errorf("UUID %q: %d characters where 22 are expected", s, len(s))
	}
	if _, err := base64.RawURLEncoding.Decode(id[:], []byte(s)); err != nil {
		return ZeroUUID, fmt.Errorf("UUID %q: %w", s, err)
	}
	return id, nil
}
