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

// TestOldVersions reads what earlier versions of the program wrote.
func TestOldVersions(t *testing.T) {
	b := writer{[]byte{formatVersion, 2, byte(kindRegisterBroker), 0}}
	var body writer
	body.varint(1)
	body.varint(2)
	body.uuid(UUID{3})
	body.string("r")
	body.bool(true)
	body.bool(false)
	body.uvarint(0)
	b.bytes(body.b)
	b.b = append(b.b, byte(kindSetBrokerState), 0)
	body.b = nil
	body.varint(1)
	body.varint(2)
	body.bool(true)
	body.bool(false)
	b.bytes(body.b)
	want := []Change{RegisterBroker{Broker: Broker{ID: 1, Epoch: 2, Incarnation: UUID{3}, Rack: "r", Fenced: true}},
		SetBrokerState{ID: 1, Epoch: 2, Fenced: true}}
	if got, err := ParseChanges(b.b); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
	}
	plain := ChangePartition{UUID{1}, 3, solo(4)}
	if plain.version() != 0 {
		t.Error("a partition that nothing has befallen is written in the longer form")
	}
}

func TestEveryKindIsDecoded(t *testing.T) {
	troubled := Partition{Replicas: []NodeID{1, 2}, LastKnownELR: []NodeID{1}, Leader: NoLeader, LeaderEpoch: 9,
		PartitionEpoch: 9, UncleanEpoch: 8, Recovering: true}
	samples := []Change{
		RegisterBroker{Broker{ID: 1, Epoch: 2, RegisteredAt: 7, Incarnation: UUID{3}, Rack: "r", Fenced: true, Cordoned: true,
			Listeners: []Endpoint{{"PLAINTEXT", "h", 65535, -1}}, Directories: []UUID{{4}, {5}}}, LostAll},
		SetBrokerState{1, 2, true, true, true}, ClearELR{UUID{1}}, UnregisterBroker{1, 2}, ReserveBrokerEpochs{9},
		CreateTopic{Topic{Name: "t", ID: UUID{1}, Internal: true, Partitions: []Partition{solo(1)},
			Config: map[string]string{"a": "", "b": "c"}}},
		DeleteTopic{UUID{1}}, CreatePartitions{UUID{1}, 3, []Partition{solo(4)}},
		ChangePartition{UUID{1}, 3, Partition{Replicas: []NodeID{1, 2}, ISR: []NodeID{1}, Adding: []NodeID{2},
			Removing: []NodeID{1}, ELR: []NodeID{2}, Leader: 1, LeaderEpoch: 4, PartitionEpoch: 5}},
		ChangePartition{UUID{1}, 3, troubled}, CreatePartitions{UUID{1}, 3, []Partition{solo(4), troubled}},
		CreateTopic{Topic{Name: "u", ID: UUID{2}, Partitions: []Partition{troubled}}},
		SetConfig{Resource{BrokerResource, "1"}, "k", nil}, SetConfig{Resource{TopicResource, "t"}, "k", new("v")},
		AllocateProducerIDs{1, 2, 3000},
	}
	newest := make(map[uint64]uint64)
	for _, c := range samples {
		newest[c.kind()] = max(newest[c.kind()], c.version())
	}
	for kind, version := range newest {
		if decoders[kind].version != version {
			t.Errorf("kind %d is written up to version %d and read up to %d", kind, version, decoders[kind].version)
		}
	}
	if len(newest) != len(decoders) {
		t.Errorf("%d kinds tried of %d", len(newest), len(decoders))
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
	if per := got.AllocedBytesPerOp() / int64(len(w.b)); per > 24 {
		t.Errorf("%d bytes allocated per byte read", per)
	}
}
