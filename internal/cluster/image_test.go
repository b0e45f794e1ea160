package cluster

import (
	"errors"
	"iter"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestAgainstModel applies random changes to an image and to plain maps, checks that earlier images stay as they were,
// that the delta is the difference, and that encoding, replay and snapshot all lead to the same image.
func TestAgainstModel(t *testing.T) {
	for _, seed := range seeds(t, 40) {
		r := rand.New(rand.NewPCG(seed, 0))
		img, replayed, want := NewImage("c"), NewImage("c"), newModel()
		old, oldSnapshot := img, encodedSnapshot(img)
		tailFrom := img
		var tail [][]byte
		for offset := int64(0); offset < 120; offset++ {
			changes := drawChanges(t, r, img, offset, want)
			next, d, err := img.Apply(changes, offset, 1)
			if err != nil {
				t.Fatalf("seed %d offset %d: %v", seed, offset, err)
			}
			checkDelta(t, img, next, d)
			img = next
			want.check(t, img)
			encoded := AppendChanges(nil, changes)
			replayed = replay(t, replayed, encoded, offset)
			if r.IntN(30) == 0 {
				tailFrom, tail = restore(t, img), nil
			} else {
				tail = append(tail, encoded)
			}
		}
		if !slices.Equal(encodedSnapshot(old), oldSnapshot) {
			t.Fatalf("seed %d: the first image has changed", seed)
		}
		for _, encoded := range tail {
			tailFrom = replay(t, tailFrom, encoded, tailFrom.Offset()+1)
		}
		for name, other := range map[string]*Image{"replay": replayed, "snapshot and tail": tailFrom} {
			want.check(t, other)
			if !slices.Equal(encodedSnapshot(other), encodedSnapshot(img)) || !Diff(img, other).empty(t) {
				t.Fatalf("seed %d: the image by %s differs", seed, name)
			}
		}
	}
}

// empty is Empty for images that share nothing: topics that are equal count as unchanged.
func (d Delta) empty(t *testing.T) bool {
	t.Helper()
	d.Changed = slices.DeleteFunc(d.Changed, func(c TopicChange) bool { return reflect.DeepEqual(c.Old, c.New) })
	return d.Empty()
}

func drawChanges(t *testing.T, r *rand.Rand, img *Image, offset int64, want *model) []Change {
	t.Helper()
	var changes []Change
	for range 1 + r.IntN(6) {
		c := randomChange(r, img)
		if c == nil {
			continue
		}
		next, _, err := img.Apply([]Change{c}, offset, 1)
		if err != nil {
			t.Fatalf("offset %d: %v", offset, err)
		}
		img = next
		img.offset = offset - 1
		changes = append(changes, c)
		want.apply(c, offset)
	}
	return changes
}

func replay(t *testing.T, img *Image, encoded []byte, offset int64) *Image {
	t.Helper()
	changes, err := ParseChanges(encoded)
	if err != nil {
		t.Fatal(err)
	}
	next, _, err := img.Apply(changes, offset, 1)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func encodedSnapshot(img *Image) (all []byte) {
	for list := range img.Snapshot() {
		all = AppendChanges(all, list)
	}
	return all
}

func restore(t *testing.T, img *Image) *Image {
	t.Helper()
	lists := func(yield func([]Change, error) bool) {
		for list := range img.Snapshot() {
			if !yield(ParseChanges(AppendChanges(nil, list))) {
				return
			}
		}
	}
	restored, err := Restore(img.ClusterID(), img.Offset(), img.Epoch(), iter.Seq2[[]Change, error](lists))
	if err != nil {
		t.Fatal(err)
	}
	return restored
}

// checkDelta compares a delta with what looking at every topic says.
func checkDelta(t *testing.T, old, next *Image, d Delta) {
	t.Helper()
	created, changed, deleted := 0, 0, 0
	for topic := range next.Topics() {
		before, ok := old.TopicByID(topic.ID)
		switch {
		case !ok:
			created++
			if !slices.Contains(d.Created, topic) {
				t.Fatalf("%q is not among the created", topic.Name)
			}
		case before != topic:
			changed++
			if !slices.Contains(d.Changed, TopicChange{before, topic}) {
				t.Fatalf("%q is not among the changed", topic.Name)
			}
		}
	}
	for topic := range old.Topics() {
		if _, ok := next.TopicByID(topic.ID); !ok {
			deleted++
			if !slices.Contains(d.Deleted, topic) {
				t.Fatalf("%q is not among the deleted", topic.Name)
			}
		}
	}
	if created != len(d.Created) || changed != len(d.Changed) || deleted != len(d.Deleted) {
		t.Fatalf("delta has %d, %d, %d topics created, changed, deleted; want %d, %d, %d",
			len(d.Created), len(d.Changed), len(d.Deleted), created, changed, deleted)
	}
	for _, b := range next.Brokers() {
		before, ok := old.Broker(b.ID)
		listed := slices.ContainsFunc(d.Brokers, func(c BrokerChange) bool { return c.New != nil && c.New.ID == b.ID })
		if listed != (!ok || !before.equal(b)) {
			t.Fatalf("broker %d listed as changed: %v", b.ID, listed)
		}
	}
}

func solo(leader NodeID) Partition {
	return Partition{Replicas: []NodeID{leader}, ISR: []NodeID{leader}, Leader: leader}
}

func mustApply(t *testing.T, img *Image, changes ...Change) *Image {
	t.Helper()
	next, _, err := img.Apply(changes, img.Offset()+1, 1)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func TestRegistrationRaisesEpochs(t *testing.T) {
	img := mustApply(t, NewImage("c"),
		CreateTopic{Topic{Name: "a", ID: UUID{1}, Partitions: []Partition{solo(1), solo(2)}}},
		CreateTopic{Topic{Name: "b", ID: UUID{2}, Partitions: []Partition{solo(2)}}})
	next, d, err := img.Apply([]Change{RegisterBroker{Broker: Broker{ID: 1, Epoch: 7}}}, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	if p, _ := next.Partition("a", 0); p.LeaderEpoch != 1 || p.PartitionEpoch != 1 {
		t.Errorf("what it leads: %+v", p)
	}
	if p, _ := next.Partition("a", 1); p.LeaderEpoch != 0 || p.PartitionEpoch != 0 {
		t.Errorf("what it does not lead: %+v", p)
	}
	if len(d.Changed) != 1 || d.Changed[0].New.Name != "a" {
		t.Errorf("delta: %+v", d)
	}
	if next.NextBrokerEpoch() != 8 {
		t.Errorf("next broker epoch %d", next.NextBrokerEpoch())
	}
}

func TestTopicMadeAgain(t *testing.T) {
	config := map[string]string{"retention.ms": "1"}
	img := mustApply(t, NewImage("c"),
		CreateTopic{Topic{Name: "a", ID: UUID{1}, Partitions: []Partition{solo(1)}, Config: config}})
	_, d, err := img.Apply([]Change{
		DeleteTopic{UUID{1}},
		CreateTopic{Topic{Name: "a", ID: UUID{2}, Partitions: []Partition{solo(1)}, Config: config}},
	}, 1, 1)
	if err != nil || len(d.Deleted) != 1 || len(d.Created) != 1 || len(d.Changed) != 0 || len(d.Configs) != 1 {
		t.Fatalf("%+v, %v", d, err)
	}
}

func TestInvalidChanges(t *testing.T) {
	img := mustApply(t, NewImage("c"),
		RegisterBroker{Broker: Broker{ID: 1, Epoch: 5}},
		CreateTopic{Topic{Name: "a", ID: UUID{1}, Partitions: []Partition{solo(1)}}})
	before := encodedSnapshot(img)
	bad := func(f func(*Partition)) Partition {
		p := Partition{Replicas: []NodeID{1, 2}, ISR: []NodeID{1, 2}, Leader: 1, LeaderEpoch: 1, PartitionEpoch: 1}
		f(&p)
		return p
	}
	for name, c := range map[string]Change{
		"register: old epoch":       RegisterBroker{Broker: Broker{ID: 2, Epoch: 5}},
		"register: negative id":     RegisterBroker{Broker: Broker{ID: -1, Epoch: 6}},
		"register: last epoch":      RegisterBroker{Broker: Broker{ID: 2, Epoch: math.MaxInt64}},
		"state: other epoch":        SetBrokerState{ID: 1, Epoch: 4},
		"state: unknown":            SetBrokerState{ID: 2, Epoch: 5},
		"unregister: unknown":       UnregisterBroker{ID: 2, Epoch: 5},
		"register: unknown loss":    RegisterBroker{Broker{ID: 2, Epoch: 6}, 3},
		"clear ELR: unknown":        ClearELR{UUID{9}},
		"epochs go back":            ReserveBrokerEpochs{5},
		"producer ids go back":      AllocateProducerIDs{Next: -1},
		"create: name taken":        CreateTopic{Topic{Name: "a", ID: UUID{2}, Partitions: []Partition{solo(1)}}},
		"create: id taken":          CreateTopic{Topic{Name: "b", ID: UUID{1}, Partitions: []Partition{solo(1)}}},
		"create: zero id":           CreateTopic{Topic{Name: "b", Partitions: []Partition{solo(1)}}},
		"create: metadata's id":     CreateTopic{Topic{Name: "b", ID: metadataUUID, Partitions: []Partition{solo(1)}}},
		"create: no partitions":     CreateTopic{Topic{Name: "b", ID: UUID{2}}},
		"create: no name":           CreateTopic{Topic{ID: UUID{2}, Partitions: []Partition{solo(1)}}},
		"delete: unknown":           DeleteTopic{UUID{9}},
		"partitions: unknown":       CreatePartitions{UUID{9}, 1, []Partition{solo(1)}},
		"partitions: gap":           CreatePartitions{UUID{1}, 2, []Partition{solo(1)}},
		"partitions: negative":      CreatePartitions{UUID{1}, -1, []Partition{solo(1)}},
		"change: unknown":           ChangePartition{UUID{9}, 0, bad(func(*Partition) {})},
		"change: out of range":      ChangePartition{UUID{1}, 1, bad(func(*Partition) {})},
		"change: partition epoch":   ChangePartition{UUID{1}, 0, bad(func(p *Partition) { p.PartitionEpoch = 2 })},
		"change: leader epoch":      ChangePartition{UUID{1}, 0, bad(func(p *Partition) { p.Leader, p.LeaderEpoch = 2, 0 })},
		"change: leader not in ISR": ChangePartition{UUID{1}, 0, bad(func(p *Partition) { p.Leader = 3 })},
		"change: ISR elsewhere":     ChangePartition{UUID{1}, 0, bad(func(p *Partition) { p.ISR = []NodeID{1, 3} })},
		"change: ISR empty":         ChangePartition{UUID{1}, 0, bad(func(p *Partition) { p.ISR = nil })},
		"change: ELR twice":         ChangePartition{UUID{1}, 0, bad(func(p *Partition) { p.ELR = []NodeID{2, 2} })},
		"change: replica twice":     ChangePartition{UUID{1}, 0, bad(func(p *Partition) { p.Replicas = []NodeID{1, 2, 2} })},
		"config: unknown topic":     SetConfig{Resource{TopicResource, "x"}, "k", nil},
		"config: unknown type":      SetConfig{Resource{9, "x"}, "k", nil},
		"config: no key":            SetConfig{Resource{BrokerDefaultResource, ""}, "", nil},
	} {
		good := CreateTopic{Topic{Name: "good", ID: UUID{7}, Partitions: []Partition{solo(1)}}}
		if _, _, err := img.Apply([]Change{good, c}, 1, 1); !errors.Is(err, ErrInvalidChange) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := img.Apply(nil, img.Offset(), 1); !errors.Is(err, ErrInvalidChange) {
		t.Errorf("an offset twice: %v", err)
	}
	if !slices.Equal(encodedSnapshot(img), before) {
		t.Error("a refused change has changed the image")
	}
}

func TestUUID(t *testing.T) {
	id := UUID{0xfb, 0xff, 3, 15: 9}
	got, err := ParseUUID(id.String())
	if err != nil || got != id || strings.ContainsAny(id.String(), "+/=") {
		t.Errorf("%s: %v, %v", id, got, err)
	}
	for _, s := range []string{"", "AAAA", "!!!!!!!!!!!!!!!!!!!!!!", strings.Repeat("A", 23)} {
		if _, err := ParseUUID(s); err == nil {
			t.Errorf("%q was read", s)
		}
	}
}

func TestTopicsFrom(t *testing.T) {
	img := NewImage("c")
	for i, name := range []string{"b", "d", "f"} {
		img = mustApply(t, img, CreateTopic{Topic{Name: name, ID: UUID{byte(i + 1)}, Partitions: []Partition{solo(1)}}})
	}
	for from, want := range map[string]string{"": "bdf", "b": "bdf", "c": "df", "f": "f", "g": ""} {
		got := ""
		for topic := range img.TopicsFrom(from) {
			got += topic.Name
		}
		if got != want {
			t.Errorf("from %q: %q, want %q", from, got, want)
		}
	}
}
