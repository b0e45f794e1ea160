//go:build linux

package load

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"runtime"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sys/unix"
)

// PacedLoad is an open loop: request k is due at the beginning plus k/Rate and goes to partition k mod Partitions, each of
// which has a connection of its own. A consumer follows all of them.
type PacedLoad struct {
	Addr       string
	Leaders    []string // each partition's broker where there are several; nil: Addr leads all
	Topic      string   // fresh, so that offsets number the requests
	Partitions int
	Rate       int           // requests a second, of one record each
	Warm       time.Duration // not counted
	Time       time.Duration
	Batch      []byte
}

// Run sends all requests and returns when they have been answered and seen by the consumer.
func (l PacedLoad) Run(ctx context.Context) (*Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	warm, total := l.requests(l.Warm), l.requests(l.Warm+l.Time)
	s := schedule{begin: time.Now().Add(100 * time.Millisecond), interval: time.Second / time.Duration(l.Rate), warm: warm}
	brokers := byBroker(l.Addr, l.Leaders, l.Partitions)
	visible := make(chan sight, len(brokers))
	for _, b := range brokers {
		go func() { visible <- l.follow(ctx, &s, b, total) }()
	}
	conns, err := l.dial(ctx, brokers)
	if err != nil {
		return nil, err
	}
	answered := make(chan answers, len(conns))
	for i, conn := range conns {
		defer conn.Close()
		go func() { answered <- l.readReplies(conn, &s, i, total) }()
	}
	if err := l.send(ctx, conns, &s, total); err != nil {
		return nil, err
	}
	r := &Result{Requests: int64(total - warm), Records: int64(total - warm), Bytes: int64((total - warm) * len(l.Batch)),
		Latency: NewHistogram(), Visible: NewHistogram()}
	for range conns {
		a := <-answered
		if a.err != nil {
			return nil, a.err
		}
		r.Latency.Merge(a.latency.Latency)
	}
	r.Elapsed = time.Since(s.due(warm))
	for range brokers {
		v := <-visible
		if v.err != nil {
			return nil, fmt.Errorf("consumer: %w", v.err)
		}
		r.Visible.Merge(v.seen)
	}
	return r, nil
}

// requests returns how many requests are due in d, a whole number for each partition.
func (l PacedLoad) requests(d time.Duration) int {
	return int(d.Seconds()*float64(l.Rate)) / l.Partitions * l.Partitions
}

// dial connects each partition with its broker.
func (l PacedLoad) dial(ctx context.Context, brokers []led) ([]net.Conn, error) {
	conns := make([]net.Conn, l.Partitions)
	for _, b := range brokers {
		for _, p := range b.partitions {
			conn, err := net.Dial("tcp", b.addr)
			if err != nil {
				return nil, err
			}
			context.AfterFunc(ctx, func() { conn.Close() })
			conns[p] = conn
		}
	}
	return conns, nil
}

// send sends each request when it is due, or at once when it is late.
func (l PacedLoad) send(ctx context.Context, conns []net.Conn, s *schedule, total int) error {
	frames := make([][]byte, len(conns))
	for i := range frames {
		frames[i] = ProduceFrame(l.Topic, int32(i), -1, l.Batch)
	}
	return paced(ctx, s, total, func(k int) error {
		_, err := conns[k%len(conns)].Write(frames[k%len(conns)])
		return err
	})
}

// paced calls f for each request when it is due. Its thread is one that the kernel wakes to the microsecond: Go's timers
// may be a millisecond late.
func paced(ctx context.Context, s *schedule, total int, f func(k int) error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	for k := range total {
		if ahead := time.Until(s.due(k)); ahead > 0 {
			wait := unix.NsecToTimespec(int64(ahead))
			_ = unix.Nanosleep(&wait, nil)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f(k); err != nil {
			return err
		}
	}
	return nil
}

type answers struct {
	latency Result
	err     error
}

// readReplies reads the replies of connection i, which are those to requests i, i+n, i+2n and so on.
func (l PacedLoad) readReplies(conn net.Conn, s *schedule, i, total int) answers {
	a := answers{latency: Result{Latency: NewHistogram()}}
	in := bufio.NewReader(conn)
	var reply []byte
	for k := i; k < total; k += l.Partitions {
		var err error
		if reply, err = readReply(in, reply); err == nil {
			err = produceError(l.Topic, reply)
		}
		if err != nil {
			return answers{err: err}
		}
		if k >= s.warm {
			observe(a.latency.Latency, time.Since(s.due(k)))
		}
	}
	return a
}

// sight is what the consumer of one broker's partitions has seen.
type sight struct {
	seen *hdrhistogram.Histogram
	err  error
}

// follow fetches from all partitions of a broker until every request's record has been seen.
func (l PacedLoad) follow(ctx context.Context, s *schedule, b led, total int) sight {
	conn, err := net.Dial("tcp", b.addr)
	if err != nil {
		return sight{err: err}
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	v := sight{seen: NewHistogram()}
	next := make([]int64, l.Partitions)
	in := bufio.NewReaderSize(conn, 256<<10)
	var frame, reply []byte
	for left := total / l.Partitions * len(b.partitions); left > 0; {
		frame = format.AppendRequest(frame[:0], l.fetchAll(b.partitions, next), 1)
		if _, err := conn.Write(frame); err != nil {
			return sight{err: err}
		}
		if reply, err = readReply(in, reply); err != nil {
			return sight{err: err}
		}
		n, err := l.look(s, reply[4:], next, v.seen)
		if err != nil {
			return sight{err: err}
		}
		left -= n
	}
	return v
}

// look counts the records of a reply, which has come just now, and moves next past them.
func (l PacedLoad) look(s *schedule, reply []byte, next []int64, seen *hdrhistogram.Histogram) (records int, err error) {
	now := time.Now()
	resp := kmsg.NewPtrFetchResponse()
	resp.Version = fetchVersion
	if err := resp.ReadFrom(reply); err != nil {
		return 0, err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 {
				return 0, fmt.Errorf("fetch: error %d", p.ErrorCode)
			}
			end, _ := nextOffset(p.RecordBatches, next[p.Partition])
			for ; next[p.Partition] < end; next[p.Partition]++ {
				records++
				if k := int(next[p.Partition])*l.Partitions + int(p.Partition); k >= s.warm {
					observe(seen, now.Sub(s.due(k)))
				}
			}
		}
	}
	return records, nil
}

func (l PacedLoad) fetchAll(partitions []int32, next []int64) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = fetchVersion, 500, 1, 8<<20, -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic = l.Topic
	for _, i := range partitions {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch = i, next[i], 1<<20, -1
		t.Partitions = append(t.Partitions, p)
	}
	req.Topics = append(req.Topics, t)
	return req
}
