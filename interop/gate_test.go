package interop

import (
	frames "encoding/binary"
	"io"
	"net"
	"regexp"
	"slices"
	"sync"
	"testing"
)

// watcher is the client id by which this package itself looks at nodes from behind their gates.
const watcher = "interop-watcher"

// gate stands before a node's listener for other nodes, where clients of a proxy must not come: whoever does has been told an
// address that it cannot reach in earnest, and fails the test.
type gate struct {
	t        testing.TB
	listener net.Listener
	behind   string // host:port
	passing  sync.WaitGroup

	mu   sync.Mutex
	open []net.Conn // nil when the test has ended
}

// startGate returns the address of a gate before another one.
func startGate(t testing.TB, behind string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{t: t, listener: l, behind: behind, open: []net.Conn{}}
	g.passing.Go(g.accept)
	t.Cleanup(func() {
		_ = l.Close()
		g.mu.Lock()
		for _, conn := range g.open {
			_ = conn.Close()
		}
		g.open = nil
		g.mu.Unlock()
		g.passing.Wait()
	})
	return l.Addr().String()
}

func (g *gate) accept() {
	for {
		conn, err := g.listener.Accept()
		if err != nil {
			return
		}
		g.passing.Go(func() { g.pass(conn) })
	}
}

// keep notes a connection, which ends with the test.
func (g *gate) keep(conn net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open != nil {
		g.open = append(g.open, conn)
	}
	return g.open != nil
}

func (g *gate) ended(conn net.Conn) {
	_ = conn.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.open, conn); i >= 0 {
		g.open = slices.Delete(g.open, i, i+1)
	}
}

// pass lets a connection through that begins as a node's does.
func (g *gate) pass(conn net.Conn) {
	if !g.keep(conn) {
		_ = conn.Close()
		return
	}
	defer g.ended(conn)
	head, from, ok := readHead(conn)
	switch {
	case !ok: // it has ended and asked for nothing
		return
	case from != "":
		g.t.Errorf("a client (%s) has connected to a listener for nodes, %s: it may reach one proxy only", from, g.listener.Addr())
		return
	}
	inner, err := net.Dial("tcp", g.behind)
	if err != nil || !g.keep(inner) {
		return // the node is down
	}
	defer g.ended(inner)
	if _, err := inner.Write(head); err != nil {
		return
	}
	g.passing.Go(func() {
		_, _ = io.Copy(inner, conn)
		_ = inner.(*net.TCPConn).CloseWrite()
	})
	_, _ = io.Copy(conn, inner)
}

const (
	headBytes = 14    // of a request, up to the length of its client id
	firstAPI  = 31000 // of those that only nodes have
)

// insiders are the client ids of nodes, which at their start try the addresses that clients are told, as logbahn; and of this
// package.
var insiders = regexp.MustCompile(`^(logbahn-node-\d+|logbahn|` + watcher + `)$`)

// readHead reads the beginning of a connection's first request. from is who sends it when that is no node.
func readHead(conn net.Conn) (head []byte, from string, ok bool) {
	head = make([]byte, headBytes)
	if _, err := io.ReadFull(conn, head); err != nil {
		return nil, "", false
	}
	key, idBytes := frames.BigEndian.Uint16(head[4:]), int16(frames.BigEndian.Uint16(head[12:]))
	id := make([]byte, max(idBytes, 0))
	if _, err := io.ReadFull(conn, id); err != nil {
		return nil, "", false
	}
	if key < firstAPI && !insiders.Match(id) {
		from = "client id " + string(id)
	}
	return append(head, id...), from, true
}
