package interop

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestKillUnderLoad kills a node with SIGKILL again and again, of several any, while an idempotent producer that lives through
// it all writes, and then reads everything back: each acknowledged record is at the offset that was acknowledged, once,
// and none is missing. LOGBAHN_KILLS is the number of kills (default 3), LOGBAHN_SEED the seed of their times and nodes.
func TestKillUnderLoad(t *testing.T) {
	kills, seed := envInt(t, "LOGBAHN_KILLS", 3), envInt(t, "LOGBAHN_SEED", int(time.Now().UnixNano()&0xffffff))
	t.Logf("LOGBAHN_KILLS=%d LOGBAHN_SEED=%d", kills, seed)
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	c := startNodes(t, "num.partitions=4", "log.segment.bytes=1048576")
	load := startLoad(t, c.bootstrap())
	for i := range kills {
		load.waitFor(t, 20+random.IntN(200))
		// Anywhere between two acknowledgements, so that a kill meets every step of a write.
		time.Sleep(time.Duration(random.IntN(3000)) * time.Microsecond)
		c.kill(random.IntN(len(c.running)))
		if t.Failed() {
			t.Fatalf("after kill %d", i+1)
		}
	}
	load.waitFor(t, 100)
	load.stop(t)
	t.Logf("%d records acknowledged through %d kills", len(load.acked), kills)
	load.check(t, c.bootstrap())
}

// TestKillDuringFormat kills the process while it formats an empty directory, a little later each time. Whatever is
// left is taken up by the next start, which then serves.
func TestKillDuringFormat(t *testing.T) {
	for i := range 16 {
		dir := filepath.Join(t.TempDir(), "data")
		path, err := binary()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(path, "start", "--override", "listeners=PLAINTEXT://127.0.0.1:0", "--override", "log.dirs="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// From before the first file to after the last one: a start takes about ten milliseconds.
		time.Sleep(time.Duration(i) * 1250 * time.Microsecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()

		s := start(t, dir, "")
		client := newClient(t, s.addr)
		if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "after", Value: []byte("x")}).FirstErr(); err != nil {
			t.Fatalf("killed after %.2f ms: %v", 1.25*float64(i), err)
		}
		client.Close()
		s.kill()
	}
}

// load is a producer and what it was told about each of its records.
type load struct {
	client *kgo.Client
	cancel context.CancelFunc
	done   chan struct{}

	mu    sync.Mutex
	acked map[position]string
	more  *sync.Cond
}

type position struct {
	partition int32
	offset    int64
}

// startLoad produces until stop, a few records in flight at a time so that a kill always meets some.
func startLoad(t *testing.T, addr string) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{cancel: cancel, done: make(chan struct{}), acked: map[position]string{}}
	l.more = sync.NewCond(&l.mu)
	l.client = newClient(t, addr, kgo.ProducerLinger(0), kgo.MaxBufferedRecords(64), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }), kgo.MetadataMinAge(20*time.Millisecond),
		kgo.DefaultProduceTopic("load"))
	go func() {
		defer close(l.done)
		for i := 0; ctx.Err() == nil; i++ {
			value := fmt.Sprintf("record-%d", i)
			l.client.Produce(context.Background(), kgo.StringRecord(value), func(r *kgo.Record, err error) {
				if err != nil {
					t.Errorf("%s was given up: %v", value, err)
					return
				}
				l.mu.Lock()
				defer l.mu.Unlock()
				at := position{r.Partition, r.Offset}
				if other, taken := l.acked[at]; taken {
					t.Errorf("%s and %s were both acknowledged at %v", other, value, at)
				}
				l.acked[at] = value
				l.more.Broadcast()
			})
		}
	}()
	return l
}

// waitFor returns when n more records have been acknowledged; a minute without one fails the test.
func (l *load) waitFor(t *testing.T, n int) {
	t.Helper()
	timer := time.AfterFunc(time.Minute, func() {
		t.Errorf("no %d acknowledgements within a minute", n)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.more.Broadcast()
	})
	defer timer.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for want := len(l.acked) + n; len(l.acked) < want && !t.Failed(); {
		l.more.Wait()
	}
}

func (l *load) stop(t *testing.T) {
	t.Helper()
	l.cancel()
	<-l.done
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := l.client.Flush(ctx); err != nil {
		t.Fatalf("flush: %v", err)
	}
}

// check reads the topic from its start and compares it with the acknowledgements, both ways. All that was sent was acknowledged, so
// that the log has no more records: what stands behind the last of them is not read.
func (l *load) check(t *testing.T, addr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	reader := newClient(t, addr, kgo.ConsumeTopics("load"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ends, err := kadm.NewClient(reader).ListEndOffsets(ctx, "load")
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
	records := int64(0)
	ends.Each(func(o kadm.ListedOffset) { records += o.Offset })
	if records != int64(len(l.acked)) {
		t.Errorf("the log has %d records, and %d were acknowledged", records, len(l.acked))
	}
	seen := map[string]position{}
	for len(seen) < len(l.acked) {
		fetches := reader.PollFetches(ctx)
		if ctx.Err() != nil {
			break
		}
		fetches.EachRecord(func(r *kgo.Record) {
			at, value := position{r.Partition, r.Offset}, string(r.Value)
			if first, twice := seen[value]; twice {
				t.Errorf("%s is doubled: at %v and %v", value, first, at)
			}
			seen[value] = at
			if want, ok := l.acked[at]; !ok || want != value {
				t.Errorf("at %v there is %s, acknowledged was %q", at, value, want)
			}
		})
	}
	for at, value := range l.acked {
		if got, ok := seen[value]; !ok {
			t.Errorf("%s is lost: acknowledged at %v", value, at)
		} else if got != at {
			t.Errorf("%s has moved from %v to %v", value, at, got)
		}
	}
}

func envInt(t testing.TB, name string, otherwise int) int {
	t.Helper()
	text, ok := os.LookupEnv(name)
	if !ok {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s=%q: %v", name, text, err)
	}
	return n
}
