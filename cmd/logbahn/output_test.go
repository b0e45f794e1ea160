package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

func TestTableAligns(t *testing.T) {
	table := newTable("NAME N STATE")
	table.line("grün", 1, painted{"ok", green})
	table.line("\x1b[31mred", 12345, []int32{1, 2})
	var b strings.Builder
	if err := table.write(&b); err != nil {
		t.Fatal(err)
	}
	want := "NAME         N      STATE\n" + "grün         1      ok\n" + `\x1b[31mred` + "  12345  1,2\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func TestBytesText(t *testing.T) {
	for n, want := range map[int64]string{-1: "-", 0: "0 B", 999: "999 B", 1023: "1.0 KiB", 1024: "1.0 KiB", 150_000: "146 KiB", 1 << 30: "1.0 GiB", 1<<63 - 1: "8192 PiB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestBehindText(t *testing.T) {
	for ms, want := range map[int64]string{0: "0s", 400: "0.4s", 61_000: "1m01s", 3_600_000: "1h00m", 90_000_000: "1d01h"} {
		if got := behindText(&ms); got != want {
			t.Errorf("%d: %q, want %q", ms, got, want)
		}
	}
	if behindText(nil) != "-" {
		t.Error("what is not known is a dash")
	}
}

// What is written as YAML is read as the same values, whatever the texts look like.
func TestYAMLKeepsTexts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOf(rapid.OneOf(rapid.StringMatching(`[ -~]{0,12}`), rapid.SampledFrom([]string{"true", "null", "~", "1", "0x1f", "1e3", "- a", "a: b", "# c", "", " x ", "a\nb\n", "2026-01-01", "yes", "<<", "&a", "*a", "%"}))).Draw(t, "texts")
		var b strings.Builder
		if err := writeYAML(&b, map[string]any{"texts": texts, "n": 5}); err != nil {
			t.Fatal(err)
		}
		var back struct {
			Texts []string
			N     any
		}
		if err := yaml.Unmarshal([]byte(b.String()), &back); err != nil {
			t.Fatalf("%v in\n%s", err, b.String())
		}
		if fmt.Sprintf("%q", back.Texts) != fmt.Sprintf("%q", texts) || back.N != 5 {
			t.Fatalf("%q became %q, %v in\n%s", texts, back.Texts, back.N, b.String())
		}
	})
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{named("topic", "a", kerr.UnknownTopicOrPartition, ""), exitNotFound},
		{&missingPartition{"a", 1}, exitNotFound},
		{named("topic", "a", kerr.TopicAuthorizationFailed, "no"), exitAuth},
		{kerr.SaslAuthenticationFailed, exitAuth},
		{errors.Join(kerr.TopicAlreadyExists), exitRefused},
		{outcome(0, nil, kerr.TopicAlreadyExists), exitRefused},
		{outcome(1, nil, kerr.TopicAlreadyExists), exitPartial},
		{io.ErrUnexpectedEOF, exitError},
		{usageErrorf("x"), exitUsage},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
	if outcome(3, nil, nil) != nil {
		t.Error("nothing failed")
	}
}
