//go:build linux

package procfs

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"
)

func TestConnectionsOfThisProcess(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, family := range []string{"tcp4", "tcp6"} {
		address := listener.Addr().String()
		if family == "tcp6" { // as Java connects to IPv4: by a mapped address
			other, err := net.Listen("tcp6", "[::1]:0")
			if err != nil {
				t.Logf("this machine has no IPv6: %v", err)
				continue
			}
			defer other.Close()
			address = other.Addr().String()
		}
		connection, err := net.Dial(family, address)
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		if _, err := connection.Write([]byte("three")); err != nil {
			t.Fatal(err)
		}
		local := netip.MustParseAddrPort(connection.LocalAddr().String())
		all, err := Connections(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(all, func(c Connection) bool { return c.Local == local })
		if i < 0 || all[i].State != Established || all[i].Remote != netip.MustParseAddrPort(address) {
			t.Errorf("%s: no established connection from %v to %v in %v", family, local, address, all)
		}
	}
	if _, err := Connections(1 << 30); err == nil {
		t.Error("a process that is not there has connections")
	}
}

func TestParseConnection(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the lines below are those of a little-endian machine")
	}
	for _, c := range []struct {
		line  string
		want  Connection
		inode string
		fails bool
	}{
		{line: "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"},
		{"   3: FE4D0A0A:B2F4 014D0A0A:2384 02 00000001:00000000 01:00000064 00000000     0        0 4711 2 0000 1000", Connection{
			netip.MustParseAddrPort("10.10.77.254:45812"), netip.MustParseAddrPort("10.10.77.1:9092"), SynSent, 1, 0}, "4711", false},
		{"   0: 0000000000000000FFFF0000FE4D0A0A:1000 0000000000000000FFFF0000014D0A0A:2384 08 00000000:000000FF 00:00000000 00000000 0 0 12 1", Connection{
			netip.MustParseAddrPort("10.10.77.254:4096"), netip.MustParseAddrPort("10.10.77.1:9092"), "CLOSE-WAIT", 0, 255}, "12", false},
		{line: "   0: 0100007F:1000", fails: true},
		{line: "   3: 00FE4D0A0A:B2F4 014D0A0A:2384 02 00000001:00000000 01:00000064 00000000 0 0 4711", fails: true},
		{line: "   3: FE4D0A0A:B2F4 014D0A0A:2384 FF 00000001:00000000 01:00000064 00000000 0 0 4711", fails: true},
	} {
		got, inode, err := parseConnection(c.line)
		if (err != nil) != c.fails || !c.fails && (got != c.want || inode != c.inode) {
			t.Errorf("%q: %v, %q, %v", c.line, got, inode, err)
		}
	}
}

func TestThreads(t *testing.T) {
	threads, err := Threads(os.Getpid())
	if err != nil || !slices.ContainsFunc(threads, func(thread Thread) bool { return thread.ID == os.Getpid() }) {
		t.Errorf("the first thread is not among %v: %v", threads, err)
	}
	got, err := parseThread("42 (a) (b) S 1 42 42 0 -1 4194560 1 0 0 0 150 51 0 0 20 0 1 0\n")
	if want := (Thread{ID: 42, Name: "a) (b", State: "S", Used: 2010 * time.Millisecond}); got != want || err != nil {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	for _, bad := range []string{"", "42 S", "x (a) S 1", "42 (a) S 1 2"} {
		if _, err := parseThread(bad); err == nil {
			t.Errorf("%q is a thread", bad)
		}
	}
}

func TestLoad(t *testing.T) {
	if l, err := ReadLoad(); err != nil || l.Average < 0 {
		t.Errorf("%+v, %v", l, err)
	}
	got, err := parseLoad("22.10 3.93 2.57 18/145 25859\n", "some avg10=64.23 avg60=66.73 avg300=43.95 total=37437597812\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n")
	if want := (Load{22.1, 37437597812 * time.Microsecond, true}); got != want || err != nil {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if got, err := parseLoad("1.00 1 1\n", ""); got != (Load{Average: 1}) || err != nil {
		t.Errorf("without pressure: %+v, %v", got, err)
	}
	for _, bad := range [][2]string{{"", ""}, {"x", ""}, {"1.0 ", "full total=3"}, {"1.0 ", "some avg10=1"}} {
		if _, err := parseLoad(bad[0], bad[1]); err == nil {
			t.Errorf("%q is a load", bad)
		}
	}
}
