package wire

import (
	"bytes"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// DecodeRequest decodes the body of a request into a kmsg request, or one of ours ([NewRequest]), with its version set. The result shares no memory
// with body. It allocates at most twice len(body) and [DecodeSlackBytes]; a body that needs more is refused as
// malformed, as is one that ends early or counts more than it has. Bytes after the message are ignored, as Kafka does.
func DecodeRequest(key, version int16, body []byte) (kmsg.Request, error) {
	a, ok := apiOf(key)
	if !ok {
		return nil, fmt.Errorf("%w %d", ErrUnknownAPI, key)
	}
	if version < 0 || version > a.maxVersion {
		return nil, fmt.Errorf("%w: %s has 0 to %d, not %d", ErrUnsupportedVersion, a.name, a.maxVersion, version)
	}
	s := a.survey(version, body)
	if s.bad {
		return nil, malformed(a.name, version, len(body))
	}
	if s.aliases {
		body = bytes.Clone(body[:len(body)-len(s.src)])
	}
	request := NewRequest(key)
	request.SetVersion(version)
	if err := request.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("%w: %s version %d: %w", ErrMalformed, a.name, version, err)
	}
	return request, nil
}

func malformed(name string, version int16, size int) error {
	return fmt.Errorf("%w: %s version %d of %d bytes", ErrMalformed, name, version, size)
}

// survey walks over a body. The surveyor is bad when the body may not be decoded.
func (a *api) survey(version int16, body []byte) surveyor {
	s := surveyor{
		reader:  reader{src: body, flexible: a.flexible(version)},
		version: version,
		limit:   decodeLimit(body),
	}
	s.charge(1, a.size)
	s.structure(a.fields)
	if s.aliases {
		s.charge(1, uintptr(len(body)))
	}
	return s
}

// decodeLimit is what a decoded body may take in memory.
func decodeLimit(body []byte) int { return 2*len(body) + DecodeSlackBytes }
