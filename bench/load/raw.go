package load

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is what a load came to.
type Result struct {
	Requests int64
	Records  int64
	Bytes    int64 // of record values with client libraries, of batches with raw frames
	Elapsed  time.Duration
	Latency  *hdrhistogram.Histogram // of acknowledgements, in microseconds
	Visible  *hdrhistogram.Histogram // from when an append was due to when a consumer had it; nil where nobody looked
	Behind   time.Duration           // from the last acknowledgement until every consumer at the end had everything
}

// NewHistogram returns a histogram of microseconds up to a minute, exact to a thousandth.
func NewHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, 60e6, 3) }

func observe(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(d.Microseconds(), 1), 60e6))
}

// Limits end a load: whichever comes first.
type Limits struct {
	Time  time.Duration
	Bytes int64
}

// ProduceLoad is a closed loop of Produce requests. The partitions are dealt out to the connections, which send to theirs in
// turn, or share them where there are fewer.
type ProduceLoad struct {
	Addr       string
	Leaders    []string // each partition's broker where there are several; nil: Addr leads all
	Topic      string
	Partitions int
	Conns      int
	InFlight   int // requests of one connection
	Acks       int16
	Batch      []byte
	Records    int  // in the batch
	Bare       bool // the peer is a bare loop
	Limits     Limits
}

// Run sends until the limits, whatever bytes they allow at least once to each partition, and returns when every request has been
// answered.
func (l ProduceLoad) Run(ctx context.Context) (*Result, error) {
	addrs, shares, err := l.deal()
	if err != nil {
		return nil, err
	}
	var sent atomic.Int64
	for _, own := range shares { // a connection that is slow to begin still has its first round
		sent.Add(int64(len(own) * len(l.Batch)))
	}
	return onConns(ctx, addrs, l.Limits.Time, func(i int, conn net.Conn, until time.Time) (*Result, error) {
		frame := newProduceFrame(l.Topic, l.Acks, l.Batch)
		own := shares[i]
		r := &Result{Latency: NewHistogram()}
		in := bufio.NewReaderSize(conn, 64<<10)
		due := make([]time.Time, l.InFlight)
		var reply []byte
		asked, answered := 0, 0
		for {
			within := asked < len(own) || sent.Add(int64(len(l.Batch))) <= l.Limits.Bytes
			more := ctx.Err() == nil && time.Now().Before(until) && within
			for answered < asked && (!more || asked-answered == l.InFlight) {
				var err error
				if reply, err = readReply(in, reply); err != nil {
					return nil, err
				}
				if !l.Bare {
					if err := produceError(l.Topic, reply); err != nil {
						return nil, err
					}
				}
				observe(r.Latency, time.Since(due[answered%l.InFlight]))
				answered++
			}
			if !more {
				r.Requests, r.Bytes, r.Records = int64(asked), int64(asked*len(l.Batch)), int64(asked*l.Records)
				return r, ctx.Err()
			}
			due[asked%l.InFlight] = time.Now()
			if _, err := conn.Write(frame.to(own[asked%len(own)])); err != nil {
				return nil, err
			}
			asked++
		}
	})
}

// deal returns for each connection whom it is to, and the partitions that are its own: those of its broker are dealt out to
// the broker's connections.
func (l ProduceLoad) deal() (addrs []string, shares [][]int32, err error) {
	brokers := byBroker(l.Addr, l.Leaders, l.Partitions)
	if l.Conns < len(brokers) {
		return nil, nil, fmt.Errorf("%d connections cannot reach %d brokers", l.Conns, len(brokers))
	}
	for i := range l.Conns {
		b := brokers[i%len(brokers)]
		nth, of := i/len(brokers), (l.Conns-1-i%len(brokers))/len(brokers)+1 // among the connections to this broker
		var own []int32
		for j := nth % len(b.partitions); j < len(b.partitions); j += of {
			own = append(own, b.partitions[j])
		}
		addrs, shares = append(addrs, b.addr), append(shares, own)
	}
	return addrs, shares, nil
}

// led is what one broker leads.
type led struct {
	addr       string
	partitions []int32
}

