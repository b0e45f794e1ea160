package broker

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// However many clients hold replies that they do not read, and however much they ask for, memory stays bounded, and who
// comes last still gets records.
func TestUnreadFetchesAreBounded(t *testing.T) {
	n := start(t, "message.max.bytes", "1000000")
	n.create("t", 1)
	for range 20 {
		n.produce("t", strings.Repeat("x", 50<<10)) // which is the key as well
	}
	n.broker.fetchMemory.total = 1 << 20
	var unread []func() []byte
	for range 50 {
		unread = append(unread, n.held(n.greedy(12, "t")))
	}
	used := n.broker.fetchMemory.used.Load()
	// The first ones share what there is; each of the others has one batch, which is larger than what is granted.
	if most := int64(1<<20 + 50*110<<10); used > most {
		t.Errorf("%d bytes are held, at most %d", used, most)
	}
	if v := values(t, n.fetch(n.greedy(12, "t")).Topics[0].Partitions[0].RecordBatches); len(v) != 50<<10 {
		t.Errorf("the last one read %d bytes", len(v))
	}
	waits := n.greedy(12, "t")
	waits.MinBytes, waits.MaxWaitMillis = math.MaxInt32, math.MaxInt32
	if p := n.fetch(waits).Topics[0].Partitions[0]; len(p.RecordBatches) == 0 {
		t.Error("nothing, after a wait for more than there is memory")
	}
	for _, read := range unread {
		read()
	}
}

// greedy asks for as much as can be asked for.
func (n *node) greedy(version int16, topic string) *kmsg.FetchRequest {
	req := n.fetchRequest(version, topic, 0, 0)
	req.MaxBytes, req.Topics[0].Partitions[0].PartitionMaxBytes = math.MaxInt32, math.MaxInt32
	return req
}

// held runs a fetch whose reply nobody reads until the returned function is called.
func (n *node) held(req *kmsg.FetchRequest) func() []byte {
	n.t.Helper()
	body := req.AppendTo(nil)
	f := new(wire.FetchRequest)
	must(n.t, f, f.Decode(req.Version, body))
	h := wire.RequestHeader{Key: wire.KeyFetch, Version: req.Version, ClientID: &n.client}
	finish, err := n.broker.Start(n.t.Context(), &Request{Header: h, Body: f, Conn: n.conn})
	resp := must(n.t, finish, err)(context.Background())
	return func() []byte {
		b, err := resp.AppendTo(nil)
		resp.(interface{ Release() }).Release()
		return must(n.t, b, err)
	}
}
