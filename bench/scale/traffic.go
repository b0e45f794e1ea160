//go:build linux

package main

import (
	"context"
	"net"
	"sync/atomic"
)

// traffic counts the bytes of connections, as this process sees them: what it reads the controller has sent.
type traffic struct{ read, written atomic.Int64 }

// dial connects to the controller.
func (t *traffic) dial(ctx context.Context, address string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &counted{Conn: c, traffic: t}, nil
}

func (t *traffic) total() float64 { return float64(t.read.Load() + t.written.Load()) }

type counted struct {
	net.Conn
	traffic *traffic
}

// Read implements net.Conn.
func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.traffic.read.Add(int64(n))
	return n, err
}

// Write implements net.Conn.
func (c *counted) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.traffic.written.Add(int64(n))
	return n, err
}
