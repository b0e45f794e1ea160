package wire

import (
	"encoding/binary"
	"math/bits"
)

func appendUvarint(dst []byte, n uint32) []byte {
	return binary.AppendUvarint(dst, uint64(n))
}

// uvarintSize is the length of n as a uvarint: 7 bits a byte.
func uvarintSize(n uint32) int {
	return (bits.Len32(n|1) + 6) / 7
}

func appendInt16(dst []byte, n int16) []byte { return binary.BigEndian.AppendUint16(dst, uint16(n)) }
func appendInt32(dst []byte, n int32) []byte { return binary.BigEndian.AppendUint32(dst, uint32(n)) }
func appendInt64(dst []byte, n int64) []byte { return binary.BigEndian.AppendUint64(dst, uint64(n)) }

// appendLength appends the length before an array or bytes; -1 is null.
func appendLength(dst []byte, n int, flexible bool) []byte {
	if flexible {
		return appendUvarint(dst, uint32(n+1))
	}
	return appendInt32(dst, int32(n))
}

func lengthSize(n int, flexible bool) int {
	if flexible {
		return uvarintSize(uint32(n + 1))
	}
	return 4
}

func appendString(dst []byte, s string, flexible bool) []byte {
	if flexible {
		dst = appendUvarint(dst, uint32(len(s)+1))
	} else {
		dst = appendInt16(dst, int16(len(s)))
	}
	return append(dst, s...)
}

func stringSize(s string, flexible bool) int {
	if flexible {
		return uvarintSize(uint32(len(s)+1)) + len(s)
	}
	return 2 + len(s)
}

func appendNullableString(dst []byte, s *string, flexible bool) []byte {
	switch {
	case s != nil:
		return appendString(dst, *s, flexible)
	case flexible:
		return append(dst, 0)
	}
	return appendInt16(dst, -1)
}

func nullableStringSize(s *string, flexible bool) int {
	switch {
	case s != nil:
		return stringSize(*s, flexible)
	case flexible:
		return 1
	}
	return 2
}

// appendNoTags ends a struct without tagged fields.
func appendNoTags(dst []byte, flexible bool) []byte {
	if flexible {
		return append(dst, 0)
	}
	return dst
}

// noTagsSize is what appendNoTags appends.
func noTagsSize(flexible bool) int {
	if flexible {
		return 1
	}
	return 0
}

// appendCurrentLeader appends a CurrentLeader as a tagged field.
func appendCurrentLeader(dst []byte, tag uint32, l CurrentLeader) []byte {
	dst = appendUvarint(dst, tag)
	dst = append(dst, 4+4+1)
	dst = appendInt32(dst, l.LeaderID)
	dst = appendInt32(dst, l.LeaderEpoch)
	return append(dst, 0)
}

// currentLeaderSize is what appendCurrentLeader appends, for tags below 128.
const currentLeaderSize = 1 + 1 + 4 + 4 + 1

// appendNodeEndpoints appends the tagged fields that end a Produce or Fetch response: endpoints under tag 0 or none.
func appendNodeEndpoints(dst []byte, nodes []NodeEndpoint) []byte {
	if len(nodes) == 0 {
		return append(dst, 0)
	}
	dst = append(dst, 1, 0)
	dst = appendUvarint(dst, uint32(nodeEndpointsValueSize(nodes)))
	dst = appendLength(dst, len(nodes), true)
	for i := range nodes {
		n := &nodes[i]
		dst = appendInt32(dst, n.NodeID)
		dst = appendString(dst, n.Host, true)
		dst = appendInt32(dst, n.Port)
		dst = appendNullableString(dst, n.Rack, true)
		dst = append(dst, 0)
	}
	return dst
}

// nodeEndpointsSize is what appendNodeEndpoints appends.
func nodeEndpointsSize(nodes []NodeEndpoint) int {
	if len(nodes) == 0 {
		return 1
	}
	value := nodeEndpointsValueSize(nodes)
	return 2 + uvarintSize(uint32(value)) + value
}

func nodeEndpointsValueSize(nodes []NodeEndpoint) int {
	size := lengthSize(len(nodes), true)
	for i := range nodes {
		size += 4 + stringSize(nodes[i].Host, true) + 4 + nullableStringSize(nodes[i].Rack, true) + 1
	}
	return size
}
