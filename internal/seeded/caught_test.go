//go:build seeded

package seeded

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestEveryBugIsCaught runs the test that each bug names, with the bug, and wants it to fail; and once for each such test
// without any, where it must pass. LOGBAHN_BUGS=name,name chooses.
func TestEveryBugIsCaught(t *testing.T) {
	chosen := strings.Split(os.Getenv("LOGBAHN_BUGS"), ",")
	binaries := t.TempDir()
	healthy := map[string]bool{}
	for _, x := range Bugs {
		if chosen[0] != "" && !contains(chosen, x.Name) {
			continue
		}
		t.Run(x.Name, func(t *testing.T) {
			binary := compile(t, binaries, x.Package)
			if suite := x.Package + " " + x.Run; !healthy[suite] {
				if out, err, _ := run(binary, "", x); err != nil {
					t.Fatalf("%s fails without any bug: %v\n%s", suite, err, tail(out))
				}
				healthy[suite] = true
			}
			out, err, took := run(binary, x.Name, x)
			if err == nil {
				t.Fatalf("not caught: %s (%s, %v)", x.What, x.Package, took)
			}
			if !bytes.Contains(out, []byte("FAIL")) && !bytes.Contains(out, []byte("panic:")) {
				t.Fatalf("%v\n%s", err, tail(out))
			}
			t.Logf("caught in %v by %s: %s: %s", took.Round(time.Millisecond), x.Package, x.What, verdict(out))
		})
	}
}

func contains(list []string, name string) bool {
	for _, x := range list {
		if x == name {
			return true
		}
	}
	return false
}

// compile builds the tests of a package with all bugs, once.
func compile(t *testing.T, dir, pkg string) string {
	binary := filepath.Join(dir, strings.ReplaceAll(pkg, "/", "-")+".test")
	if _, err := os.Stat(binary); err == nil {
		return binary
	}
	cmd := exec.Command("go", "test", "-c", "-tags", "seeded", "-o", binary, "./"+pkg)
	cmd.Dir = filepath.Join("..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// run runs the tests that catch x, in their package's directory as go test does.
func run(binary, bug string, x Fault) (out []byte, err error, took time.Duration) {
	cmd := exec.Command(binary, "-test.run", x.Run, "-test.failfast", "-test.timeout", "20m", "-test.short")
	cmd.Dir = filepath.Join("..", "..", filepath.FromSlash(x.Package))
	cmd.Env = append(os.Environ(), "LOGBAHN_BUG="+bug)
	cmd.Env = append(cmd.Env, x.Env...)
	begin := time.Now()
	out, err = cmd.CombinedOutput()
	return out, err, time.Since(begin)
}

// verdict is the first thing that a failed test says.
func verdict(out []byte) string {
	failed := false
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "panic:"):
			return line
		case strings.HasPrefix(line, "--- FAIL"):
			failed = true
		case failed && strings.Contains(line, ".go:"):
			return line
		}
	}
	return "?"
}

func tail(out []byte) []byte { return out[max(0, len(out)-4000):] }
