package payd

import (
	"context"
	"encoding/binary"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// slowLog holds fetches back until the log has been asked for offsets so many times, or the test ends.
type slowLog struct {
	after int32
	asked atomic.Int32
	once  sync.Once
	free  chan struct{}
}

func (l *slowLog) release() { l.once.Do(func() { close(l.free) }) }

func (l *slowLog) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &slowConn{conn, l}, nil
}

type slowConn struct {
	net.Conn
	log *slowLog
}

// Write sees a request each time: the client writes none in pieces.
func (c *slowConn) Write(b []byte) (int, error) {
	const fetch, listOffsets = 1, 2
	switch binary.BigEndian.Uint16(b[4:]) {
	case listOffsets:
		if c.log.asked.Add(1) >= c.log.after {
			c.log.release()
		}
	case fetch:
		<-c.log.free
	}
	return c.Conn.Write(b)
}

// A log that has answered no fetch for a while has not ended: what is behind would be missing from a stage's state.
func TestSilenceIsNoEnd(t *testing.T) {
	t.Parallel()
	config := &Config{Brokers: startLog(t)}
	if err := config.normalize(); err != nil {
		t.Fatal(err)
	}
	client, err := config.newClient("test", kgo.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := createTopics(t.Context(), kadm.NewClient(client)); err != nil {
		t.Fatal(err)
	}
	const records = 10
	for range records {
		if err := write(t.Context(), client, []*kgo.Record{{Topic: topicSources, Key: []byte("k"), Value: []byte("x")}}); err != nil {
			t.Fatal(err)
		}
	}
	log := &slowLog{after: 3, free: make(chan struct{})} // start and end, and once more
	defer log.release()
	config.Opts = []kgo.Opt{kgo.Dialer(log.dial)}
	got := 0
	if err := readAll(t.Context(), config, topicSources, fromStart(1), func(*kgo.Record) { got++ }); err != nil || got != records {
		t.Errorf("read %d of %d records, %v", got, records, err)
	}
}

func TestUnread(t *testing.T) {
	const topic = "t"
	at := func(offsets ...int64) kadm.ListedOffsets {
		of := map[int32]kadm.ListedOffset{}
		for p, offset := range offsets {
			of[int32(p)] = kadm.ListedOffset{Topic: topic, Partition: int32(p), Offset: offset}
		}
		return kadm.ListedOffsets{topic: of}
	}
	wrong := func(p int32, offsets ...int64) kadm.ListedOffsets {
		listed := at(offsets...)
		listed[topic][p] = kadm.ListedOffset{Topic: topic, Partition: p, Offset: -1, Err: kerr.NotLeaderForPartition}
		return listed
	}
	from := map[int32]int64{0: 0, 1: 5, 2: 0}
	for name, c := range map[string]struct {
		starts, ends kadm.ListedOffsets
		want         map[int32]int64
	}{
		"some":                       {at(0, 0, 7), at(3, 5, 7), map[int32]int64{0: 3}},
		"a partition too few":        {at(0, 0), at(3, 6), map[int32]int64{0: 3, 1: 6}},
		"no leader of one":           {at(0, 0, 0), wrong(1, 3, 0, 3), nil},
		"no start of one":            {wrong(2, 0, 0), at(3, 5, 3), nil},
		"no such topic":              {at(0, 0, 0), wrong(-1), nil},
		"one that nobody asks about": {wrong(3, 0, 0, 0), at(0, 5, 0), map[int32]int64{}},
	} {
		got, err := unreadOf(topic, from, c.starts, c.ends)
		if (err != nil) != (c.want == nil) || len(got) != len(c.want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		for p, end := range c.want {
			if got[p] != end {
				t.Errorf("%s: partition %d ends at %d, want %d", name, p, got[p], end)
			}
		}
	}
}
