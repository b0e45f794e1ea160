package node

import (
	"context"
	"log/slog"
	"sync/atomic"
)

// Kill ends the node as kill -9 ends a process: nothing more is flushed, written, answered or said. Its connections break,
// its files are as they are, and the directory is not marked as cleanly stopped. It returns when all goroutines have ended,
// and the directory may then be opened again. A Stop that is under way is cut short. Err stays nil.
func (n *Node) Kill() {
	if !n.killed.Swap(true) {
		close(n.killing)
	}
	for _, s := range n.serving {
		if server := s.server.Load(); server != nil {
			_ = server.Close() // nobody gets an answer
		}
	}
	n.closePeers() // nobody hears of it
	n.fs.Sever()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = n.end(ctx, nil) // every step of it fails
}

// silenced is a log that ends with its node: what fails because it was killed is no news.
type silenced struct {
	slog.Handler
	killed *atomic.Bool
}

// Enabled implements slog.Handler.
func (s silenced) Enabled(ctx context.Context, level slog.Level) bool {
	return !s.killed.Load() && s.Handler.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (s silenced) WithAttrs(attrs []slog.Attr) slog.Handler {
	return silenced{s.Handler.WithAttrs(attrs), s.killed}
}

// WithGroup implements slog.Handler.
func (s silenced) WithGroup(name string) slog.Handler {
	return silenced{s.Handler.WithGroup(name), s.killed}
}
