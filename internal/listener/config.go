package listener

import (
	"fmt"
	"log/slog"
	"net/netip"
	"time"
)

// Config is what a Server is made of. Zero values mean the defaults named.
type Config struct {
	Handler Handler
	// Observer is told what becomes of requests. Nobody when nil.
	Observer Observer
	// Name is the listener's name, such as PLAINTEXT; connections and log lines carry it.
	Name string
	// RequestBytesMax bounds a frame (socket.request.max.bytes). 100 MiB.
	RequestBytesMax int
	// BudgetBytes bounds the memory of all frames between their first byte and the end of their Start. 128 MiB.
	BudgetBytes int64
	// ReplyBytesMax is how much memory replies may take before the connections of clients that do not read theirs are
	// closed early. 128 MiB.
	ReplyBytesMax int64
	// ConnectionsMax and ConnectionsPerIPMax bound the connections. Unbounded. In-process ones count for the first only.
	ConnectionsMax      int
	ConnectionsPerIPMax int
	// ConnectionsOfIPMax are other bounds for some addresses, in the place of ConnectionsPerIPMax; 0 admits nobody.
	ConnectionsOfIPMax map[netip.Addr]int
	// PipelinedMax bounds the requests of one connection whose replies have not left. 64.
	PipelinedMax int
	// IdleTimeout closes a connection without requests (connections.max.idle.ms). 10 minutes.
	IdleTimeout time.Duration
	// FrameTimeout is how long a frame may take to arrive once it has begun, beside one second for every 128 KiB that have
	// arrived. 30 s.
	FrameTimeout time.Duration
	// WriteTimeout is how long a client may take to read one MiB of replies. 30 s.
	WriteTimeout time.Duration
	Log          *slog.Logger // discarded when nil
}

// frameBytesPerSecondMin is the slowest that long frames may arrive.
const frameBytesPerSecondMin = 128 << 10

func (c Config) withDefaults() Config {
	setDefault(&c.RequestBytesMax, 100<<20)
	setDefault(&c.BudgetBytes, 128<<20)
	setDefault(&c.ReplyBytesMax, 128<<20)
	setDefault(&c.PipelinedMax, 64)
	setDefault(&c.IdleTimeout, 10*time.Minute)
	setDefault(&c.FrameTimeout, 30*time.Second)
	setDefault(&c.WriteTimeout, 30*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Log = c.Log.With("listener", c.Name)
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate tells what is wrong with c, nil if nothing is.
func (c Config) Validate() error {
	if c.Handler == nil {
		return fmt.Errorf("listener %s: no handler", c.Name)
	}
	for name, value := range map[string]int64{
		"RequestBytesMax": int64(c.RequestBytesMax), "BudgetBytes": c.BudgetBytes, "ReplyBytesMax": c.ReplyBytesMax, "ConnectionsMax": int64(c.ConnectionsMax),
		"ConnectionsPerIPMax": int64(c.ConnectionsPerIPMax), "PipelinedMax": int64(c.PipelinedMax),
		"IdleTimeout": int64(c.IdleTimeout), "FrameTimeout": int64(c.FrameTimeout), "WriteTimeout": int64(c.WriteTimeout),
	} {
		if value < 0 {
			return fmt.Errorf("listener %s: %s is negative", c.Name, name)
		}
	}
	return nil
}
