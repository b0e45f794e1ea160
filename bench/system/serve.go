//go:build linux

package system

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof" // the probe is there to be profiled
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/logbahn/logbahn"
)

// Serve runs one of the peers that are libraries until SIGTERM: what, data directory, port.
func Serve(args []string) error {
	if len(args) != 3 {
		return errors.New("serve wants: what, directory, port")
	}
	port, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	switch what, dir := args[0], args[1]; what {
	case "logbahn":
		return serveLogbahn(ctx, dir, port)
	case "kfake-memory":
		return serveKfake(ctx, port)
	case "kfake-disk":
		return serveKfake(ctx, port, kfake.DataDir(dir))
	case "kfake-sync":
		return serveKfake(ctx, port, kfake.DataDir(dir), kfake.SyncWrites())
	case "nats":
		return serveNATS(ctx, dir, port, false)
	case "nats-sync":
		return serveNATS(ctx, dir, port, true)
	case "bare":
		return serveBare(ctx, dir, port, false)
	case "bare-ahead":
		return serveBare(ctx, dir, port, true)
	default:
		return fmt.Errorf("nothing to serve is called %q", what)
	}
}

func serveKfake(ctx context.Context, port int, opts ...kfake.Opt) error {
	opts = append(opts, kfake.Ports(port), kfake.NumBrokers(1))
	c, err := kfake.NewCluster(opts...)
	if err != nil {
		return err
	}
	defer c.Close()
	<-ctx.Done()
	return nil
}

func serveNATS(ctx context.Context, dir string, port int, syncAlways bool) error {
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, SyncAlways: syncAlways, NoSigs: true, NoLog: true,
		JetStreamMaxMemory: -1, JetStreamMaxStore: -1, MaxPayload: 8 << 20,
	})
	if err != nil {
		return err
	}
	s.Start()
	defer s.Shutdown()
	<-ctx.Done()
	return nil
}

// serveLogbahn runs a node with a port beside it, one above its own, that tells what /proc does not: /mallocs, the
// allocations so far, /trim, which frees what can be freed, and pprof's profiles.
func serveLogbahn(ctx context.Context, dir string, port int) error {
	flush := os.Getenv("PROBE_FLUSH")
	if flush == "" {
		flush = "os"
	}
	http.HandleFunc("/mallocs", func(w http.ResponseWriter, _ *http.Request) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		fmt.Fprint(w, m.Mallocs)
	})
	http.HandleFunc("/trim", func(http.ResponseWriter, *http.Request) { debug.FreeOSMemory() })
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port+1))
	if err != nil {
		return err
	}
	go func() { _ = http.Serve(l, nil) }() // before the node, which is taken for ready when it answers
	node, err := logbahn.Start(ctx, logbahn.Config{
		Dir: dir, Listeners: []string{"127.0.0.1:" + strconv.Itoa(port)}, Settings: map[string]string{"flush": flush},
	})
	if err != nil {
		return err
	}
	<-ctx.Done()
	stop, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return node.Stop(stop)
}
