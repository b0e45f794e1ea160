package node

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/vfs"
)

// logLines is a log that a test may read while it is written.
type logLines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func textLog(to *logLines) *slog.Logger { return slog.New(slog.NewTextHandler(to, nil)) }

func startListening(t *testing.T, more ...string) (*Node, *logLines) {
	t.Helper()
	log := &logLines{}
	n, err := Start(t.Context(), Config{FS: vfs.NewMem(), Log: textLog(log),
		Settings: settings(append([]string{"listeners", "PLAINTEXT://127.0.0.1:0"}, more...)...)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, n) })
	return n, log
}

// TestAdvertisedAddress: an address that leads elsewhere, or nowhere, is what most newcomers fail on.
func TestAdvertisedAddress(t *testing.T) {
	other, _ := startListening(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := silent.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	defer silent.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nowhere := closed.Addr().String()
	_ = closed.Close()
	for address, want := range map[string]string{
		other.Addr():           "a broker of another cluster answers there",
		silent.Addr().String(): "what answers there is no Kafka broker",
		nowhere:                "refused",
		"nowhere.invalid:9092": "nowhere.invalid",
	} {
		_, log := startListening(t, "advertised.listeners", "PLAINTEXT://"+address)
		waitUntil(t, func() bool { return strings.Contains(log.String(), "clients are told to connect") })
		if text := log.String(); !strings.Contains(text, want) || !strings.Contains(text, address) {
			t.Errorf("%s: %s", address, text)
		}
	}
	n, _ := startListening(t)
	if err := n.answersAt(t.Context(), n.Addr()); err != nil {
		t.Errorf("its own address: %v", err)
	}
}

// pretend has a broker live at an address, as far as n knows.
func pretend(t *testing.T, n *Node, id int32, address string) {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.BrokerID, req.ClusterID, req.IncarnationID, req.PreviousBrokerEpoch = id, n.ClusterID(), [16]byte{byte(id)}, -1
	l := kmsg.NewBrokerRegistrationRequestListener()
	l.Name, l.Host, l.Port = "PLAINTEXT", host, uint16(number)
	req.Listeners = append(req.Listeners, l)
	resp, err := n.quorum.Do(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	beat := kmsg.NewPtrBrokerHeartbeatRequest()
	beat.BrokerID, beat.BrokerEpoch = id, resp.(*kmsg.BrokerRegistrationResponse).BrokerEpoch
	beat.CurrentMetadataOffset = n.quorum.Image().Offset()
	if _, err := n.quorum.Do(t.Context(), beat); err != nil {
		t.Fatal(err)
	}
}

// TestAddressesOfOthers has other brokers say an address where nobody is, and the one of this broker.
func TestAddressesOfOthers(t *testing.T) {
	n, log := startListening(t, "controlled.shutdown.enable", "false") // there is nobody to hand anything over to
	pretend(t, n, 7, "nowhere.invalid:9092")
	pretend(t, n, 8, n.Addr())
	n.warnOfOthersAddresses()
	for _, want := range []string{
		`another broker tells clients to connect to an address that it is not reached at.* broker=7 .*nowhere\.invalid:9092`,
		`another broker tells clients the same address as this one.* broker=8 .*` + regexp.QuoteMeta(n.Addr()),
	} {
		if text := log.String(); !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("nothing matches %s\n%s", want, text)
		}
	}
	if err := n.brokerAnswersAt(t.Context(), 9, n.Addr()); err == nil || !strings.Contains(err.Error(), "another broker") {
		t.Errorf("broker 9 at the address of this one: %v", err)
	}
}

// TestSilentController has a node wait for another one, and say for which and why.
func TestSilentController(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	silent := closed.Addr().String()
	_ = closed.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	log := &logLines{}
	ended := make(chan error)
	go func() {
		_, err := Start(ctx, Config{FS: vfs.NewMem(), Log: textLog(log), Settings: settings(
			"node.id", "1", "listeners", "PLAINTEXT://127.0.0.1:0", "controller.quorum.voters", "1@127.0.0.1:9,2@"+silent)})
		ended <- err
	}()
	waitUntil(t, func() bool { return strings.Contains(log.String(), "waiting for the controllers") })
	cancel()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), silent) {
		t.Errorf("the start ends with %v", err)
	}
	if text := log.String(); !strings.Contains(text, "no answer from\"="+silent) || !strings.Contains(text, "refused") {
		t.Error(text)
	}
}

