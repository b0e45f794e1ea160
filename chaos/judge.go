//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/logbahn/logbahn/chaos/workload"
	"github.com/logbahn/logbahn/internal/sim/check"
)

// judgeKept runs the checkers again over the histories of a run, without the replicas' contents, and tells whether
// nothing was wrong.
func judgeKept(dir string) (bool, error) {
	names, err := filepath.Glob(filepath.Join(dir, "history-*.jsonl"))
	if err != nil || len(names) == 0 {
		return false, errors.Join(err, fmt.Errorf("%s has no histories", dir))
	}
	history := workload.NewHistory(topic)
	for _, name := range names {
		client := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(name), "history-"), ".jsonl")
		if err := addKept(history, client, name); err != nil {
			return false, err
		}
	}
	problems, anomalies := history.Problems(), check.Check(history.Check(nil))
	for _, p := range problems {
		fmt.Println(p)
	}
	for _, a := range anomalies {
		fmt.Println(a)
	}
	sent, acked, read := history.Counts()
	fmt.Printf("%d records sent, %d acknowledged, %d read: %d findings\n", sent, acked, read, len(problems)+len(anomalies))
	return len(problems)+len(anomalies) == 0, nil
}

func addKept(history *workload.History, client, name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		var e workload.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("%s, line %d: %w", name, n, err)
		}
		history.Add(client, e)
	}
	return lines.Err()
}