// byBroker groups a topic's partitions by who leads them: leaders, or where that is nil, addr.
func byBroker(addr string, leaders []string, partitions int) []led {
	var brokers []led
	for p := range partitions {
		if leaders != nil {
			addr = leaders[p]
		}
		i := slices.IndexFunc(brokers, func(b led) bool { return b.addr == addr })
		if i < 0 {
			i = len(brokers)
			brokers = append(brokers, led{addr: addr})
		}
		brokers[i].partitions = append(brokers[i].partitions, int32(p))
	}
	return brokers
}

// onConns connects, runs f for each connection at once, and adds up.
func onConns(ctx context.Context, addrs []string, limit time.Duration, f func(int, net.Conn, time.Time) (*Result, error)) (*Result, error) {
	n := len(addrs)
	conns := make([]net.Conn, n)
	for i := range conns {
		conn, err := net.Dial("tcp", addrs[i])
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		conns[i] = conn
	}
	stop := context.AfterFunc(ctx, func() {
		for _, conn := range conns {
			conn.Close()
		}
	})
	defer stop()
	results, errs := make([]*Result, n), make([]error, n)
	begin := time.Now()
	var wg sync.WaitGroup
	for i := range conns {
		wg.Go(func() { results[i], errs[i] = f(i, conns[i], begin.Add(limit)) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	total := &Result{Elapsed: time.Since(begin), Latency: NewHistogram()}
	for _, r := range results {
		total.Requests, total.Bytes, total.Records = total.Requests+r.Requests, total.Bytes+r.Bytes, total.Records+r.Records
		total.Latency.Merge(r.Latency)
	}
	return total, nil
}

// replyMax bounds what is read as one reply.
const replyMax = 64 << 20

// readReply reads the next reply into buf, which may grow, and returns all of it behind the length.
func readReply(in io.Reader, buf []byte) ([]byte, error) {
	if cap(buf) < 4 {
		buf = make([]byte, 4, 1024)
	}
	if _, err := io.ReadFull(in, buf[:4]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint32(buf[:4]))
	if n > replyMax {
		return nil, fmt.Errorf("a reply of %d bytes", n)
	}
	if n > cap(buf) {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	_, err := io.ReadFull(in, buf)
	return buf, err
}

// FetchLoad is a closed loop of Fetch requests, one in flight on each connection, over the partition's whole log again
// and again.
type FetchLoad struct {
	Addr     string
	Topic    string
	Conns    int
	BytesMax int32
	Once     bool // end at the end of the log instead of beginning again
	Bare     bool
	Limits   Limits
}

// Run reads until the limits.
func (l FetchLoad) Run(ctx context.Context) (*Result, error) {
	var read atomic.Int64
	return onConns(ctx, slices.Repeat([]string{l.Addr}, l.Conns), l.Limits.Time, func(_ int, conn net.Conn, until time.Time) (*Result, error) {
		frame := newFetchFrame(l.Topic, 0, l.BytesMax)
		r := &Result{Latency: NewHistogram()}
		var reply []byte
		offset := int64(0)
		for ctx.Err() == nil && time.Now().Before(until) && read.Load() < l.Limits.Bytes {
			begin := time.Now()
			if _, err := conn.Write(frame.at(offset)); err != nil {
				return nil, err
			}
			var err error
			if reply, err = readReply(conn, reply); err != nil {
				return nil, err
			}
			observe(r.Latency, time.Since(begin))
			next, n, end, err := l.parse(reply, offset)
			if err != nil {
				return nil, err
			}
			r.Requests++
			r.Records += next - offset
			r.Bytes += int64(n)
			read.Add(int64(n))
			offset = next
			if end && l.Once {
				break
			}
			if end {
				offset = 0
			}
		}
		return r, ctx.Err()
	})
}

// parse returns the offset to go on with, the bytes of the reply's records, and whether the log ends there.
func (l FetchLoad) parse(reply []byte, offset int64) (next int64, bytes int, end bool, err error) {
	if l.Bare {
		return offset, len(reply), false, nil
	}
	records, highWatermark, err := fetchReply(l.Topic, reply)
	if err != nil {
		return 0, 0, false, err
	}
	next, bytes = nextOffset(records, offset)
	if bytes == 0 && offset < highWatermark {
		return 0, 0, false, fmt.Errorf("nothing at offset %d below the high watermark %d", offset, highWatermark)
	}
	return next, bytes, next >= highWatermark, nil
}
