package group

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func seedRecords() []Record {
	g := newGroup("g")
	g.protocolType, g.protocol = "consumer", "range"
	g.add(&member{id: "a-1", instance: ptr("i"), clientID: "a", clientHost: "/h", protocols: []protocol{{"range", subscribeTo("t")}}, assignment: []byte("p0")})
	g.add(&member{id: "b-2", protocols: []protocol{{"range", nil}}})
	records := []Record{g.stableRecord(7, g.assignments()), g.emptyRecord(7), groupTombstone("g"), offsetTombstone("g", "t", 1)}
	for _, c := range []committed{{offset: 1, expireMs: -1}, {expireMs: 5}, {expireMs: -1, topicID: topicID("T"), metadata: "m"}} {
		records = append(records, c.record("g", "t", 0))
	}
	var group kmsg.GroupMetadataValue
	if err := group.ReadFrom(records[0].Value); err != nil {
		panic(err)
	}
	for version := int16(0); version <= 4; version++ {
		group.Version = version
		records = append(records, Record{Key: groupKey("g"), Value: group.AppendTo(nil)})
		offset := kmsg.OffsetCommitValue{Version: version, Offset: 3, Metadata: "m", CommitTimestamp: 4, TopicID: topicID("T")}
		records = append(records, Record{Key: offsetKey("g", "t", 0), Value: offset.AppendTo(nil)})
	}
	return records
}

// FuzzReplay feeds the machine any record: it never panics, never takes more than the record's length allows, and the
// machine goes on working.
func FuzzReplay(f *testing.F) {
	for _, r := range seedRecords() {
		f.Add(r.Key, r.Value, r.Value == nil)
	}
	f.Fuzz(func(t *testing.T, key, value []byte, tombstone bool) {
		if tombstone {
			value = nil
		} else if value == nil {
			value = []byte{}
		}
		m := New(Config{NewID: func() string { return "id" }})
		if err := m.Replay(key, value); err != nil && len(m.groups) > 0 {
			t.Fatalf("refused with %v, but kept", err)
		}
		now := time.UnixMilli(0)
		m.Loaded(now)
		for range 5 {
			now = now.Add(time.Hour)
			for _, r := range m.Expire(now).Records {
				if err := m.Replay(r.Key, r.Value); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// FuzzValues holds the package's own reader to kmsg's: what one reads the other reads alike.
func FuzzValues(f *testing.F) {
	for _, r := range seedRecords() {
		f.Add(r.Value)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if g, err := parseGroupValue(b); err == nil {
			compareGroupValue(t, b, g)
		}
		if c, err := parseOffsetValue(b); err == nil {
			compareOffsetValue(t, b, c)
		}
	})
}

func compareGroupValue(t *testing.T, b []byte, got groupValue) {
	var want kmsg.GroupMetadataValue
	if err := want.ReadFrom(b); err != nil {
		t.Skip("kmsg is stricter")
	}
	if got.generation != want.Generation || got.protocolType != want.ProtocolType || len(got.members) != len(want.Members) {
		t.Fatalf("%+v\n%+v", got, want)
	}
	for i, mem := range got.members {
		w := want.Members[i]
		if mem.id != w.MemberID || text(mem.instance) != text(w.InstanceID) || mem.clientID != w.ClientID ||
			!bytes.Equal(mem.assignment, w.Assignment) || !bytes.Equal(mem.protocols[0].metadata, w.Subscription) ||
			int32(mem.sessionTimeout.Milliseconds()) != w.SessionTimeoutMillis {
			t.Fatalf("%+v\n%+v", mem, w)
		}
	}
}

func compareOffsetValue(t *testing.T, b []byte, got committed) {
	var want kmsg.OffsetCommitValue
	if err := want.ReadFrom(b); err != nil {
		t.Skip("kmsg is stricter")
	}
	if got.offset != want.Offset || got.metadata != want.Metadata || got.commitMs != want.CommitTimestamp || got.topicID != want.TopicID {
		t.Fatalf("%+v\n%+v", got, want)
	}
}

func TestReaderIsBounded(t *testing.T) {
	// One member announced, then 2^32 tagged fields in a dozen bytes.
	endless := append([]byte{0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 0xff, 0xff, 0xff, 0xff, 0x0f)
	if _, err := parseGroupValue(endless); err == nil {
		t.Fatal("accepted")
	}
	// 2^31-1 members in no bytes at all.
	many := []byte{0, 3, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff}
	if n := testing.AllocsPerRun(10, func() { parseGroupValue(many) }); n > 10 {
		t.Fatalf("%v allocations", n)
	}
}

// FuzzSubscription holds the reader of members' subscriptions to kmsg's.
func FuzzSubscription(f *testing.F) {
	seed := kmsg.ConsumerMemberMetadata{Version: 3, Topics: []string{"a", "orders"}, Generation: 1}
	f.Add(seed.AppendTo(nil))
	f.Add([]byte{0, 0, 0, 0, 0, 1, 0, 1, 'a'})
	f.Add([]byte{0, 0, 0x7f, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		topics, ok := subscribedTopics(b)
		var want kmsg.ConsumerMemberMetadata
		if err := want.ReadFrom(b); err == nil && len(want.Topics) > 0 && len(want.Topics) <= subscribedTopicsMax && (!ok || !slices.Equal(topics, want.Topics)) {
			t.Fatalf("%q %v, want %q", topics, ok, want.Topics)
		}
	})
}

// Names of no length at all: what they are read into is bounded.
func TestSubscriptionIsBounded(t *testing.T) {
	b := binary.BigEndian.AppendUint32([]byte{0, 0}, 4<<20)
	if _, ok := subscribedTopics(append(b, make([]byte, 8<<20)...)); ok {
		t.Error("four million topics are read")
	}
}
