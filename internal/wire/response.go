package wire

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Response is the body of a reply. AppendTo appends it, without header, and is called once. An error means that what
// was appended is no valid reply: the caller discards it, and closes the connection unless it has another answer.
type Response interface {
	AppendTo(dst []byte) ([]byte, error)
}

// Sizer is a Response that knows the length of its body in bytes beforehand. It is a hint for the buffer only: the body
// may come out shorter (a record source that has lost its data) or, if data grew, longer.
type Sizer interface {
	EncodedSize() int
}

// RecordSource gives the record data of one partition in a Fetch response: whole batches, read when the reply is
// encoded. AppendTo appends at most Size bytes.
type RecordSource interface {
	Size() int
	AppendTo(dst []byte) ([]byte, error)
}

// RecordBytes is a RecordSource of bytes in memory.
type RecordBytes []byte

// Size implements [RecordSource].
func (b RecordBytes) Size() int { return len(b) }

// AppendTo implements [RecordSource].
func (b RecordBytes) AppendTo(dst []byte) ([]byte, error) { return append(dst, b...), nil }

// Message makes a Response of a kmsg one, whose version must be set. A nil response gives nil.
func Message(m kmsg.Response) Response {
	if m == nil {
		return nil
	}
	return message{m}
}

type message struct{ kmsg.Response }

func (m message) AppendTo(dst []byte) ([]byte, error) { return m.Response.AppendTo(dst), nil }

// AppendReply appends a whole response frame to dst: length, response header, body. h is the header of the request it
// answers. When the body fails, dst is returned as it was, with the error.
func AppendReply(dst []byte, h RequestHeader, body Response) ([]byte, error) {
	start := len(dst)
	out := append(dst, 0, 0, 0, 0)
	out = binary.BigEndian.AppendUint32(out, uint32(h.CorrelationID))
	if ResponseHeaderVersion(h.Key, h.Version) >= 1 {
		out = append(out, 0)
	}
	out, err := body.AppendTo(out)
	if err != nil {
		return dst[:start], fmt.Errorf("encode reply to %s version %d: %w", APIName(h.Key), h.Version, err)
	}
	length := len(out) - start - FrameHeaderSize
	if length > math.MaxInt32 {
		return dst[:start], fmt.Errorf("encode reply to %s version %d: %d bytes do not fit a frame", APIName(h.Key), h.Version, length)
	}
	binary.BigEndian.PutUint32(out[start:], uint32(length))
	return out, nil
}

// replyOverhead is the most that AppendReply adds to a body: length, correlation id, empty tags.
const replyOverhead = FrameHeaderSize + 4 + 1

// ReplySize returns how many bytes AppendReply will need for this body, exactly for a [Sizer] and as a guess of 512
// bytes for others.
func ReplySize(body Response) int {
	if s, ok := body.(Sizer); ok {
		return replyOverhead + s.EncodedSize()
	}
	return 512
}
