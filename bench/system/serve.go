//go:build linux

package system

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/twmb/franz-go/pkg/kfake"
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
