package broker

import (
	"testing"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// What is sent behind a batch that was refused for the time being is refused like it, until that one has come again.
func TestBehindARefusedBatch(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	pid := n.initProducerID()
	send := func(name string, batch []byte, want wire.Error) {
		t.Helper()
		wantCode(t, name, n.produceAs(9, "t", batch).ErrorCode, want)
	}
	damaged := idempotent(pid, 0, 1, "b")
	damaged[len(damaged)-1] ^= 1
	send("first", idempotent(pid, 0, 0, "a"), wire.None)
	send("damaged on its way", damaged, wire.CorruptMessage)
	send("the one behind it", idempotent(pid, 0, 2, "c"), wire.CorruptMessage)
	send("another producer's gap", idempotent(pid+1, 0, 0, "x"), wire.None)
	send("another producer's gap", idempotent(pid+1, 0, 2, "x"), wire.OutOfOrderSequenceNumber)

	other := *n.conn
	n.conn = &Conn{ID: "2", Listener: other.Listener, RemoteAddr: other.RemoteAddr}
	send("a gap of another connection", idempotent(pid, 0, 2, "c"), wire.OutOfOrderSequenceNumber)
	n.conn = &other

	send("again", idempotent(pid, 0, 1, "b"), wire.None)
	send("again, behind it", idempotent(pid, 0, 2, "c"), wire.None)
	send("a gap after all", idempotent(pid, 0, 7, "x"), wire.OutOfOrderSequenceNumber)
	if got := n.read("t", 0); got != "a x b c" {
		t.Errorf("read %q", got)
	}

	damaged = idempotent(pid, 0, 3, "d")
	damaged[len(damaged)-1] ^= 1
	send("damaged once more", damaged, wire.CorruptMessage)
	for range followersMax {
		send("under way", idempotent(pid, 0, 4, "e"), wire.CorruptMessage)
	}
	send("it never comes again", idempotent(pid, 0, 4, "e"), wire.OutOfOrderSequenceNumber)
}

func TestRefusals(t *testing.T) {
	var list refusals
	topic := cluster.UUID{1}
	first, second := idempotent(7, 0, 10, "a"), idempotent(7, 0, 11, "b")
	for _, code := range []wire.Error{wire.NotLeaderOrFollower, wire.NotEnoughReplicas, wire.KafkaStorageError} {
		if got := list.refused(topic, 3, first, code); got != code {
			t.Errorf("%s became %s", code.Name(), got.Name())
		}
		if got := list.refused(topic, 3, second, wire.OutOfOrderSequenceNumber); got != code {
			t.Errorf("behind %s: %s", code.Name(), got.Name())
		}
	}
	for name, got := range map[string]wire.Error{
		"another partition": list.refused(topic, 4, second, wire.OutOfOrderSequenceNumber),
		"another topic":     list.refused(cluster.UUID{2}, 3, second, wire.OutOfOrderSequenceNumber),
		"another epoch":     list.refused(topic, 3, idempotent(7, 1, 11, "b"), wire.OutOfOrderSequenceNumber),
	} {
		if got != wire.OutOfOrderSequenceNumber {
			t.Errorf("%s: %s", name, got.Name())
		}
	}
	if got := list.refused(topic, 3, first, wire.MessageTooLarge); got != wire.MessageTooLarge || len(list) != 1 {
		t.Errorf("what is final is remembered: %s, %d", got.Name(), len(list))
	}
	list.refused(topic, 3, batch("not idempotent"), wire.NotLeaderOrFollower)
	list.appended(topic, 3, first)
	if len(list) != 0 {
		t.Errorf("%d refusals are left", len(list))
	}
	for i := range int32(2 * refusalsMax) {
		list.refused(topic, i, first, wire.NotLeaderOrFollower)
	}
	if len(list) != refusalsMax || list[0].partition != refusalsMax {
		t.Errorf("%d refusals, the oldest of partition %d", len(list), list[0].partition)
	}
}
