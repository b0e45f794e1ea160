package kafkacli

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
)

// TestInterruptedLines: after Ctrl-C no line comes that nobody has written.
func TestInterruptedLines(t *testing.T) {
	for range 50 { // which of two channels that are ready is chosen is left to chance
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			c := &call{Env: Env{Stdin: strings.NewReader(strings.Repeat("line\n", 100)), Stdout: io.Discard}}
			err := c.eachLine(ctx, func(number int, line string) error {
				if line != "line" {
					t.Fatalf("line %d is %q", number, line)
				}
				if number == 3 {
					cancel()
					synctest.Wait() // the reader, which has the next line ready, gives up
				}
				return nil
			})
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		})
	}
}
