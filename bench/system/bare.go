//go:build linux

package system

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// The bare loops do the least that a broker can do: of a Produce request they read the frame, write it to the end of a
// file and send a canned reply; a Fetch request they answer with the header that a reply has and a piece of a file, by
// sendfile. They check nothing, wait for nothing and look at no byte but the API's key.

const (
	// BareFetchBytes is what the reply to a Fetch carries.
	BareFetchBytes = 1 << 20
	// bareFileBytes is how long the file is that is sent, and after which writing begins a new one.
	bareFileBytes = 512 << 20
	bareAhead     = 16 << 20
	cannedReply   = 64
)

type bare struct {
	dir   string
	ahead bool
	files atomic.Int64
	log   *os.File // what is sent, made by the first Fetch
}

func serveBare(ctx context.Context, dir string, port int, ahead bool) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	b := &bare{dir: dir, ahead: ahead}
	if err := b.fill(); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { l.Close() })
	for {
		conn, err := l.Accept()
		if err != nil {
			return nil
		}
		go b.serve(conn.(*net.TCPConn))
	}
}

// fill makes the file that is sent.
func (b *bare) fill() (err error) {
	if b.log, err = os.Create(filepath.Join(b.dir, "sent")); err != nil {
		return err
	}
	piece := make([]byte, 1<<20)
	for at := int64(0); at < bareFileBytes; at += int64(len(piece)) {
		if _, err := b.log.WriteAt(piece, at); err != nil {
			return err
		}
	}
	return nil
}

// serve answers one connection. Each writes files of its own.
func (b *bare) serve(conn *net.TCPConn) {
	defer conn.Close()
	w := writer{bare: b}
	defer w.close()
	sent, err := os.Open(b.log.Name())
	if err != nil {
		return
	}
	defer sent.Close()
	frame := make([]byte, 4, 1<<20)
	at := int64(0)
	for {
		if _, err := io.ReadFull(conn, frame[:4]); err != nil {
			return
		}
		n := int(binary.BigEndian.Uint32(frame[:4]))
		if n > cap(frame) {
			frame = make([]byte, 4, n)
		}
		if _, err := io.ReadFull(conn, frame[:n]); err != nil {
			return
		}
		if key := binary.BigEndian.Uint16(frame); key == 1 {
			err = sendPiece(conn, sent, &at)
		} else if err = w.append(frame[:n]); err == nil {
			_, err = conn.Write(canned[:])
		}
		if err != nil {
			return
		}
	}
}

var canned = func() (b [4 + cannedReply]byte) {
	binary.BigEndian.PutUint32(b[:], cannedReply)
	return b
}()

// BareFetchHeader is how many bytes precede the piece in a reply.
const BareFetchHeader = 64

// sendPiece sends a reply's header and the next piece of the file, the header held back so that both leave together.
func sendPiece(conn *net.TCPConn, sent *os.File, at *int64) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var header [BareFetchHeader]byte
	binary.BigEndian.PutUint32(header[:], BareFetchHeader-4+BareFetchBytes)
	begun, left := false, BareFetchBytes
	var sendErr error
	err = raw.Write(func(fd uintptr) bool {
		if !begun {
			if sendErr = unix.Send(int(fd), header[:], unix.MSG_MORE); sendErr != nil {
				return sendErr != unix.EAGAIN
			}
			begun = true
		}
		for left > 0 {
			n, err := unix.Sendfile(int(fd), int(sent.Fd()), at, left)
			left -= max(n, 0)
			if err == unix.EAGAIN {
				return false
			}
			if err != nil || n == 0 {
				sendErr = err
				return true
			}
		}
		return true
	})
	if *at+BareFetchBytes > bareFileBytes {
		*at = 0
	}
	if err == nil {
		err = sendErr
	}
	return err
}

// writer appends frames to a file, and goes on in a new one when it is long enough.
type writer struct {
	*bare
	file     *os.File
	end      int64
	reserved int64
}

func (w *writer) append(frame []byte) error {
	if w.file == nil || w.end > bareFileBytes {
		if err := w.next(); err != nil {
			return err
		}
	}
	if w.ahead && w.end+int64(len(frame)) > w.reserved {
		if err := unix.Fallocate(int(w.file.Fd()), unix.FALLOC_FL_KEEP_SIZE, w.reserved, bareAhead); err != nil {
			return err
		}
		w.reserved += bareAhead
	}
	_, err := w.file.WriteAt(frame, w.end)
	w.end += int64(len(frame))
	return err
}

func (w *writer) next() (err error) {
	w.close()
	w.file, err = os.Create(filepath.Join(w.dir, "written-"+strconv.FormatInt(w.files.Add(1), 10)))
	w.end, w.reserved = 0, 0
	return err
}

func (w *writer) close() {
	if w.file != nil {
		w.file.Close()
	}
}
