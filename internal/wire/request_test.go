package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// everyRequest runs test for every key and version that kmsg has.
func everyRequest(t *testing.T, test func(t *testing.T, key, version int16)) {
	for key := range kmsg.MaxKey + 1 {
		request := kmsg.RequestForKey(int16(key))
		if request == nil {
			continue
		}
		for version := range request.MaxVersion() + 1 {
			t.Run(fmt.Sprintf("%s/%d", kmsg.NameForKey(int16(key)), version), func(t *testing.T) {
				test(t, int16(key), version)
			})
		}
	}
}

func TestTableAgreesWithKmsg(t *testing.T) {
	everyRequest(t, func(t *testing.T, key, version int16) {
		request := kmsg.RequestForKey(key)
		request.SetVersion(version)
		api, ok := apiOf(key)
		if !ok || api.maxVersion != request.MaxVersion() || api.flexible(version) != request.IsFlexible() {
			t.Fatalf("table says %+v", api)
		}
		response := request.ResponseKind()
		response.SetVersion(version)
		want := int8(0)
		if response.IsFlexible() && key != KeyApiVersions {
			want = 1
		}
		if got := ResponseHeaderVersion(key, version); got != want {
			t.Errorf("response header version %d, want %d", got, want)
		}
	})
	for key := int16(-2); key < 200; key++ {
		if _, ok := apiOf(key); ok != (kmsg.RequestForKey(key) != nil) {
			t.Errorf("key %d: known %v", key, ok)
		}
	}
}

func TestDecodeRequestReadsWhatKmsgWrites(t *testing.T) {
	everyRequest(t, func(t *testing.T, key, version int16) {
		rapid.Check(t, func(t *rapid.T) {
			body := randomRequest(t, key, version).AppendTo(nil)
			received := bytes.Clone(body)
			got, err := DecodeRequest(key, version, append(received, "trailing"...))
			if err != nil {
				t.Fatal(err)
			}
			clear(received) // what was decoded does not alias it
			if again := got.AppendTo(nil); !bytes.Equal(again, body) {
				t.Fatalf("decoded and encoded again:\n%x\nwant\n%x", again, body)
			}
		})
	})
}

// TestDecodeRequestRefuses mutates valid requests. Whatever the survey lets through, kmsg must be able to read.
func TestDecodeRequestRefuses(t *testing.T) {
	everyRequest(t, func(t *testing.T, key, version int16) {
		rapid.Check(t, func(t *rapid.T) {
			body := mutate(t, randomRequest(t, key, version).AppendTo(nil))
			a, _ := apiOf(key)
			s := a.survey(version, body)
			_, err := DecodeRequest(key, version, body)
			if s.bad != (err != nil) {
				t.Fatalf("survey bad: %v, decoded: %v\n%x", s.bad, err, body)
			}
			if err != nil && !errors.Is(err, ErrMalformed) {
				t.Fatalf("%v is not ErrMalformed", err)
			}
		})
	})
}

func mutate(t *rapid.T, body []byte) []byte {
	if len(body) == 0 {
		return body
	}
	at := rapid.IntRange(0, len(body)-1).Draw(t, "at")
	switch rapid.IntRange(0, 3).Draw(t, "mutation") {
	case 0:
		return body[:at]
	case 1:
		body[at] = rapid.Byte().Draw(t, "byte")
	case 2:
		huge := []byte{0xff, 0xff, 0xff, 0xff, 0x0f}
		return append(append(body[:at:at], huge...), body[at:]...)
	case 3:
		binary.BigEndian.PutUint32(append(body[at:at:at], 0, 0, 0, 0), rapid.Uint32().Draw(t, "count"))
	}
	return body
}

