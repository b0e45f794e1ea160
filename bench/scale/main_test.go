//go:build linux

package main

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestSmallestFleet measures the smallest size: the stubs and the nodes understand each other.
func TestSmallestFleet(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "logbahn")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./cmd/logbahn")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	o := options{binary: binary, scratch: t.TempDir(), brokers: 6, partitions: 1000, patience: 2 * time.Minute}
	figures, err := measure(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"fenced_by_mistake", "fallen_behind", "broker_lost_stranded", "rack_lost_stranded"} {
		if n, ok := figures[name]; !ok || n != 0 {
			t.Errorf("%s is %v, want 0 (measured: %t)", name, n, ok)
		}
	}
}
