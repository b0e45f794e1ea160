//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestJudgeKept(t *testing.T) {
	well := []string{
		`{"t":1,"e":"send","w":"x","p":0,"o":0,"v":"x-0"}`,
		`{"t":2,"e":"ack","p":0,"o":7,"v":"x-0"}`,
		`{"t":3,"e":"assign","c":"r","p":0,"o":7}`,
		`{"t":4,"e":"read","c":"r","p":0,"o":7,"v":"x-0","n":1}`,
	}
	for _, c := range []struct {
		name  string
		lines []string
		fine  bool
		fails bool
	}{
		{"well", well, true, false},
		{"a record that nobody sent", append(well[:4:4], `{"t":5,"e":"read","c":"r","p":0,"o":8,"v":"y","n":2}`), false, false},
		{"no event", append(well[:4:4], `nonsense`), false, true},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "history-x.jsonl"), []byte(strings.Join(c.lines, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
		if fine, err := judgeKept(dir); fine != c.fine || (err != nil) != c.fails {
			t.Errorf("%s: %v, %v", c.name, fine, err)
		}
	}
	if _, err := judgeKept(t.TempDir()); err == nil {
		t.Error("a directory without histories was judged")
	}
}
