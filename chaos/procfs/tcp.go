package procfs

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Connection is one TCP socket of a process.
type Connection struct {
	Local, Remote netip.AddrPort
	State         string // as ss shows it: ESTAB, SYN-SENT, ...
	// Unsent is how many bytes the peer has not acknowledged, Unread how many the process has not read.
	Unsent, Unread int64
}

func (c Connection) String() string {
	return fmt.Sprintf("%s %v -> %v, %d bytes unsent, %d unread", c.State, c.Local, c.Remote, c.Unsent, c.Unread)
}

// States that callers ask for.
const (
	Established = "ESTAB"
	SynSent     = "SYN-SENT"
)

// states are the names of the kernel's numbers (include/net/tcp_states.h).
var states = []string{1: Established, 2: SynSent, 3: "SYN-RECV", 4: "FIN-WAIT-1", 5: "FIN-WAIT-2", 6: "TIME-WAIT", 7: "CLOSED", 8: "CLOSE-WAIT",
	9: "LAST-ACK", 10: "LISTEN", 11: "CLOSING", 12: "NEW-SYN-RECV"}

// Connections returns the TCP sockets that a process holds, in the order of the kernel's tables.
func Connections(pid int) ([]Connection, error) {
	mine, err := sockets(pid)
	if err != nil {
		return nil, err
	}
	var connections []Connection
	for _, table := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if errors.Is(err, fs.ErrNotExist) { // a kernel without IPv6
			continue
		}
		if err != nil {
			return nil, err
		}
		for line := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n") {
			c, inode, err := parseConnection(line)
			if err != nil {
				return nil, fmt.Errorf("/proc/%d/net/%s: %w", pid, table, err)
			}
			if mine[inode] {
				connections = append(connections, c)
			}
		}
	}
	return connections, nil
}

// sockets returns the inodes of a process's sockets.
func sockets(pid int) (map[string]bool, error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	inodes := map[string]bool{}
	for _, f := range files {
		target, err := os.Readlink(filepath.Join(dir, f.Name()))
		if err != nil { // closed meanwhile
			continue
		}
		if inode, ok := strings.CutPrefix(target, "socket:["); ok {
			inodes[strings.TrimSuffix(inode, "]")] = true
		}
	}
	return inodes, nil
}

// parseConnection takes a line of /proc/net/tcp apart (proc_pid_net_tcp(5)). The table's head is a line without an inode.
func parseConnection(line string) (c Connection, inode string, err error) {
	fields := strings.Fields(line)
	if len(fields) > 0 && fields[0] == "sl" {
		return c, "", nil
	}
	if len(fields) < 10 {
		return c, "", fmt.Errorf("not a socket: %q", line)
	}
	state, failed := strconv.ParseUint(fields[3], 16, 8)
	if failed != nil || state >= uint64(len(states)) {
		return c, "", fmt.Errorf("not a state: %q", fields[3])
	}
	c.State = states[state]
	unsent, unread, _ := strings.Cut(fields[4], ":")
	var errs [4]error
	c.Local, errs[0] = parseAddress(fields[1])
	c.Remote, errs[1] = parseAddress(fields[2])
	c.Unsent, errs[2] = strconv.ParseInt(unsent, 16, 64)
	c.Unread, errs[3] = strconv.ParseInt(unread, 16, 64)
	return c, fields[9], errors.Join(errs[:]...)
}

// parseAddress reads ADDRESS:PORT in hexadecimal digits; the address is a row of 32-bit words in the machine's order.
func parseAddress(text string) (netip.AddrPort, error) {
	address, port, _ := strings.Cut(text, ":")
	words, err := hex.DecodeString(address)
	number, failed := strconv.ParseUint(port, 16, 16)
	if err != nil || failed != nil || len(words)%4 != 0 {
		return netip.AddrPort{}, fmt.Errorf("not an address: %q", text)
	}
	for i := 0; i < len(words); i += 4 {
		binary.NativeEndian.PutUint32(words[i:], binary.BigEndian.Uint32(words[i:]))
	}
	ip, ok := netip.AddrFromSlice(words)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("not an address: %q", text)
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(number)), nil
}
