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

// headline is a figure that a user meets first, and the most that it may be; 0 where nothing is said.
type headline struct {
	what, unit      string
	measured, limit float64
}

// figures prints what a user meets first, beside what it should be. That it is not is an error.
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
			if err = pause(ctx, 3*idleTime); err == nil {
				rss, err = p.ResidentBytes()
			}
		}
		p.Stop()
		if err != nil {
			return err
		}
	}
	sorted := sortedMillis(took)
	return show([]headline{
		{"exec to first reply, empty directory, median", "ms", sorted[starts/2], 100},
		{fmt.Sprintf("  slowest of %d", starts), "ms", sorted[starts-1], 0},
		{"idle resident memory", "MiB", float64(rss) / (1 << 20), 40},
		{"binary", "MB", float64(info.Size()) / 1e6, 40},
	})
}

// show prints headlines, and returns an error that names those that are above their limits.
func show(headlines []headline) error {
	var missed []string
	fmt.Printf("%-46s %14s %14s\n", "what", "measured", "at most")
	for _, h := range headlines {
		limit := ""
		if h.limit > 0 {
			limit = fmt.Sprintf("%.0f %s", h.limit, h.unit)
		}
		fmt.Printf("%-46s %14s %14s\n", h.what, fmt.Sprintf("%.1f %s", h.measured, h.unit), limit)
		if h.limit > 0 && h.measured > h.limit {
			missed = append(missed, h.what)
		}
	}
	if len(missed) > 0 {
		return fmt.Errorf("more than it may be: %s", strings.Join(missed, ", "))
	}
	return nil
}
