package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/logbahn/logbahn/internal/vfs"
)

// spoken counts what a log gets.
type spoken struct {
	slog.Handler
	mu    sync.Mutex
	lines []string
}

func (s *spoken) Handle(_ context.Context, r slog.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, r.Message)
	return nil
}

func (s *spoken) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lines)
}

// TestKill ends a node in the middle of its work. What it acknowledged is there in its next life, which recovers; nothing
// has been written and nothing said behind its end.
func TestKill(t *testing.T) {
	for name, disk := range map[string]func() (vfs.FS, string){
		"memory": func() (vfs.FS, string) { return vfs.NewMem(), "data" },
		"disk":   func() (vfs.FS, string) { return vfs.Disk(), t.TempDir() },
	} {
		t.Run(name, func(t *testing.T) {
			fsys, dir := disk()
			log := &spoken{Handler: slog.NewTextHandler(io.Discard, nil)}
			cfg := Config{FS: fsys, InProcess: true, Log: slog.New(log), Settings: settings("log.dirs", dir)}
			n, err := Start(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			acked := produceUntilKilled(t, n, log)
			if n.Err() != nil {
				t.Errorf("err %v after a kill", n.Err())
			}
			if n, err = Start(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			defer stop(t, n)
			if n.dir.WasClean() {
				t.Error("a killed node has left the marker of a clean stop")
			}
			if got := consume(t, n, "orders", len(acked)); fmt.Sprint(got) != fmt.Sprint(acked) {
				t.Errorf("%d records of %d", len(got), len(acked))
			}
		})
	}
}

// produceUntilKilled kills the node while a producer writes, and returns what was acknowledged.
func produceUntilKilled(t *testing.T, n *Node, log *spoken) (acked []string) {
	t.Helper()
	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	c := client(t, n, kgo.DisableIdempotentWrite(), kgo.RecordRetries(0)) // else it would not give up
	produce(t, n, "orders", "first")
	acked = append(acked, "first")
	killed := make(chan int, 1)
	for i := 0; ; i++ {
		if i == 100 {
			go func() {
				n.Kill()
				giveUp()
				killed <- log.count()
			}()
		}
		value := fmt.Sprint(i)
		if err := c.ProduceSync(ctx, &kgo.Record{Topic: "orders", Value: []byte(value)}).FirstErr(); err != nil {
			break
		}
		acked = append(acked, value)
	}
	said := <-killed
	n.Kill() // once more, which does nothing
	if err := n.Stop(t.Context()); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, vfs.ErrCrashed) {
		t.Errorf("stop behind the kill: %v", err)
	}
	if now := log.count(); now != said {
		t.Errorf("a killed node says %q", log.lines[said:])
	}
	return acked
}
