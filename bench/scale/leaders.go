//go:build linux

package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/logbahn/logbahn/internal/wire"
)

// leaders is where the real broker finds the stubs, all at one address. It fetches what they lead, and there is never
// anything new.
type leaders struct{ net.Listener }

func newLeaders() (*leaders, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil { // it is closed
				return
			}
			go func() {
				defer conn.Close()
				_ = answerFetches(conn) // who is not content with the answers connects again
			}()
		}
	}()
	return &leaders{l}, nil
}

func (l *leaders) port() uint16 { return uint16(l.Addr().(*net.TCPAddr).Port) }

// fetchSessionID is the id of every fetch session: each connection has one, and forgets nothing since it knows nothing.
const fetchSessionID = 1

func answerFetches(conn net.Conn) error {
	in := bufio.NewReader(conn)
	var frame, reply []byte
	var req wire.FetchRequest
	for {
		var length [wire.FrameHeaderSize]byte
		if _, err := io.ReadFull(in, length[:]); err != nil {
			return err
		}
		n := int(binary.BigEndian.Uint32(length[:]))
		if n > 64<<20 {
			return fmt.Errorf("a frame of %d bytes", n)
		}
		if n > cap(frame) {
			frame = make([]byte, n)
		}
		frame = frame[:n]
		if _, err := io.ReadFull(in, frame); err != nil {
			return err
		}
		h, body, err := wire.ReadRequestHeader(frame)
		if err != nil {
			return err
		}
		if h.Key != wire.KeyFetch {
			return fmt.Errorf("a stub is asked for %s", wire.APIName(h.Key))
		}
		if err := req.Decode(h.Version, body); err != nil {
			return err
		}
		time.Sleep(time.Duration(req.MaxWaitMillis) * time.Millisecond)
		resp := &wire.FetchResponse{Version: h.Version, SessionID: fetchSessionID}
		if reply, err = wire.AppendReply(reply[:0], h, resp); err != nil {
			return err
		}
		if _, err := conn.Write(reply); err != nil {
			return err
		}
	}
}
