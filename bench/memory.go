//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/logbahn/logbahn/bench/load"
	"github.com/logbahn/logbahn/bench/system"
)

// idleTime is how long a system idles before its memory is read.
const idleTime = time.Second

func startUp(ctx context.Context, r *round) error {
	if err := pause(ctx, idleTime); err != nil {
		return err
	}
	rss, err := r.ResidentBytes()
	if err != nil {
		return err
	}
	r.record("start", map[string]float64{"start_ms": float64(r.Started.Microseconds()) / 1e3, "rss_mb": float64(rss) / 1e6})
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// silence is after how long Logbahn takes a connection for idle and gives back what it held for it.
const silence = 21 * time.Second

// idleConnections opens connections that each ask once and are silent then.
func idleConnections(n int) func(context.Context, *round) error {
	return func(ctx context.Context, r *round) error {
		before, inUseBefore, err := r.memory()
		if err != nil {
			return err
		}
		for range n {
			conn, err := net.Dial("tcp", r.Addr)
			if err != nil {
				return err
			}
			defer conn.Close()
			if err := askVersions(conn); err != nil {
				return err
			}
		}
		if err := pause(ctx, silence); err != nil {
			return err
		}
		after, inUseAfter, err := r.memory()
		if err != nil {
			return err
		}
		m := map[string]float64{"kb_conn": (after - before) / 1e3 / float64(n), "rss_mb": after / 1e6}
		if inUseAfter > 0 {
			m["kb_conn_used"] = (inUseAfter - inUseBefore) / 1e3 / float64(n)
		}
		r.record(fmt.Sprintf("%d idle connections", n), m)
		return nil
	}
}

// memory returns the resident bytes, and of Logbahn what heap and stacks hold after a garbage collection.
func (r *round) memory() (resident, inUse float64, err error) {
	rss, err := r.ResidentBytes()
	if err != nil || !r.isLogbahn() {
		return float64(rss), 0, err
	}
	b, err := r.ask("/debug/pprof/heap?gc=1&debug=1")
	if err != nil {
		return 0, 0, err
	}
	heap, err := memoryStat(b, "HeapInuse")
	if err != nil {
		return 0, 0, err
	}
	stack, err := memoryStat(b, "Stack")
	return float64(rss), heap + stack, err
}

func (r *round) isLogbahn() bool { return r.Key == system.LogbahnSync || r.Key == system.LogbahnOS }

// memoryStat reads one line of the statistics that a heap profile in text ends with, such as "# HeapInuse = 1234".
func memoryStat(profile []byte, name string) (float64, error) {
	for line := range strings.Lines(string(profile)) {
		if value, ok := strings.CutPrefix(line, "# "+name+" = "); ok {
			return strconv.ParseFloat(strings.Fields(value)[0], 64)
		}
	}
	return 0, fmt.Errorf("the profile does not tell %s", name)
}

// askVersions has an ApiVersions request answered.
func askVersions(conn net.Conn) error {
	if _, err := conn.Write([]byte{0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff}); err != nil {
		return err
	}
	size := make([]byte, 4)
	if _, err := io.ReadFull(conn, size); err != nil {
		return err
	}
	n := int64(size[0])<<24 | int64(size[1])<<16 | int64(size[2])<<8 | int64(size[3])
	_, err := io.CopyN(io.Discard, conn, n)
	return err
}

// ask gets something from Logbahn's operations endpoint.
func (r *round) ask(path string) ([]byte, error) {
	resp, err := http.Get("http://" + r.OpsAddr() + path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", path, resp.Status)
	}
	return b, err
}

// allocations counts what a request in a steady load allocates.
func allocations(ctx context.Context, r *round) error {
	const topic = "allocations"
	if err := r.create(ctx, topic, 1); err != nil {
		return err
	}
	batch := load.Batch(16, 1<<10)
	produce := load.ProduceLoad{Addr: r.Addr, Topic: topic, Partitions: 1, Conns: 4, InFlight: 5, Acks: -1, Batch: batch, Records: 16,
		Limits: load.Limits{Time: 500 * time.Millisecond, Bytes: 300e6}}
	fetch := load.FetchLoad{Addr: r.Addr, Topic: topic, Conns: 1, BytesMax: 1 << 20, Limits: produce.Limits}
	for _, l := range []struct {
		name string
		run  func(context.Context) (*load.Result, error)
	}{{"allocations of produce", produce.Run}, {"allocations of fetch", fetch.Run}} {
		if _, err := l.run(ctx); err != nil { // pools fill
			return err
		}
		before, err := r.mallocs()
		if err != nil {
			return err
		}
		result, err := l.run(ctx)
		if err != nil {
			return err
		}
		after, err := r.mallocs()
		if err != nil {
			return err
		}
		r.record(l.name, map[string]float64{"allocs_request": (after - before) / float64(result.Requests)})
	}
	return nil
}

func (r *round) mallocs() (float64, error) {
	b, err := r.ask("/debug/pprof/allocs?debug=1")
	if err != nil {
		return 0, err
	}
	return memoryStat(b, "Mallocs")
}

// figures prints what a user meets first, beside what it should be.
func figures(ctx context.Context, o *options) error {
	info, err := os.Stat(o.env.Logbahn)
	if err != nil {
		return err
	}
	const starts = 11
	var took []time.Duration
	var rss int64
	for i := range starts {
		p, err := system.Of(system.LogbahnSync)[0].Start(ctx, &o.env)
		if err != nil {
			return err
		}
		took = append(took, p.Started)
		if i == starts-1 {
			err = pause(ctx, 3*idleTime)
			rss, _ = p.ResidentBytes()
		}
		p.Stop()
		if err != nil {
			return err
		}
	}
	sorted := sortedMillis(took)
	fmt.Printf("%-42s %12s %12s\n", "what", "measured", "target")
	fmt.Printf("%-42s %9.1f ms %9d ms\n", "exec to first reply, empty directory, median", sorted[starts/2], 100)
	fmt.Printf("%-42s %9.1f ms\n", fmt.Sprintf("  slowest of %d", starts), sorted[starts-1])
	fmt.Printf("%-42s %8.1f MiB %8d MiB\n", "idle resident memory", float64(rss)/(1<<20), 40)
	fmt.Printf("%-42s %9.1f MB %9d MB\n", "binary", float64(info.Size())/1e6, 40)
	return nil
}
