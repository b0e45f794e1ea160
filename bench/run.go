//go:build linux

package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/logbahn/logbahn/bench/load"
	"github.com/logbahn/logbahn/bench/system"
)

// section is a group of measurements with a file of its own.
type section struct {
	name  string
	title string
	about string
	share float64 // of the time budget
	cases []testCase
	// program measures in place of cases, and table writes its figures, where systems do not take turns. It runs only when it
	// is asked for by name.
	program func(ctx context.Context, o *options, results *Results) error
	table   func(d *document, r *Results)
}

// testCase is measured with a fresh process of each system in turn.
type testCase struct {
	systems  []string
	rounds   int           // 0: as many as asked for
	patience time.Duration // bounds one run; 0: runPatience
	run      func(ctx context.Context, r *round) error
}

// round is one run of a case.
type round struct {
	*system.Cluster
	env     *system.Env
	results *Results
	number  int
}

// runPatience bounds one run that says nothing else.
const runPatience = 90 * time.Second

// record keeps what was measured, and shows it.
func (r *round) record(workload string, metrics map[string]float64) {
	r.results.Samples = append(r.results.Samples, Sample{Workload: workload, System: r.Key, Round: r.number, Metrics: metrics})
	line := fmt.Sprintf("  %-22s %-14s", workload, r.Key)
	for _, m := range metricsOrder {
		if v, ok := metrics[m.key]; ok {
			line += fmt.Sprintf("  %s %s", short(v), m.title)
		}
	}
	fmt.Println(line)
}

// run measures the sections that were asked for, and saves each when it is done.
func run(ctx context.Context, o *options, commandLine string) error {
	if _, err := os.Stat(o.env.Logbahn); err != nil {
		return fmt.Errorf("build Logbahn first (make build): %w", err)
	}
	chosen, err := choose(o.sections)
	if err != nil {
		return err
	}
	shares := 0.0
	for _, s := range chosen {
		shares += s.share
	}
	begin, done := time.Now(), 0.0
	for _, s := range chosen {
		done += s.share
		until := begin.Add(time.Duration(float64(o.budget) * done / shares))
		fmt.Printf("%s, until %s\n", s.name, until.Format(time.TimeOnly))
		results := &Results{Section: s.name, When: time.Now().UTC().Format("2006-01-02 15:04 UTC"), Command: commandLine,
			Machine: machine(o.env.Scratch), Versions: system.Versions(&o.env)}
		if err := s.measure(ctx, o, results, until); err != nil {
			return err
		}
		if err := results.save(o.results); err != nil {
			return err
		}
	}
	return nil
}

func choose(names string) ([]section, error) {
	if names == "" {
		return slices.DeleteFunc(slices.Clone(sections), func(s section) bool { return s.program != nil }), nil
	}
	var chosen []section
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(sections, func(s section) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no section %q: %s", name, sectionNames())
		}
		chosen = append(chosen, sections[i])
	}
	return chosen, nil
}

func sectionNames() string {
	var names []string
	for i := range sections {
		names = append(names, sections[i].name)
	}
	return strings.Join(names, ", ")
}

// measure goes through the rounds; after the first, those for which there is no time are left out.
func (s *section) measure(ctx context.Context, o *options, results *Results, until time.Time) error {
	if s.program != nil {
		return s.program(ctx, o, results)
	}
	longest := time.Duration(0)
	for n := range o.rounds {
		begin := time.Now()
		if n > 0 && begin.Add(longest).After(until) {
			fmt.Printf("  no time for round %d\n", n+1)
			break
		}
		for i := range s.cases {
			if c := &s.cases[i]; c.rounds == 0 || n < c.rounds {
				if err := c.turn(ctx, o, results, n); err != nil {
					return err
				}
			}
		}
		results.Rounds = n + 1
		longest = max(longest, time.Since(begin))
	}
	return nil
}

