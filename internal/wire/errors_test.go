package wire

import (
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
)

func TestErrorsAgreeWithKerr(t *testing.T) {
	renamed := map[Error]string{ // kerr keeps names of Kafka before 3.0
		NotLeaderOrFollower: "NOT_LEADER_FOR_PARTITION",
	}
	// Kafka's own clients repeat or give up where kerr says otherwise.
	retriable := map[Error]bool{BrokerNotAvailable: false, ConcurrentTransactions: true, ShareSessionNotFound: true, InvalidShareSessionEpoch: true}
	for _, e := range Errors() {
		if e == None {
			continue
		}
		var want *kerr.Error
		if !errors.As(kerr.ErrorForCode(e.Code()), &want) || want.Code != e.Code() {
			t.Errorf("%d is unknown to kerr", e)
			continue
		}
		name, ok := renamed[e]
		if !ok {
			name = e.Name()
		}
		if name != want.Message {
			t.Errorf("%d is %s, want %s", e, name, want.Message)
		}
		r, ok := retriable[e]
		if !ok {
			r = want.Retriable
		}
		if e.Retriable() != r {
			t.Errorf("%s: retriable %v", e.Name(), e.Retriable())
		}
		if e.Message() == "" {
			t.Errorf("%s has no message", e.Name())
		}
	}
	last := Errors()[len(Errors())-1]
	if next := kerr.ErrorForCode(last.Code() + 1); !errors.Is(next, kerr.UnknownServerError) {
		t.Errorf("kerr knows %v, which follows the last", next)
	}
}

func TestErrorUnknownCode(t *testing.T) {
	for _, e := range []Error{-2, 1000, 32767, -32768} {
		if e.Name() == "" || e.Message() != "" || e.Retriable() || e.Error() != e.Name() {
			t.Errorf("%d: %q %q", int16(e), e.Name(), e.Error())
		}
	}
}
