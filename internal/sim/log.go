package sim

import (
	"context"
	"log/slog"
	"strings"
)

// logHandler writes a node's log into the trace: warnings are kept, the rest counts in the sum.
type logHandler struct {
	trace *Trace
	name  string
	attrs string
}

func (h *logHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo
}

func (h *logHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(h.name + ": " + r.Level.String() + " " + r.Message + h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		b.WriteString(" " + a.String())
		return true
	})
	if r.Level >= slog.LevelWarn {
		h.trace.Logf("%s", b.String())
	} else {
		h.trace.Countf("%s", b.String())
	}
	return nil
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	for _, a := range attrs {
		with.attrs += " " + a.String()
	}
	return &with
}

func (h *logHandler) WithGroup(string) slog.Handler { return h }