// turn runs the case once with each system. One that fails is noted, and the others go on.
func (c *testCase) turn(ctx context.Context, o *options, results *Results, number int) error {
	for _, s := range system.Of(c.systems...) {
		if o.systems != "" && !slices.Contains(strings.Split(o.systems, ","), s.Key) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		err := c.once(ctx, o, s, results, number)
		if errors.Is(err, system.ErrNotInstalled) && number == 0 {
			fmt.Printf("  %s is not installed: interop/install.sh does that\n", s.Name)
		}
		if err != nil {
			fmt.Printf("  %s: %v\n", s.Key, err)
			results.Samples = append(results.Samples, Sample{System: s.Key, Round: number, Error: err.Error()})
		}
	}
	return nil
}

func (c *testCase) once(ctx context.Context, o *options, s system.System, results *Results, number int) error {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(c.patience, runPatience))
	defer cancel()
	runtime.GC() // what the client of the run before has left
	started, err := s.Start(ctx, &o.env)
	if err != nil {
		return err
	}
	defer started.Stop()
	return c.run(ctx, &round{Cluster: started, env: &o.env, results: results, number: number})
}

// measured are the usual metrics of a load, with the system's CPU time during it.
func (r *round) measured(run func() (*load.Result, error)) (*load.Result, map[string]float64, error) {
	before, err := r.CPU()
	if err != nil {
		return nil, nil, err
	}
	result, err := run()
	if err != nil {
		return nil, nil, err
	}
	after, err := r.CPU()
	if err != nil {
		return nil, nil, err
	}
	cpu, seconds := (after - before).Seconds(), result.Elapsed.Seconds()
	m := map[string]float64{
		"mb_s":     float64(result.Bytes) / 1e6 / seconds,
		"cpu_s_gb": cpu / (float64(result.Bytes) / 1e9),
		"cpu_pct":  100 * cpu / seconds,
	}
	if result.Records > 0 {
		m["krecords_s"] = float64(result.Records) / 1e3 / seconds
	}
	if result.Requests > 0 {
		m["krequests_s"] = float64(result.Requests) / 1e3 / seconds
		m["cpu_us_request"] = 1e6 * cpu / float64(result.Requests)
	}
	if result.Latency != nil && result.Latency.TotalCount() > 0 {
		for key, quantile := range map[string]float64{"p50_ms": 50, "p99_ms": 99, "p999_ms": 99.9} {
			m[key] = float64(result.Latency.ValueAtPercentile(quantile)) / 1e3
		}
	}
	if result.Behind > 0 {
		m["behind_ms"] = float64(result.Behind.Microseconds()) / 1e3
	}
	if result.Visible != nil {
		m["visible_p50_ms"] = float64(result.Visible.ValueAtPercentile(50)) / 1e3
		m["visible_p99_ms"] = float64(result.Visible.ValueAtPercentile(99)) / 1e3
	}
	return result, m, nil
}

func only(m map[string]float64, keys ...string) map[string]float64 {
	kept := map[string]float64{}
	for _, key := range keys {
		if v, ok := m[key]; ok {
			kept[key] = v
		}
	}
	return kept
}

// machine describes what is measured on.
func machine(scratch string) []string {
	lines := []string{fmt.Sprintf("%s, %d processors", cpuModel(), runtime.NumCPU())}
	if info, err := os.ReadFile("/proc/meminfo"); err == nil {
		first, _, _ := bytes.Cut(info, []byte("\n"))
		lines = append(lines, strings.Join(strings.Fields(string(first)), " "))
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		lines = append(lines, "Linux "+unix.ByteSliceToString(name.Release[:]))
	}
	var fs unix.Statfs_t
	if unix.Statfs(scratch, &fs) == nil {
		lines = append(lines, fmt.Sprintf("file system type %#x", fs.Type))
	}
	if avg, err := os.ReadFile("/proc/loadavg"); err == nil {
		lines = append(lines, "load average at the beginning "+strings.Join(strings.Fields(string(avg))[:3], " "))
	}
	return lines
}

func cpuModel() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}
