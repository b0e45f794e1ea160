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
	Topic      string // fresh, so that offsets number the requests
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
	visible := make(chan error, 1)
	seen := NewHistogram()
	go func() { visible <- l.follow(ctx, &s, total, seen) }()
	conns, err := l.dial(ctx)
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
		Latency: NewHistogram(), Visible: seen}
	for range conns {
		a := <-answered
		if a.err != nil {
			return nil, a.err
		}
		r.Latency.Merge(a.latency.Latency)
	}
	r.Elapsed = time.Since(s.due(warm))
	if err := <-visible; err != nil {
		return nil, fmt.Errorf("consumer: %w", err)
	}
	return r, nil
}

// requests returns how many requests are due in d, a whole number for each partition.
func (l PacedLoad) requests(d time.Duration) int {
	return int(d.Seconds()*float64(l.Rate)) / l.Partitions * l.Partitions
}

func (l PacedLoad) dial(ctx context.Context) ([]net.Conn, error) {
	var conns []net.Conn
	for range l.Partitions {
		conn, err := net.Dial("tcp", l.Addr)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { conn.Close() })
		conns = append(conns, conn)
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

// follow fetches from all partitions until every request's record has been seen.
func (l PacedLoad) follow(ctx context.Context, s *schedule, total int, seen *hdrhistogram.Histogram) error {
	conn, err := net.Dial("tcp", l.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	next := make([]int64, l.Partitions)
	in := bufio.NewReaderSize(conn, 256<<10)
	var frame, reply []byte
	for left := total; left > 0; {
		frame = format.AppendRequest(frame[:0], l.fetchAll(next), 1)
		if _, err := conn.Write(frame); err != nil {
			return err
		}
		if reply, err = readReply(in, reply); err != nil {
			return err
		}
		now := time.Now()
		resp := kmsg.NewPtrFetchResponse()
		resp.Version = fetchVersion
		if err := resp.ReadFrom(reply[4:]); err != nil {
			return err
		}
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode != 0 {
					return fmt.Errorf("fetch: error %d", p.ErrorCode)
				}
				end, _ := nextOffset(p.RecordBatches, next[p.Partition])
				for ; next[p.Partition] < end; next[p.Partition]++ {
					left--
					if k := int(next[p.Partition])*l.Partitions + int(p.Partition); k >= s.warm {
						observe(seen, now.Sub(s.due(k)))
					}
				}
			}
		}
	}
	return nil
}

func (l PacedLoad) fetchAll(next []int64) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = fetchVersion, 500, 1, 8<<20, -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic = l.Topic
	for i, offset := range next {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch = int32(i), offset, 1<<20, -1
		t.Partitions = append(t.Partitions, p)
	}
	req.Topics = append(req.Topics, t)
	return req
}
