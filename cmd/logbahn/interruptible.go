package main

import (
	"context"
	"io"
)

// interruptible is a reader that gives up with the context's error: a read from a terminal would otherwise hold Ctrl-C
// back until the next line. The read that was given up stays behind, so nothing may read from r afterwards.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i interruptible) Read(p []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	own := make([]byte, len(p)) // p is the caller's again as soon as Read has returned
	read := make(chan result, 1)
	go func() {
		n, err := i.r.Read(own)
		read <- result{n, err}
	}()
	select {
	case <-i.ctx.Done():
		return 0, i.ctx.Err()
	case r := <-read:
		return copy(p, own[:r.n]), r.err
	}
}
