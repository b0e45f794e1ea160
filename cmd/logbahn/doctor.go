package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
)

type doctorObject struct {
	Findings []finding   `json:"findings" doc:"what is wrong; empty: nothing"`
	Checks   []checkedOn `json:"checks" doc:"what was looked at"`
	Clients  []clientRow `json:"clients" doc:"clients that the broker has seen, if its operations endpoint answers"`
}

// finding is something wrong, why that matters and what to do about it.
type finding struct {
	Check string `json:"check" doc:"which check found it"`
	What  string `json:"what" doc:"what is wrong"`
	Why   string `json:"why" doc:"why it matters"`
	Do    string `json:"do" doc:"what to do"`
}

type checkedOn struct {
	Check  string `json:"check" doc:"name"`
	State  string `json:"state" doc:"ok, wrong or skipped"`
	Detail string `json:"detail" doc:"what was found, or why it was skipped"`
}

// doctor looks at a broker from outside, as a client on this machine sees it.
type doctor struct {
	doctorObject
	addrs   []string
	opsAddr string // "": where the broker says, else the default
	dataDir string

	seed      *kgo.Client // knows only the address that was given
	reached   string      // that address
	brokers   []clusterBroker
	clusterID string
}

// doctorClientID is the name under which the doctor asks, by which it knows the broker's operations endpoint.
const doctorClientID = "logbahn-doctor"

// doctorPatience is for each thing that the doctor asks for.
const doctorPatience = 3 * time.Second

func doctorCommand() *cobra.Command {
	d := &doctor{}
	c := &cobra.Command{Use: "doctor", Short: "Find what keeps clients from a broker, or will: addresses, disks, limits, clocks, refusals", Args: exactArgs(0),
		Long: "Looks at a broker as a client on this machine sees it, and says of everything that is wrong what it is, why it matters and\n" +
			"what to do. Connects to --brokers, tries every address that the brokers advertise, asks for the space of their disks,\n" +
			"compares clocks, and reads what the operations endpoint (--ops) knows of clients and limits.\n" +
			"The exit code is 0 when nothing is wrong and 1 with findings.",
		Example:           "  logbahn doctor\n  logbahn doctor -b kafka.example:9092 -o json\n  logbahn doctor --data /var/lib/logbahn",
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(c *cobra.Command, _ []string) error { return d.run(c) }}
	brokersFlag(c)
	c.Flags().StringVar(&d.opsAddr, "ops", "", "address of the broker's operations endpoint (default: what its ops.listener says)")
	c.Flags().StringVar(&d.dataDir, "data", "", "look at this data directory on this machine too")
	outputFlag(c)
	return c
}

func (d *doctor) run(c *cobra.Command) error {
	var err error
	if d.addrs, err = c.Flags().GetStringSlice("brokers"); err != nil {
		return err
	}
	d.Findings, d.Checks, d.Clients = []finding{}, []checkedOn{}, []clientRow{}
	ctx := c.Context()
	if d.reach(ctx) {
		defer d.seed.Close()
		d.advertised(ctx)
		d.disks(ctx)
		d.clock(ctx)
		d.operations(ctx)
	} else {
		for _, check := range []string{"advertised", "disks", "clock", "clients", "files"} {
			d.skip(check, "no broker answers")
		}
	}
	if d.dataDir != "" {
		d.data()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := d.show(c); err != nil {
		return err
	}
	if n := len(d.Findings); n > 0 {
		return errors.New(counted(n, "finding"))
	}
	return nil
}

func (d *doctor) ok(check, format string, args ...any) {
	d.Checks = append(d.Checks, checkedOn{check, "ok", fmt.Sprintf(format, args...)})
}

func (d *doctor) skip(check, format string, args ...any) {
	d.Checks = append(d.Checks, checkedOn{check, "skipped", fmt.Sprintf(format, args...)})
}

func (d *doctor) wrong(check, what, why, do string) {
	d.Checks = append(d.Checks, checkedOn{check, "wrong", what})
	d.Findings = append(d.Findings, finding{check, what, why, do})
}

func (d *doctor) show(c *cobra.Command) error {
	if !forPeople(c) {
		return show(c, d.doctorObject, "", nil)
	}
	err := show(c, nil, "CHECK STATE DETAIL", func(line func(...any)) {
		for _, r := range d.Checks {
			line(r.Check, painted{r.State, map[string]colour{"ok": green, "wrong": red}[r.State]}, r.Detail)
		}
	})
	if err != nil {
		return err
	}
	out := c.OutOrStdout()
	for _, f := range d.Findings {
		fmt.Fprintf(out, "\n%s\n  why  %s\n  do   %s\n", paint(painted{printable(f.What), bold}, hasColours(out)), printable(f.Why), printable(f.Do))
	}
	return d.showClients(c, out)
}

func (d *doctor) showClients(c *cobra.Command, out io.Writer) error {
	if len(d.Clients) == 0 {
		return nil
	}
	fmt.Fprintln(out)
	return show(c, nil, "CLIENT SOFTWARE VERSION ADDRESS SEEN ERRORS REFUSED | APIS", func(line func(...any)) {
		for _, r := range d.Clients {
			var apis []string
			for _, a := range r.APIs {
				apis = append(apis, a.text())
			}
			line(orDash(r.ClientID), orDash(r.Software), orDash(r.Version), r.Address, r.LastSeen.Format(time.DateTime), r.errors(), r.refusals(), strings.Join(apis, " "))
		}
	})
}

// isLoopback tells whether an address, host:port, can only be this machine.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = addr
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// try connects to an address and hangs up.
func try(ctx context.Context, addr string) error {
	dialer := net.Dialer{Timeout: doctorPatience}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return plainly(err)
	}
	return conn.Close()
}
