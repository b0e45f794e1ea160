package peer

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logbahn/logbahn/internal/wire"
)

// records answers each Fetch with what its first partition's offset says: so many bytes.
func records(t *testing.T, after time.Duration) func(net.Conn) {
	return func(c net.Conn) {
		for {
			a, err := readRequest(c)
			if err != nil {
				return
			}
			var req wire.FetchRequest
			if err := req.Decode(a.header.Version, a.body); err != nil {
				t.Error(err)
				return
			}
			<-time.After(after) // on the bubble's clock
			p := wire.NewFetchPartitionReply(req.Topics[0].Partitions[0].Partition)
			p.Records = wire.RecordBytes(bytes.Repeat([]byte("r"), int(req.Topics[0].Partitions[0].FetchOffset)))
			resp := &wire.FetchResponse{Version: a.header.Version, Topics: []wire.FetchTopicReply{{Partitions: []wire.FetchPartitionReply{p}}}}
			frame, err := wire.AppendReply(nil, a.header, resp)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := c.Write(frame); err != nil {
				return
			}
		}
	}
}

func fetchOf(partition int32, size int64) *wire.FetchRequest {
	return &wire.FetchRequest{ReplicaID: 1, ReplicaEpoch: 7, MaxWaitMillis: 500, Topics: []wire.FetchTopic{
		{TopicID: [16]byte{1}, Partitions: []wire.FetchPartition{wire.NewFetchPartition(partition, size)}},
	}}
}

func TestFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, network := newPeers(t, records(t, 0))
		for _, size := range []int64{0, 10, 1 << 20, 3, frameBytesKept + 1, 100} {
			resp, release, err := p.Fetch(context.Background(), 2, fetchOf(5, size))
			if err != nil {
				t.Fatal(err)
			}
			got := resp.Topics[0].Partitions[0]
			if got.Partition != 5 || int64(len(got.RecordData())) != size {
				t.Errorf("partition %d with %d bytes, want %d", got.Partition, len(got.RecordData()), size)
			}
			release()
		}
		if network.dials() != 1 {
			t.Errorf("%d connections", network.dials())
		}
		p.Close()
	})
}

// A follower sends its next fetch while the one before waits for records.
func TestFetchesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newPeers(t, records(t, 400*time.Millisecond))
		req := fetchOf(1, 10)
		first := p.StartFetch(2, req)
		req.Topics[0].Partitions[0].Partition = 2 // which the first one does not see
		second := p.StartFetch(2, req)
		var held []func()
		for i, f := range []*Fetching{first, second} {
			resp, release, err := f.Wait(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if got := resp.Topics[0].Partitions[0].Partition; got != int32(i+1) {
				t.Errorf("reply %d is of partition %d", i, got)
			}
			held = append(held, release)
		}
		for _, release := range held {
			release()
		}
		p.Close()
	})
}

func TestFetchMayTakeItsWaitInAddition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newPeers(t, records(t, 70*time.Second))
		req := fetchOf(1, 10)
		req.MaxWaitMillis = 60_000
		if _, release, err := p.Fetch(context.Background(), 2, req); err != nil {
			t.Error(err)
		} else {
			release()
		}
		req.MaxWaitMillis = 0
		if _, _, err := p.Fetch(context.Background(), 2, req); !errors.Is(err, errSilent) {
			t.Error(err)
		}
		p.Close()
		<-time.After(70 * time.Second) // the node sees it when it has slept
	})
}

func TestFetchOfGarbage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newPeers(t, func(c net.Conn) {
			a, err := readRequest(c)
			if err != nil {
				return
			}
			_, _ = c.Write(append([]byte{0, 0, 0, 8, 0, 0, 0, byte(a.header.CorrelationID), 0}, 1, 2, 3))
			_, _ = readRequest(c)
		})
		if _, _, err := p.Fetch(context.Background(), 2, fetchOf(1, 1)); !errors.Is(err, ErrNoAnswer) || !errors.Is(err, wire.ErrMalformed) {
			t.Error(err)
		}
		p.Close()
	})
}
