//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// report writes the summary beside the histories, prints it, and puts it into the document that was asked for. The
// directory is removed when nothing was wrong and nobody asked for it.
func (r *run) report() error {
	text := r.summary()
	fmt.Print("\n", text)
	if r.options.document != "" {
		if err := replaceSection(r.options.document, text); err != nil {
			return err
		}
	}
	if len(r.findings) == 0 && !r.options.keep {
		return os.RemoveAll(r.options.out)
	}
	fmt.Printf("\nhistories, logs and summary: %s\n", r.options.out)
	return os.WriteFile(filepath.Join(r.options.out, "summary.md"), []byte(text), 0o644)
}

// summary is the run in Markdown.
func (r *run) summary() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	sent, acked, read := r.history.Counts()
	o := r.options
	only := ""
	if o.faults != "" {
		only = " FAULTS=" + o.faults
	}
	line("`make chaos DURATION=%v SEED=%d%s`, %s UTC, %s.", o.duration, o.seed, only, r.begin.UTC().Format("2006-01-02 15:04"), machine())
	line("")
	line("%d nodes, replication factor %d, min.insync.replicas %d, flush=%s, session timeout %v. Clients: %s. %d records sent, %d acknowledged, %d read; %d faults in %v.",
		o.nodes, min(o.nodes, 3), min(o.nodes, 2), flushName(o.flushOS), o.session, strings.ReplaceAll(o.clients, ",", ", "), sent, acked, read, len(r.spans),
		time.Since(r.begin).Round(time.Second))
	line("")
	r.verdict(line)
	line("")
	if len(r.spans) > 0 {
		busiest := r.spans[0].busy
		for i := range r.spans {
			busiest = busiest.worst(r.spans[i].busy)
		}
		line("The machine at its busiest: %v.", busiest)
		line("")
	}
	line("| Fault | What happens | Times | Longest without a write (worst partition) | Resumed after healing | In sync after healing |")
	line("|---|---|---|---|---|---|")
	all := writes(r.history.Acks())
	for i := range faults {
		f := &faults[i]
		times, worst, inSync := 0, measured{}, time.Duration(0)
		for j := range r.spans {
			if s := &r.spans[j]; s.name == f.name {
				m := measureSpan(s, all)
				times++
				worst.silence, worst.resumed = max(worst.silence, m.silence), max(worst.resumed, m.resumed)
				inSync = max(inSync, s.recovered.Sub(s.healed))
			}
		}
		if times > 0 {
			line("| %s | %s | %d | %.1f s | %.1f s | %.1f s |", f.name, f.about, times, worst.silence.Seconds(), worst.resumed.Seconds(), inSync.Seconds())
		}
	}
	return b.String()
}

func (r *run) verdict(line func(string, ...any)) {
	if len(r.findings) == 0 {
		line("**No anomaly.** Nothing was lost, doubled, reordered or invented; the replicas are equal byte for byte; writes resumed within %v, within %v after kill -9 of one.",
			r.limit(), promised)
		return
	}
	line("**%d findings:**", len(r.findings))
	line("")
	for _, f := range r.findings {
		line("- %s", strings.ReplaceAll(f, "\n", " "))
	}
}

func flushName(os bool) string {
	if os {
		return "os"
	}
	return "sync"
}

// machine describes what it ran on.
func machine() string {
	release, err := exec.Command("uname", "-sr").Output()
	if err != nil {
		return fmt.Sprintf("%d processors", runtime.NumCPU())
	}
	return fmt.Sprintf("%d processors, %s", runtime.NumCPU(), strings.TrimSpace(string(release)))
}

// Marks of the section that a run replaces.
const (
	sectionBegin = "<!-- make chaos writes from here -->"
	sectionEnd   = "<!-- to here -->"
)

func replaceSection(name, text string) error {
	document, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(document), sectionBegin)
	_, after, closed := strings.Cut(rest, sectionEnd)
	if !ok || !closed {
		return fmt.Errorf("%s lacks the marks %s and %s", name, sectionBegin, sectionEnd)
	}
	return os.WriteFile(name, []byte(before+sectionBegin+"\n\n"+text+"\n"+sectionEnd+after), 0o644)
}
