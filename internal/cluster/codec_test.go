package cluster

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"
)

func TestNewerVersion(t *testing.T) {
	for name, b := range map[string][]byte{
		"format":  {formatVersion + 1},
		"kind":    {formatVersion, 1, 99, 0, 0},
		"version": {formatVersion, 1, byte(kindDeleteTopic), 1, 0},
	} {
		if _, err := ParseChanges(b); !errors.Is(err, ErrNewerVersion) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMalformed(t *testing.T) {
	good := AppendChanges(nil, []Change{DeleteTopic{UUID{1}}, SetConfig{Resource{TopicResource, "t"}, "k", new("v")}})
	for n := range good {
		if _, err := ParseChanges(good[:n]); !errors.Is(err, ErrMalformed) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
	if _, err := ParseChanges(append(good, 0)); !errors.Is(err, ErrMalformed) {
		t.Errorf("one byte too many: %v", err)
	}
	huge := []byte{formatVersion, 0xff, 0xff, 0xff, 0xff, 0x0f}
	if _, err := ParseChanges(huge); !errors.Is(err, ErrMalformed) {
		t.Errorf("a count without elements: %v", err)
	}
}

func TestEveryKindIsDecoded(t *testing.T) {
	samples := []Change{
		RegisterBroker{Broker{ID: 1, Epoch: 2, Incarnation: UUID{3}, Rack: "r", Fenced: true,
			Listeners: []Endpoint{{"PLAINTEXT", "h", 65535, -1}}}},
		SetBrokerState{1, 2, true, true}, UnregisterBroker{1, 2}, ReserveBrokerEpochs{9},
		CreateTopic{Topic{Name: "t", ID: UUID{1}, Internal: true, Partitions: []Partition{solo(1)},
			Config: map[string]string{"a": "", "b": "c"}}},
		DeleteTopic{UUID{1}}, CreatePartitions{UUID{1}, 3, []Partition{solo(4)}},
		ChangePartition{UUID{1}, 3, Partition{Replicas: []NodeID{1, 2}, ISR: []NodeID{1}, Adding: []NodeID{2},
			Removing: []NodeID{1}, ELR: []NodeID{2}, Leader: 1, LeaderEpoch: 4, PartitionEpoch: 5}},
		SetConfig{Resource{BrokerResource, "1"}, "k", nil}, SetConfig{Resource{TopicResource, "t"}, "k", new("v")},
		AllocateProducerIDs{1, 2, 3000},
	}
	kinds := make(map[uint64]bool)
	for _, c := range samples {
		kinds[c.kind()] = true
		if decoders[c.kind()].version != c.version() {
			t.Errorf("%T is written in version %d and read up to %d", c, c.version(), decoders[c.kind()].version)
		}
	}
	if len(kinds) != len(decoders) {
		t.Errorf("%d kinds tried of %d", len(kinds), len(decoders))
	}
	got, err := ParseChanges(AppendChanges(nil, samples))
	if err != nil || !reflect.DeepEqual(got, samples) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, samples)
	}
}

func FuzzParseChanges(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 1))
	img := NewImage("c")
	for offset := int64(0); offset < 60; offset++ {
		if c := randomChange(r, img); c != nil {
			f.Add(AppendChanges(nil, []Change{c}))
			img, _, _ = img.Apply([]Change{c}, offset, 1)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		changes, err := ParseChanges(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrNewerVersion) {
				t.Fatalf("unexpected kind of error: %v", err)
			}
			return
		}
		again, err := ParseChanges(AppendChanges(nil, changes))
		if err != nil || !reflect.DeepEqual(again, changes) {
			t.Fatalf("%v: %+v became %+v", err, changes, again)
		}
		next, _, err := img.Apply(changes, img.Offset()+1, 1)
		if err == nil && !bytes.Equal(encodedSnapshot(next), encodedSnapshot(next)) {
			t.Fatal("two snapshots of one image differ")
		}
	})
}

// FuzzParseChanges' bound: a list as long as its bytes allow, of the smallest partitions there are.
func TestParseAllocates(t *testing.T) {
	b := make([]byte, 0, 1<<20)
	w := writer{append(b, formatVersion)}
	w.uvarint(1)
	w.uvarint(kindCreatePartitions)
	w.uvarint(0)
	const n = 100_000
	var body writer
	body.uuid(UUID{1})
	body.varint(0)
	body.uvarint(n)
	body.b = append(body.b, make([]byte, n*partitionBytesMin)...)
	w.bytes(body.b)
	got := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			if _, err := ParseChanges(w.b); err != nil {
				b.Fatal(err)
			}
		}
	})
	if per := got.AllocedBytesPerOp() / int64(len(w.b)); per > 20 {
		t.Errorf("%d bytes allocated per byte read", per)
	}
}
