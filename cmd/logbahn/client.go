package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// requestTimeout bounds what an administrative command waits for a broker.
const requestTimeout = 15 * time.Second

// brokersFlag adds --brokers to a command and all below it.
func brokersFlag(c *cobra.Command) {
	c.PersistentFlags().StringSliceP("brokers", "b", defaultBrokers(), "addresses of one or more brokers (or LOGBAHN_BROKERS)")
}

func defaultBrokers() []string {
	if addrs := os.Getenv("LOGBAHN_BROKERS"); addrs != "" {
		return strings.Split(addrs, ",")
	}
	return []string{"localhost:9092"}
}

// newClient makes a client, which connects when it is first used.
func newClient(addrs []string, opts ...kgo.Opt) (*kgo.Client, error) {
	if err := checkAddrs(addrs); err != nil {
		return nil, err
	}
	opts = append([]kgo.Opt{kgo.SeedBrokers(addrs...), kgo.ClientID("logbahn-cli"), kgo.SoftwareNameAndVersion("logbahn", version())}, opts...)
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, &cliError{code: exitUsage, err: err}
	}
	return client, nil
}

// checkAddrs finds what cannot be the address of a broker, host or host:port.
func checkAddrs(addrs []string) error {
	if len(addrs) == 0 {
		return usageErrorf("--brokers names no broker")
	}
	for _, addr := range addrs {
		port := "9092"
		if _, p, err := net.SplitHostPort(addr); err == nil {
			port = p
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strings.TrimSpace(addr) == "" || strings.ContainsAny(addr, " /") {
			return usageErrorf("--brokers %q is not of the form host:port", addr)
		}
	}
	return nil
}

// connect makes a client and finds out that a broker answers, so that an unreachable one is reported as such and at
// once.
func connect(c *cobra.Command, opts ...kgo.Opt) (*kgo.Client, error) {
	addrs, err := c.Flags().GetStringSlice("brokers")
	if err != nil {
		return nil, err
	}
	client, err := newClient(addrs, opts...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(c.Context(), 5*time.Second)
	defer cancel()
	if err := client.Ping(ctx); err != nil {
		abandon(client)
		if c.Context().Err() != nil {
			return nil, c.Context().Err()
		}
		return nil, &cliError{
			code: exitUnreachable,
			err:  fmt.Errorf("no broker answers at %s: %w", strings.Join(addrs, ", "), plainly(err)),
			hint: "`logbahn start` starts one here; --brokers or LOGBAHN_BROKERS names another address",
		}
	}
	return client, nil
}

// abandon closes a client whose broker may not answer, without waiting for the ten seconds that its connections give
// it. The goroutine ends with them, or with the command.
func abandon(client *kgo.Client) { go client.Close() }

// plainly takes the client library's own words and the address, which the caller has named, off a failure to connect.
func plainly(err error) error {
	var dial *net.OpError
	var lookup *net.DNSError
	switch {
	case errors.As(err, &lookup):
		return fmt.Errorf("the name %s is not known", lookup.Name)
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("nothing came back in time")
	case errors.As(err, &dial) && dial.Op == "dial":
		var errno syscall.Errno
		if errors.As(dial, &errno) {
			return errno
		}
		return dial.Err
	}
	return err
}

// withAdmin runs do with an administrative client and a deadline.
func withAdmin(c *cobra.Command, do func(ctx context.Context, admin *kadm.Client) error) error {
	client, err := connect(c)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(c.Context(), requestTimeout)
	defer cancel()
	return do(ctx, kadm.NewClient(client))
}

// named says what an error is about. A broker's own words, where it sent some, replace the code's description.
func named(what, name string, err error, message string) error {
	if err == nil {
		return nil
	}
	var partition *missingPartition
	if errors.As(err, &partition) {
		return err
	}
	if message == "" && isNotFound(err) {
		return &missing{what: what, name: name, code: err}
	}
	return fmt.Errorf("%s %q: %w", what, name, brokerSays(err, message))
}

// brokerSays puts the broker's own words, where it sent some, in the place of the code's description.
func brokerSays(err error, message string) error {
	var code *kerr.Error
	if message != "" && errors.As(err, &code) {
		return &brokerError{code: code, message: message}
	}
	return err
}

// missing is a topic or group that does not exist, in plainer words than the code's.
type missing struct {
	what, name string
	code       error
}

func (e *missing) Error() string { return fmt.Sprintf("%s %q does not exist", e.what, e.name) }
func (e *missing) Unwrap() error { return e.code }

// brokerError is a Kafka error with the words that the broker sent along.
type brokerError struct {
	code    *kerr.Error
	message string
}

func (e *brokerError) Error() string { return e.code.Message + ": " + e.message }
func (e *brokerError) Unwrap() error { return e.code }
