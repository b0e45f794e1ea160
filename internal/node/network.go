package node

import (
	"context"
	"net"
)

// Network is how a node is reached and reaches others. Its listeners' addresses are *net.TCPAddr. Methods may be called by
// any goroutine.
type Network interface {
	Listen(address string) (net.Listener, error)
	Dial(ctx context.Context, address string) (net.Conn, error)
}

// tcp is the network of the system.
type tcp struct{}

func (tcp) Listen(address string) (net.Listener, error) { return net.Listen("tcp", address) }

// Dial implements Network. The name localhost means the loopback addresses, as where it is listened on, whether or not the
// machine has a list of names.
func (tcp) Dial(ctx context.Context, address string) (net.Conn, error) {
	var d net.Dialer
	host, port, err := net.SplitHostPort(address)
	if err != nil || host != "localhost" {
		return d.DialContext(ctx, "tcp", address)
	}
	c, err := d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil && ctx.Err() == nil {
		if c, err := d.DialContext(ctx, "tcp", net.JoinHostPort("::1", port)); err == nil {
			return c, nil
		}
	}
	return c, err
}
