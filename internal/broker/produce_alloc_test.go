//go:build !race

package broker

import (
	"strings"
	"testing"

	"github.com/logbahn/logbahn/internal/wire"
)

func TestSteadyProduceAllocatesAlmostNothing(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	payload := n.produceRequest(9, "t", 0, batch(strings.Repeat("x", 100))).AppendTo(nil)
	body := make([]byte, len(payload))
	req := new(wire.ProduceRequest)
	var reply []byte
	allocations := testing.AllocsPerRun(200, func() {
		copy(body, payload)
		if err := req.Decode(9, body); err != nil {
			t.Fatal(err)
		}
		finish, err := n.broker.Start(t.Context(), &Request{Header: wire.RequestHeader{Key: 0, Version: 9}, Body: req, Conn: n.conn})
		if err != nil {
			t.Fatal(err)
		}
		if reply, err = finish(t.Context()).AppendTo(reply[:0]); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("%.1f allocations per request", allocations)
	if allocations > 2 { // what the flusher and the memory file system need
		t.Errorf("%.1f allocations per request", allocations)
	}
}
