package kafkacli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// lineBytesMax bounds a line of standard input: no record is larger.
const lineBytesMax = 64 << 20

// eachLine calls do with each line of standard input and its number, from 1, until the input or the context ends or do
// fails. A terminal gets a prompt.
//
// A read that the context interrupts stays behind in its goroutine, until the input ends.
func (c *call) eachLine(ctx context.Context, do func(number int, line string) error) error {
	type read struct {
		line string
		err  error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := make(chan read)
	go func() {
		defer close(lines)
		r := bufio.NewReaderSize(c.Stdin, 64<<10)
		for {
			line, err := readLine(r)
			select {
			case lines <- read{line, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	for number := 1; ; number++ {
		if c.Interactive {
			fmt.Fprint(c.Stdout, ">")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case r, ok := <-lines:
			if !ok { // the context has ended, and its reader has seen it first
				return ctx.Err()
			}
			if errors.Is(r.err, io.EOF) {
				return nil
			}
			if r.err != nil {
				return r.err
			}
			if err := do(number, r.line); err != nil {
				return err
			}
		}
	}
}

// readLine reads up to \n, \r\n or the end. It fails with io.EOF when there is nothing left.
func readLine(r *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > lineBytesMax:
			return "", failf("A line of standard input is longer than %d bytes", lineBytesMax)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(line) > 0:
			return strings.TrimSuffix(string(line), "\r"), nil
		case err != nil:
			return "", err
		}
		return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), nil
	}
}
