package sim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/logbahn/logbahn/internal/config"
)

const (
	brokerPort = 9092
	dialMax    = time.Second // of a client
)

// Config says what a cluster is like.
type Config struct {
	Seed     uint64
	Machines int               // voters and brokers, one node each
	Settings map[string]string // of every node, over those of the simulation
}

// Cluster is machines, the hosts of clients, and the network between them.
type Cluster struct {
	Network  *Network
	Machines []*Machine
	Trace    *Trace
	Rand     *rand.Rand // of who injects faults: one goroutine

	clients []*Host
}

// New returns a cluster whose machines are down.
func New(cfg Config) *Cluster {
	trace := NewTrace()
	c := &Cluster{Network: NewNetwork(cfg.Seed, trace), Trace: trace, Rand: rand.New(rand.NewPCG(cfg.Seed, 2))}
	for id := 1; id <= cfg.Machines; id++ {
		host := c.Network.AddHost("node-"+strconv.Itoa(id), "10.0.0."+strconv.Itoa(id))
		c.Machines = append(c.Machines, newMachine(int32(id), host, settings(cfg, id), trace))
	}
	return c
}

func machineAddress(id int) string {
	return net.JoinHostPort("10.0.0."+strconv.Itoa(id), strconv.Itoa(brokerPort))
}

// settings are a node's: small, so that much happens in a minute.
func settings(cfg Config, id int) config.Settings {
	replicas, insync := min(cfg.Machines, 3), 1
	if replicas == 3 {
		insync = 2
	}
	all := map[string]string{
		"node.id":                                  strconv.Itoa(id),
		"log.dirs":                                 dataDir,
		"listeners":                                "PLAINTEXT://" + machineAddress(id),
		"ops.listener":                             config.OpsOff,
		"num.partitions":                           "3",
		"default.replication.factor":               strconv.Itoa(replicas),
		"min.insync.replicas":                      strconv.Itoa(insync),
		"offsets.topic.num.partitions":             "2",
		"offsets.topic.replication.factor":         strconv.Itoa(replicas),
		"transaction.state.log.replication.factor": strconv.Itoa(replicas),
		"transaction.state.log.min.isr":            strconv.Itoa(insync),
		"group.initial.rebalance.delay.ms":         "0",
		"auto.create.topics.enable":                "false",
		// A clock that is a year behind would refuse what its clients send; that is right, and no finding.
		"log.message.timestamp.after.max.ms": strconv.FormatInt(math.MaxInt64, 10),
	}
	if cfg.Machines > 1 {
		var voters []string
		for v := 1; v <= cfg.Machines; v++ {
			voters = append(voters, strconv.Itoa(v)+"@"+machineAddress(v))
		}
		all["controller.quorum.voters"] = strings.Join(voters, ",")
	}
	maps.Copy(all, cfg.Settings)
	var s config.Settings
	for _, key := range slices.Sorted(maps.Keys(all)) {
		s = append(s, config.Setting{Name: key, Value: all[key], Origin: "sim"})
	}
	return s
}

// Start starts every machine that is down.
func (c *Cluster) Start() {
	for _, m := range c.Machines {
		m.Start()
	}
}

// AddClient adds a host for clients.
func (c *Cluster) AddClient(name string) *Host {
	c.clients = append(c.clients, c.Network.AddHost(name, "10.0.1."+strconv.Itoa(len(c.clients)+1)))
	return c.clients[len(c.clients)-1]
}

// Client returns a franz-go client on a host. The caller closes it.
func (c *Cluster) Client(host *Host, opts ...kgo.Opt) (*kgo.Client, error) {
	process := host.Process()
	var seeds []string
	for _, m := range c.Machines {
		seeds = append(seeds, m.Address(brokerPort))
	}
	dial := func(ctx context.Context, _, address string) (net.Conn, error) { // kgo.DialTimeout is for its own dialer
		ctx, cancel := context.WithTimeout(ctx, dialMax)
		defer cancel()
		return process.Dial(ctx, address)
	}
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(seeds...), kgo.Dialer(dial)}, opts...)...)
}

// Heal ends all faults and starts all machines.
func (c *Cluster) Heal() {
	c.Network.HealAll()
	for _, m := range c.Machines {
		m.Resume()
		m.WellDisk()
		m.SetClock()
		if m.Down() {
			m.PowerOn()
		}
	}
}

// Close stops all machines, and returns when none of their goroutines runs any more.
func (c *Cluster) Close() error {
	var errs []error
	for _, m := range c.Machines {
		errs = append(errs, m.close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("sim: %w", err)
	}
	return nil
}
