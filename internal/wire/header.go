package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// FrameHeaderSize is the length in bytes of the big-endian int32 that starts every request and every response. It counts
// the bytes after itself.
const FrameHeaderSize = 4

// requestHeaderMin is the length of key, version and correlation id, which every request header starts with.
const requestHeaderMin = 8

// Keys of APIs that the framing itself must know.
const (
	KeyProduce            int16 = 0
	KeyFetch              int16 = 1
	KeyControlledShutdown int16 = 7
	KeyApiVersions        int16 = 18
)

// Reasons not to go on with a request.
var (
	// ErrMalformed is matched by every error about bytes that are not the message they claim to be.
	ErrMalformed = errors.New("malformed request")
	// ErrUnknownAPI is matched when no API has the request's key.
	ErrUnknownAPI = errors.New("unknown API key")
	// ErrUnsupportedVersion is matched when the API has no such version.
	ErrUnsupportedVersion = errors.New("unsupported API version")
)

// RequestHeader is what precedes the body of a request.
type RequestHeader struct {
	Key           int16
	Version       int16
	CorrelationID int32
	ClientID      *string // nil when null or when the header has none
}

// FrameLength reads the length of the frame that b starts with: the bytes after the length itself. The caller judges it;
// it may be negative.
func FrameLength(b [FrameHeaderSize]byte) int32 {
	return int32(binary.BigEndian.Uint32(b[:]))
}

// RequestHeaderVersion returns the version of the header that requests of this key and version have: 0 without client
// id, 1 with, 2 with tagged fields (KIP-482). The second result is false when no such API or version exists.
func RequestHeaderVersion(key, version int16) (int8, bool) {
	api, ok := apiOf(key)
	if !ok || version < 0 || version > api.maxVersion {
		return 0, false
	}
	return api.requestHeader(version), true
}

// ResponseHeaderVersion returns the version of the header that answers to this key and version have: 0 is the
// correlation id alone, 1 has tagged fields. ApiVersions always has 0, since its client does not know the broker yet.
func ResponseHeaderVersion(key, version int16) int8 {
	api, ok := apiOf(key)
	if !ok || key == KeyApiVersions || !api.flexible(version) {
		return 0
	}
	return 1
}

// MaxVersion returns the newest version of an API that can be decoded here, whatever a broker serves. False when there
// is no such API.
func MaxVersion(key int16) (int16, bool) {
	api, ok := apiOf(key)
	return api.maxVersion, ok
}

// ReadRequestHeader reads the header that a frame (without its length) starts with, and returns it with the body, which
// aliases the frame. On an error the header holds what was read: key, version and correlation id unless the frame is
// shorter than 8 bytes. A version newer than [MaxVersion] gives [ErrUnsupportedVersion].
func ReadRequestHeader(frame []byte) (RequestHeader, []byte, error) {
	if len(frame) < requestHeaderMin {
		return RequestHeader{}, nil, fmt.Errorf("%w: a frame of %d bytes has no header", ErrMalformed, len(frame))
	}
	h := RequestHeader{
		Key:           int16(binary.BigEndian.Uint16(frame)),
		Version:       int16(binary.BigEndian.Uint16(frame[2:])),
		CorrelationID: int32(binary.BigEndian.Uint32(frame[4:])),
	}
	api, ok := apiOf(h.Key)
	if !ok {
		return h, nil, fmt.Errorf("%w %d", ErrUnknownAPI, h.Key)
	}
	if h.Version < 0 || h.Version > api.maxVersion {
		return h, nil, fmt.Errorf("%w: %s has 0 to %d, not %d", ErrUnsupportedVersion, api.name, api.maxVersion, h.Version)
	}
	r := reader{src: frame[requestHeaderMin:]}
	headerVersion := api.requestHeader(h.Version)
	if headerVersion >= 1 {
		h.ClientID = r.clientID()
	}
	if headerVersion >= 2 {
		r.skipTags()
	}
	if r.bad {
		return h, nil, fmt.Errorf("%w: header of %s version %d", ErrMalformed, api.name, h.Version)
	}
	return h, r.src, nil
}

// AppendRequestHeader appends a request header as ReadRequestHeader reads it. Proxies and tests need it.
func AppendRequestHeader(dst []byte, h RequestHeader) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(h.Key))
	dst = binary.BigEndian.AppendUint16(dst, uint16(h.Version))
	dst = binary.BigEndian.AppendUint32(dst, uint32(h.CorrelationID))
	headerVersion, _ := RequestHeaderVersion(h.Key, h.Version)
	if headerVersion >= 1 {
		dst = appendNullableString(dst, h.ClientID, false)
	}
	if headerVersion >= 2 {
		dst = append(dst, 0)
	}
	return dst
}

// ReadResponseHeader reads the header that a response's frame (without its length) starts with, of a request of this key
// and version. It returns the correlation id, and the body, which aliases the frame.
func ReadResponseHeader(frame []byte, key, version int16) (correlationID int32, body []byte, err error) {
	r := reader{src: frame}
	correlationID = r.int32()
	if ResponseHeaderVersion(key, version) >= 1 {
		r.skipTags()
	}
	if r.bad {
		return correlationID, nil, fmt.Errorf("%w: header of a reply to %s version %d", ErrMalformed, APIName(key), version)
	}
	return correlationID, r.src, nil
}

// AppendRequest appends a whole request frame to dst: length, header, body. appendBody appends the body.
func AppendRequest(dst []byte, h RequestHeader, appendBody func([]byte) []byte) []byte {
	start := len(dst)
	dst = AppendRequestHeader(append(dst, 0, 0, 0, 0), h)
	dst = appendBody(dst)
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-FrameHeaderSize))
	return dst
}

// SetCorrelationID changes the correlation id of a request frame, which begins with its length.
func SetCorrelationID(frame []byte, id int32) {
	binary.BigEndian.PutUint32(frame[FrameHeaderSize+4:], uint32(id))
}