// twoLoopbacks is a network where another process listens on one of the two addresses that localhost means.
type twoLoopbacks struct{ tcp }

func (n twoLoopbacks) Listen(address string) (net.Listener, error) {
	if strings.HasPrefix(address, "[::1]") {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	}
	return n.tcp.Listen("127.0.0.1:0")
}

// TestLocalhostIsBothAddresses: clients try one of them first, and would find somebody else there.
func TestLocalhostIsBothAddresses(t *testing.T) {
	_, err := Start(t.Context(), Config{FS: vfs.NewMem(), Network: twoLoopbacks{}, Settings: settings("listeners", "PLAINTEXT://localhost:9092")})
	if !errors.Is(err, ErrPortTaken) || !strings.Contains(err.Error(), "[::1]:") {
		t.Errorf("the start ends with %v", err)
	}
	n, err := Start(t.Context(), Config{FS: vfs.NewMem(), Network: twoLoopbacks{}, Settings: settings("listeners", "PLAINTEXT://localhost:0")})
	if err != nil {
		t.Fatalf("whichever port is free: %v", err)
	}
	stop(t, n)
}

// full is a file system that is nearly full.
type full struct{ vfs.FS }

func (full) Free(string) (int64, error) { return 17 << 20, nil }

func TestDiskNearlyFull(t *testing.T) {
	log := &logLines{}
	n, err := Start(t.Context(), Config{FS: full{vfs.NewMem()}, InProcess: true, Settings: settings("ops.listener", "127.0.0.1:0"), Log: textLog(log)})
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, n)
	waitUntil(t, func() bool { return strings.Contains(log.String(), "nearly full") })
	if status, body := get(t, n, "/healthz"); status != 503 || !strings.Contains(body, "[-] disk space: 17 MiB are left") {
		t.Errorf("%d %s", status, body)
	}
	if status, body := get(t, n, "/readyz"); status != 200 {
		t.Errorf("not ready for lack of room: %s", body)
	}
}

// TestClusterID: an empty directory becomes one of the cluster that is named, and nobody else's later.
func TestClusterID(t *testing.T) {
	fsys := vfs.NewMem()
	begin := func(id string) (*Node, error) {
		return Start(t.Context(), Config{FS: fsys, InProcess: true, Settings: settings("cluster.id", id)})
	}
	n, err := begin("MkU3OEVBNTcwNTJENDM2Qk")
	if err != nil {
		t.Fatal(err)
	}
	stop(t, n)
	if n.ClusterID() != "MkU3OEVBNTcwNTJENDM2Qk" {
		t.Errorf("formatted as of %s", n.ClusterID())
	}
	_, err = begin("4L6g3nShT-eMCtK--X86sw")
	if !errors.Is(err, commitlog.ErrForeignCluster) || !strings.Contains(err.Error(), "MkU3OEVBNTcwNTJENDM2Qk") {
		t.Errorf("in a directory of another cluster: %v", err)
	}
	stop(t, mustStart(t, fsys))
}

// TestRefusedConfiguration: what cannot work is refused before anything is written, with all that is wrong.
func TestRefusedConfiguration(t *testing.T) {
	for _, c := range []struct {
		settings []string
		want     []string
	}{
		{[]string{"num.partitions", "0", "log.retention.check.interval.ms", "soon"}, []string{"num.partitions", "log.retention.check.interval.ms"}},
		{[]string{"log.dirs", "a,b"}, []string{"log.dirs: 2 directories"}},
		{[]string{"controller.quorum.voters", "1@localhost:9093,2@elsewhere:9093"}, []string{"others could not reach it"}},
		{[]string{"authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"}, []string{"authorizer.class.name is refused"}},
		{[]string{"remote.log.storage.system.enable", "true"}, []string{"remote storage is not there yet"}},
		{[]string{"ops.listener", "everywhere"}, []string{"ops.listener cannot be"}},
		{[]string{"cluster.id", "two words"}, []string{"cluster.id cannot be"}},
	} {
		fsys := vfs.NewMem()
		n, err := Start(t.Context(), Config{FS: fsys, InProcess: true, Settings: settings(c.settings...)})
		if err == nil {
			stop(t, n)
			t.Errorf("%v is accepted", c.settings)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v: %v, which does not say %q", c.settings, err, want)
			}
		}
		for _, dir := range []string{"data", "a", "b"} {
			if names, _ := fsys.List(dir); len(names) > 0 {
				t.Errorf("%v left %v in %s", c.settings, names, dir)
			}
		}
	}
}
