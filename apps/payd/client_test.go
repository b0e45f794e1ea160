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

// slowLog holds fetches back until requests of an API have been sent so many times, or the test ends.
type slowLog struct {
	api   uint16
	after int32
	asked atomic.Int32
	once  sync.Once
	free  chan struct{}
}

func newSlowLog(api uint16, after int32) *slowLog {
	return &slowLog{api: api, after: after, free: make(chan struct{})}
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

const fetchAPI, listOffsetsAPI, metadataAPI = 1, 2, 3

// Write sees a request each time: the client writes none in pieces.
func (c *slowConn) Write(b []byte) (int, error) {
	api := binary.BigEndian.Uint16(b[4:])
	if api == fetchAPI {
		<-c.log.free
	}
	n, err := c.Conn.Write(b)
	if api == c.log.api && c.log.asked.Add(1) >= c.log.after {
		c.log.release()
	}
	return n, err
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
	log := newSlowLog(listOffsetsAPI, 3) // start and end, and once more
	defer log.release()
	config.Opts = []kgo.Opt{kgo.Dialer(log.dial)}
	got := 0
	if err := readAll(t.Context(), config, topicSources, fromStart(1), func(*kgo.Record) { got++ }); err != nil || got != records {
		t.Errorf("read %d of %d records, %v", got, records, err)
	}
}

// A topic that was just made may not be known to the broker that is asked: it is asked again.
func TestATopicIsWaitedFor(t *testing.T) {
	t.Parallel()
	config, client := startClient(t)
	log := newSlowLog(metadataAPI, 1)
	defer log.release()
	made := make(chan error, 1)
	go func() {
		<-log.free
		made <- createTopics(t.Context(), kadm.NewClient(client))
	}()
	config.Opts = []kgo.Opt{kgo.Dialer(log.dial)}
	if err := readAll(t.Context(), config, topicSources, fromStart(1), func(*kgo.Record) {}); err != nil {
		t.Error(err)
	}
	if err := <-made; err != nil {
		t.Error(err)
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
