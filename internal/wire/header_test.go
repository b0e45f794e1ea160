package wire

import (
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestRequestHeaderIsWhatClientsSend(t *testing.T) {
	formatter := kmsg.NewRequestFormatter(kmsg.FormatterClientID("a client"))
	everyRequest(t, func(t *testing.T, key, version int16) {
		request := kmsg.RequestForKey(key)
		request.SetVersion(version)
		frame := formatter.AppendRequest(nil, request, 77)
		if key == KeyControlledShutdown && version == 0 { // kmsg leaves its body and length out
			frame = request.AppendTo(frame)
			frame[3] = byte(len(frame) - FrameHeaderSize)
		}
		if got := FrameLength([4]byte(frame)); int(got) != len(frame)-FrameHeaderSize {
			t.Errorf("frame length %d of %d bytes", got, len(frame))
		}
		h, body, err := ReadRequestHeader(frame[FrameHeaderSize:])
		if err != nil || h.Key != key || h.Version != version || h.CorrelationID != 77 {
			t.Fatalf("%+v, %v", h, err)
		}
		if want := request.AppendTo(nil); string(body) != string(want) {
			t.Errorf("body %x, want %x", body, want)
		}
		if key == KeyControlledShutdown && version == 0 {
			if h.ClientID != nil {
				t.Errorf("client id %q in a header that has none", *h.ClientID)
			}
		} else if h.ClientID == nil || *h.ClientID != "a client" {
			t.Errorf("client id %v", h.ClientID)
		}
		if again := AppendRequestHeader(nil, h); string(again)+string(body) != string(frame[FrameHeaderSize:]) {
			t.Errorf("written again: %x", again)
		}
		for cut := range len(frame) - FrameHeaderSize - len(body) {
			if _, _, err := ReadRequestHeader(frame[FrameHeaderSize:][:cut]); !errors.Is(err, ErrMalformed) {
				t.Errorf("cut at %d: %v", cut, err)
			}
		}
	})
}

func TestReadRequestHeaderRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		frame []byte
		want  error
	}{
		"unknown key":          {[]byte{0x7f, 0, 0, 0, 0, 0, 0, 9}, ErrUnknownAPI},
		"negative key":         {[]byte{0xff, 0xff, 0, 0, 0, 0, 0, 9}, ErrUnknownAPI},
		"version too new":      {[]byte{0, 18, 0, 99, 0, 0, 0, 9}, ErrUnsupportedVersion},
		"negative version":     {[]byte{0, 18, 0xff, 0xff, 0, 0, 0, 9}, ErrUnsupportedVersion},
		"client id too long":   {[]byte{0, 3, 0, 0, 0, 0, 0, 9, 0x7f, 0xff}, ErrMalformed},
		"client id length -2":  {[]byte{0, 3, 0, 0, 0, 0, 0, 9, 0xff, 0xfe}, ErrMalformed},
		"more tags than bytes": {[]byte{0, 3, 0, 9, 0, 0, 0, 9, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0}, ErrMalformed},
	} {
		h, _, err := ReadRequestHeader(c.frame)
		if !errors.Is(err, c.want) || h.CorrelationID != 9 {
			t.Errorf("%s: correlation id %d, %v", name, h.CorrelationID, err)
		}
	}
}

func TestAppendReplyIsWhatClientsRead(t *testing.T) {
	flexible := kmsg.NewPtrMetadataResponse()
	flexible.Version = 12
	handshake := kmsg.NewPtrApiVersionsResponse()
	handshake.Version = 3
	for _, c := range []struct {
		response kmsg.Response
		header   string
	}{
		{flexible, "\x00\x00\x00\x07\x00"},
		{handshake, "\x00\x00\x00\x07"},
	} {
		body := string(c.response.AppendTo(nil))
		h := RequestHeader{Key: c.response.Key(), Version: c.response.GetVersion(), CorrelationID: 7}
		got, err := AppendReply([]byte("before"), h, Message(c.response))
		if err != nil {
			t.Fatal(err)
		}
		want := "before" + string(appendInt32(nil, int32(len(c.header)+len(body)))) + c.header + body
		if string(got) != want {
			t.Errorf("%s: %x, want %x", APIName(h.Key), got, want)
		}
	}
	if Message(nil) != nil {
		t.Error("no message must give no response")
	}
}

func FuzzReadRequestHeader(f *testing.F) {
	f.Add([]byte{0, 3, 0, 9, 0, 0, 0, 9, 0, 1, 'c', 1, 5, 2, 'h', 'i'})
	f.Add([]byte{0, 7, 0, 0, 0, 0, 0, 9})
	f.Fuzz(func(t *testing.T, frame []byte) {
		h, body, err := ReadRequestHeader(frame)
		if err == nil && len(AppendRequestHeader(nil, h))+len(body) > len(frame) {
			t.Fatalf("%x: header %+v with a body of %d bytes", frame, h, len(body))
		}
	})
}
