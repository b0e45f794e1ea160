package wire

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

var privateAPIs = []int16{KeyRaftMessages, KeyHello, KeyProxied}

func TestPrivateMessagesReadWhatTheyWrite(t *testing.T) {
	for _, key := range privateAPIs {
		t.Run(APIName(key), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				sent := NewRequest(key)
				fill(t, reflect.ValueOf(sent).Elem(), false)
				sent.SetVersion(0)
				body := sent.AppendTo(nil)
				got, err := DecodeRequest(key, 0, body)
				if err != nil {
					t.Fatal(err)
				}
				clear(body) // which nothing aliases
				if diff := diff(got, sent); diff != "" {
					t.Fatal(diff)
				}
				reply := sent.ResponseKind()
				fill(t, reflect.ValueOf(reply).Elem(), false)
				reply.SetVersion(0)
				back := reply.RequestKind().ResponseKind()
				if err := back.ReadFrom(reply.AppendTo(nil)); err != nil {
					t.Fatal(err)
				}
				if diff := diff(back, reply); diff != "" {
					t.Fatal(diff)
				}
			})
		})
	}
}

func TestPrivateMessagesCutOff(t *testing.T) {
	id := "cluster"
	messages := []kmsg.Request{
		&RaftMessagesRequest{ClusterID: id, Messages: [][]byte{[]byte("m")}},
		&HelloRequest{ClusterID: &id},
		&ProxiedRequest{Client: "192.0.2.1:1234"},
	}
	for _, m := range messages {
		body := m.AppendTo(nil)
		for n := range len(body) {
			if _, err := DecodeRequest(m.Key(), 0, body[:n]); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s cut at %d: %v", APIName(m.Key()), n, err)
			}
			if err := NewRequest(m.Key()).ReadFrom(body[:n]); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s cut at %d and not surveyed: %v", APIName(m.Key()), n, err)
			}
		}
	}
	reply := (&HelloResponse{ClusterID: &id, Voters: []HelloVoter{{Address: "a:1"}}}).AppendTo(nil)
	for n := range len(reply) {
		if err := new(HelloResponse).ReadFrom(reply[:n]); !errors.Is(err, ErrMalformed) {
			t.Errorf("reply cut at %d: %v", n, err)
		}
	}
	huge := append((&RaftMessagesRequest{}).AppendTo(nil)[:10], appendUvarint(nil, 1<<24)...)
	huge = append(huge, bytes.Repeat([]byte{0}, 1<<24)...)
	if _, err := DecodeRequest(KeyRaftMessages, 0, huge); !errors.Is(err, ErrMalformed) {
		t.Errorf("millions of empty messages: %v", err)
	}
}

func FuzzPrivate(f *testing.F) {
	id := "cluster"
	f.Add(KeyRaftMessages, (&RaftMessagesRequest{ClusterID: id, Messages: [][]byte{{1, 2}, nil}}).AppendTo(nil))
	f.Add(KeyHello, (&HelloRequest{ClusterID: &id}).AppendTo(nil))
	f.Add(KeyProxied, (&ProxiedRequest{Client: "192.0.2.1:1234"}).AppendTo(nil))
	f.Add(KeyHello, (&HelloResponse{ClusterID: &id, Voters: []HelloVoter{{NodeID: 1, Address: "a:1"}}}).AppendTo(nil))
	f.Fuzz(func(t *testing.T, key int16, body []byte) {
		if key < privateKeys || int(key) >= privateKeys+len(private) {
			return
		}
		surveyed, err := DecodeRequest(key, 0, body)
		plain := NewRequest(key)
		if plainErr := plain.ReadFrom(body); err == nil && plainErr != nil {
			t.Fatalf("the survey lets through what cannot be decoded: %v", plainErr)
		}
		if err == nil {
			if diff := diff(surveyed, plain); diff != "" {
				t.Fatal(diff)
			}
		} else if !errors.Is(err, ErrMalformed) {
			t.Fatal(err)
		}
		if err := plain.ResponseKind().ReadFrom(body); err != nil && !errors.Is(err, ErrMalformed) {
			t.Fatal(err)
		}
	})
}
