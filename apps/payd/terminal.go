package payd

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/logbahn/logbahn/apps/payd/web"
)

// How often the terminal is written: a block in place, or a line.
const (
	blockEvery = time.Second
	lineEvery  = 10 * time.Second
)

// runTerminal shows the page in short until the context ends.
func runTerminal(ctx context.Context, w io.Writer, model web.Model) {
	inPlace, every := isTerminal(w), lineEvery
	if inPlace {
		every = blockEvery
	}
	colour := inPlace && os.Getenv("NO_COLOR") == ""
	tick := time.NewTicker(every)
	defer tick.Stop()
	written := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !inPlace {
			fmt.Fprintln(w, statusLine(model.Status()))
			continue
		}
		block := statusBlock(model, colour)
		if written > 0 {
			fmt.Fprintf(w, "\x1b[%dA\x1b[J", written)
		}
		fmt.Fprint(w, block)
		written = strings.Count(block, "\n")
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func statusLine(s web.Status) string {
	if s.Problem != "" {
		return "payd: " + s.Problem
	}
	line := fmt.Sprintf("%.0f msg/s  %d driving", s.Rate, s.Driving)
	for _, g := range s.Groups {
		line += fmt.Sprintf("  %s lag %d", g.Name, g.Lag)
	}
	line += fmt.Sprintf("  %d dead letters", s.DeadTotal)
	if len(s.Brokers) > 1 {
		line += "  " + auditText(s.Audit)
	}
	if s.MeanCents > 0 {
		line += fmt.Sprintf("  mean score %.0f, premium %.2f EUR/year", s.MeanScore, float64(s.MeanCents)/100)
	}
	return line
}

// statusBlock is a few short lines, narrower than any terminal.
func statusBlock(model web.Model, colour bool) string {
	s := model.Status()
	dim, bold, off := "", "", ""
	if colour {
		dim, bold, off = "\x1b[2m", "\x1b[1m", "\x1b[0m"
	}
	if s.Problem != "" {
		return fmt.Sprintf("  %s%.70s%s\n", dim, s.Problem, off)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "  %s%5.0f%s msg/s   %s%d%s of %d cars driving   %d dead letters\n",
		bold, s.Rate, off, bold, s.Driving, off, s.Drivers, s.DeadTotal)
	fmt.Fprintf(&b, "  %slag%s  ", dim, off)
	for _, g := range s.Groups {
		fmt.Fprintf(&b, " %s %s%d%s ", g.Name, bold, g.Lag, off)
	}
	fmt.Fprintln(&b)
	if len(s.Brokers) > 1 {
		fmt.Fprintf(&b, "  %s\n  %s\n", brokersText(s.Brokers, dim, bold, off), auditText(s.Audit))
	}
	best, worst := extremes(model.Drivers())
	for _, d := range []*web.Driver{best, worst} {
		if d != nil {
			fmt.Fprintf(&b, "  %-12.12s score %s%3.0f%s  %s%7.2f%s EUR/year  %s%s%s\n",
				d.ID, bold, d.Score, off, bold, float64(d.Cents)/100, off, dim, d.Reason, off)
		}
	}
	return b.String()
}

func extremes(drivers []web.Driver) (best, worst *web.Driver) {
	if len(drivers) == 0 {
		return nil, nil
	}
	byScore := func(a, b web.Driver) int { return cmp.Compare(a.Score, b.Score) }
	high, low := slices.MaxFunc(drivers, byScore), slices.MinFunc(drivers, byScore)
	if len(drivers) == 1 {
		return &high, nil
	}
	return &high, &low
}

// auditText says what became of the messages that were sent.
func auditText(a web.Audit) string {
	text := fmt.Sprintf("%d acknowledged  %d arrived  %d lost  %d duplicated", a.Acknowledged, a.Arrived, a.Lost, a.Doubled)
	if a.Waiting > 0 {
		text += fmt.Sprintf("  %d on the way", a.Waiting)
	}
	return text
}

// brokersText says how each broker does.
func brokersText(brokers []web.Broker, dim, bold, off string) string {
	var parts []string
	for _, b := range brokers {
		role := ""
		if b.Controller {
			role = "*"
		}
		switch {
		case !b.Running:
			parts = append(parts, fmt.Sprintf("%sbroker %d%s killed", dim, b.ID, off))
		case !b.Alive:
			parts = append(parts, fmt.Sprintf("%sbroker %d%s starting", dim, b.ID, off))
		default:
			parts = append(parts, fmt.Sprintf("%sbroker %d%s%s leads %s%d%s", dim, b.ID, role, off, bold, b.Leads, off))
		}
	}
	return strings.Join(parts, "   ")
}
