package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/logbahn/logbahn/logbahntest"
)

// TestProduceBeforeAWrongLine: what stood before the line was taken, and is there.
func TestProduceBeforeAWrongLine(t *testing.T) {
	nodes := logbahntest.Run(t, logbahntest.TCP())
	nodes.CreateTopic("rides", 1)
	var stderr bytes.Buffer
	code := run(t.Context(), []string{"produce", "rides", "-K", ":", "-b", nodes.Addr()}, strings.NewReader("a:1\nb:2\nbad\nc:3\n"), io.Discard, &stderr)
	if code != exitPartial || !strings.Contains(stderr.String(), "2 records\n") || !strings.Contains(stderr.String(), `in the line "bad"`) {
		t.Errorf("exit code %d\n%s", code, &stderr)
	}
	if got := nodes.Consume("rides", 2); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("%q", got)
	}
}

// TestInterruptedLine: a line of which only the beginning has come when the input breaks off is no record.
func TestInterruptedLine(t *testing.T) {
	for _, c := range []struct {
		end  error
		want []string
	}{
		{io.EOF, []string{"one", "two", "thr"}},
		{context.Canceled, []string{"one", "two"}},
		{io.ErrUnexpectedEOF, []string{"one", "two"}},
	} {
		var got []string
		in := io.MultiReader(strings.NewReader("one\ntwo\nthr"), iotest.ErrReader(c.end))
		err := eachLine(in, func(line string) error { got = append(got, line); return nil })
		if !slices.Equal(got, c.want) || c.end != io.EOF && !errors.Is(err, c.end) || c.end == io.EOF && err != nil {
			t.Errorf("%v: %q, %v", c.end, got, err)
		}
	}
}

// TestProduceGivesUp: a broker that has gone does not hold the command for ever.
func TestProduceGivesUp(t *testing.T) {
	t.Parallel()
	nodes := logbahntest.Run(t, logbahntest.TCP())
	nodes.CreateTopic("rides", 1)
	addr := nodes.Addr()
	in, lines := io.Pipe()
	var stderr bytes.Buffer
	code := make(chan int, 1)
	go func() {
		code <- run(t.Context(), []string{"produce", "rides", "--timeout", "4s", "-b", addr}, in, io.Discard, &stderr)
	}()
	fmt.Fprintln(lines, "one")
	nodes.Consume("rides", 1)
	nodes.Kill(1)
	fmt.Fprintln(lines, "two")
	lines.Close()
	if got := <-code; got != exitPartial || !strings.Contains(stderr.String(), "1 record\n") {
		t.Errorf("exit code %d\n%s", got, &stderr)
	}
}

// TestConsumeGivesUp: what --exit waits for does not come when the cluster has gone.
func TestConsumeGivesUp(t *testing.T) {
	nodes := logbahntest.Run(t, logbahntest.TCP())
	nodes.CreateTopic("rides", 1)
	client, err := newClient(nodes.Addrs(), kgo.ConsumeTopics("rides"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	nodes.Kill(1)
	f := consumeFlags{exit: true, idle: 10 * time.Millisecond, output: "text"}
	err = f.poll(t.Context(), client, ends{"rides": {0: 1}}, bufio.NewWriter(io.Discard))
	if exitCode(err) != exitUnreachable {
		t.Errorf("%v", err)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("nobody reads") }

// TestConsumeCommitsWhatItPrinted, and nothing that could not be written.
func TestConsumeCommitsWhatItPrinted(t *testing.T) {
	nodes := logbahntest.Run(t, logbahntest.TCP())
	nodes.CreateTopic("rides", 1)
	nodes.Produce("rides", "a", "b", "c")
	consume := func(out io.Writer, args ...string) int {
		t.Helper()
		var stderr bytes.Buffer
		code := run(t.Context(), append([]string{"consume", "rides", "-g", "readers", "--from", "start", "-b", nodes.Addr()}, args...), nil, out, &stderr)
		t.Logf("exit code %d: %s", code, &stderr)
		return code
	}
	if code := consume(brokenPipe{}, "--exit"); code != exitError {
		t.Errorf("exit code %d with a broken pipe", code)
	}
	for _, want := range []string{"a\nb\n", "c\n"} {
		var out bytes.Buffer
		if code := consume(&out, "--exit", "-n", "2"); code != exitOK || out.String() != want {
			t.Errorf("exit code %d, %q, want %q", code, &out, want)
		}
	}
}
