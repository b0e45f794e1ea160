//go:build linux

package main

import (
	"strings"
	"testing"
)

func TestShow(t *testing.T) {
	if err := show([]headline{{"a", "ms", 99, 100}, {"b", "ms", 1000, 0}}); err != nil {
		t.Error(err)
	}
	if err := show([]headline{{"a", "ms", 99, 100}, {"b", "MB", 41, 40}}); err == nil || !strings.HasSuffix(err.Error(), ": b") {
		t.Errorf("what is too large is not told: %v", err)
	}
}
