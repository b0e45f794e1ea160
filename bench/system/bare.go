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
	"sync"

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
	log   *os.File // what is sent
	written
}

// written is the file that all connections append to, as they would to one partition.
type written struct {
	sync.Mutex
	file     *os.File
	end      int64
	reserved int64
	files    int
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
		} else if err = b.append(frame[:n]); err == nil {
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

// append writes a frame behind the others, and begins a new file when the present one is long enough.
func (b *bare) append(frame []byte) error {
	file, at, err := b.place(int64(len(frame)))
	if err == nil {
		_, err = file.WriteAt(frame, at)
	}
	return err
}

// place gives n bytes their place. Files are left open: there are few, and others may be writing to them.
func (b *bare) place(n int64) (file *os.File, at int64, err error) {
	b.Lock()
	defer b.Unlock()
	if b.file == nil || b.end > bareFileBytes {
		if b.file, err = os.Create(filepath.Join(b.dir, "written-"+strconv.Itoa(b.files))); err != nil {
			return nil, 0, err
		}
		b.end, b.reserved, b.files = 0, 0, b.files+1
	}
	if b.ahead && b.end+n > b.reserved {
		if err := unix.Fallocate(int(b.file.Fd()), unix.FALLOC_FL_KEEP_SIZE, b.reserved, bareAhead); err != nil {
			return nil, 0, err
		}
		b.reserved += bareAhead
	}
	at = b.end
	b.end += n
	return b.file, at, nil
}
