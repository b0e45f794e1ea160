//go:build linux

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
)

// Sample is one run of one system.
type Sample struct {
	Workload string             `json:"workload"`
	System   string             `json:"system"`
	Round    int                `json:"round"`
	Metrics  map[string]float64 `json:"metrics,omitempty"`
	Error    string             `json:"error,omitempty"`
}

// Results are what one section measured, as its JSON file has them.
type Results struct {
	Section  string   `json:"section"`
	When     string   `json:"when"`
	Command  string   `json:"command"`
	Machine  []string `json:"machine"`
	Versions []string `json:"versions"`
	Rounds   int      `json:"rounds"`
	Samples  []Sample `json:"samples"`
}

func resultsFile(dir, section string) string { return filepath.Join(dir, section+".json") }

func (r *Results) save(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(resultsFile(dir, r.Section), append(b, '\n'), 0o644)
}

func loadResults(dir, section string) (*Results, error) {
	b, err := os.ReadFile(resultsFile(dir, section))
	if err != nil {
		return nil, err
	}
	r := new(Results)
	return r, json.Unmarshal(b, r)
}

// spread is a figure over the rounds. The zero value means that there is none.
type spread struct {
	median, min, max float64
	n                int
}

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	slices.Sort(values)
	middle := values[len(values)/2]
	if len(values)%2 == 0 {
		middle = (middle + values[len(values)/2-1]) / 2
	}
	return spread{middle, values[0], values[len(values)-1], len(values)}
}

// of returns a metric of a system over the rounds.
func (r *Results) of(workload, system, metric string) spread {
	return r.ratio(workload, system, metric, workload, "", "")
}

// ratio returns one figure divided by another of the same round, over the rounds. Without a second system it is the first
// figure alone.
func (r *Results) ratio(workload, system, metric, workloadBelow, systemBelow, metricBelow string) spread {
	if r == nil {
		return spread{}
	}
	var values []float64
	for i := range r.Samples {
		above, ok := r.Samples[i].metric(workload, system, metric)
		if !ok {
			continue
		}
		if systemBelow == "" {
			values = append(values, above)
			continue
		}
		for j := range r.Samples {
			below, ok := r.Samples[j].metric(workloadBelow, systemBelow, metricBelow)
			if ok && r.Samples[j].Round == r.Samples[i].Round && below > 0 {
				values = append(values, above/below)
			}
		}
	}
	return spreadOf(values)
}

func (s *Sample) metric(workload, system, metric string) (float64, bool) {
	if s.Workload != workload || s.System != system {
		return 0, false
	}
	v, ok := s.Metrics[metric]
	return v, ok
}