// TestDecodeRequestMemory sends every request a body of one length after another that claims as much as it can: filled
// with zeros, with ones, with small counts, and with counts of all the bytes that remain.
func TestDecodeRequestMemory(t *testing.T) {
	skipUnderRace(t)
	patterns := map[string]func(size int) []byte{
		"zeros":  func(size int) []byte { return make([]byte, size) },
		"ones":   func(size int) []byte { return bytes.Repeat([]byte{1}, size) },
		"twos":   func(size int) []byte { return bytes.Repeat([]byte{2}, size) },
		"ff":     func(size int) []byte { return bytes.Repeat([]byte{0xff}, size) },
		"counts": func(size int) []byte { return bytes.Repeat([]byte{0, 0, 0, 1}, size/4) },
		"wide":   wide,
		"varint": func(size int) []byte {
			return append([]byte{1, 1, 1}, binary.AppendUvarint(nil, uint64(size-16))...)
		},
	}
	for name, pattern := range patterns {
		for _, size := range []int{1 << 10, 4 << 20} {
			body := pattern(size)
			everyRequest(t, func(t *testing.T, key, version int16) {
				checkMemory(t, name, key, version, body)
			})
		}
	}
}

// wide claims in each of its first words that all the rest are elements of an array.
func wide(size int) []byte {
	b := make([]byte, size)
	for i := 0; i < 64; i += 4 {
		binary.BigEndian.PutUint32(b[i:], uint32(size-i-4))
	}
	return b
}

func checkMemory(t testing.TB, name string, key, version int16, body []byte) {
	t.Helper()
	const noise = 64 << 10 // the error, the runtime's own
	grown := allocated(func() { _, _ = DecodeRequest(key, version, body) })
	if limit := uint64(decodeLimit(body) + noise); grown > limit {
		t.Errorf("%s of %d bytes: %d allocated, limit %d", name, len(body), grown, limit)
	}
}

func skipUnderRace(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
}

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestDecodeRequestWeighsElements decodes valid requests of nothing but short elements, which take the most memory for
// their size, up to where they are refused.
func TestDecodeRequestWeighsElements(t *testing.T) {
	skipUnderRace(t)
	everyRequest(t, func(t *testing.T, key, version int16) {
		request := kmsg.RequestForKey(key)
		request.SetVersion(version)
		for _, n := range []int{100, 10_000, 200_000} {
			body := manyElements(request, n)
			if body == nil {
				return
			}
			checkMemory(t, fmt.Sprint(n, " elements"), key, version, body)
		}
	})
}

// TestStringsAreNoLongerThanKafkas names a topic by more bytes than the length of a string had before it was compact.
func TestStringsAreNoLongerThanKafkas(t *testing.T) {
	for _, n := range []int{math.MaxInt16, math.MaxInt16 + 1} {
		req := kmsg.NewPtrMetadataRequest()
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = kmsg.StringPtr(strings.Repeat("t", n))
		req.Version, req.Topics = 12, append(req.Topics, topic)
		_, err := DecodeRequest(req.Key(), req.Version, req.AppendTo(nil))
		if refused := errors.Is(err, ErrMalformed); refused != (n > math.MaxInt16) {
			t.Errorf("a string of %d bytes: %v", n, err)
		}
	}
}

func TestDecodeRequestUnknown(t *testing.T) {
	for _, c := range []struct {
		key, version int16
		want         error
	}{
		{-1, 0, ErrUnknownAPI}, {999, 0, ErrUnknownAPI}, {32767, 0, ErrUnknownAPI},
		{3, -1, ErrUnsupportedVersion}, {3, 99, ErrUnsupportedVersion},
	} {
		if _, err := DecodeRequest(c.key, c.version, nil); !errors.Is(err, c.want) {
			t.Errorf("%d version %d: %v", c.key, c.version, err)
		}
	}
}

func FuzzDecodeRequest(f *testing.F) {
	for key := range kmsg.MaxKey + 1 {
		if request := kmsg.RequestForKey(int16(key)); request != nil {
			for _, version := range []int16{0, request.MaxVersion()} {
				request.SetVersion(version)
				f.Add(int16(key), version, request.AppendTo(nil))
			}
		}
	}
	f.Fuzz(func(t *testing.T, key, version int16, body []byte) {
		checkMemory(t, "fuzzed", key, version, body)
	})
}
