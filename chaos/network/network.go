package network

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync"
)

const (
	bridge = "logbahn0"
	subnet = "10.77.0."
	// Outside is the address of everybody who is in no node's namespace.
	Outside = subnet + "254"
)

// Address is the address of node i, 1 to 250.
func Address(i int) string { return subnet + strconv.Itoa(i) }

func namespace(i int) string { return "n" + strconv.Itoa(i) }

// Network is the namespaces of a number of nodes.
type Network struct {
	nodes int
	mu    sync.Mutex
	rules map[int][]string // by the node that drops
}

// New makes the bridge and the namespaces of nodes 1 to n.
func New(n int) (*Network, error) {
	commands := []string{
		"ip link add " + bridge + " type bridge",
		"ip addr add " + Outside + "/24 dev " + bridge,
		"ip link set " + bridge + " up",
	}
	for i := 1; i <= n; i++ {
		ns, port := namespace(i), "port"+strconv.Itoa(i)
		commands = append(commands,
			"ip netns add "+ns,
			"ip link add "+port+" type veth peer name eth0 netns "+ns,
			"ip link set "+port+" master "+bridge,
			"ip link set "+port+" up",
			"ip -n "+ns+" addr add "+Address(i)+"/24 dev eth0",
			"ip -n "+ns+" link set eth0 up",
			"ip -n "+ns+" link set lo up")
	}
	for _, command := range commands {
		args := strings.Fields(command)
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %w: %s", command, err, out)
		}
	}
	return &Network{nodes: n, rules: map[int][]string{}}, nil
}

// Command is exec.CommandContext in the namespace of node i. The process is the program itself, so that signals reach
// it.
func (*Network) Command(ctx context.Context, i int, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "nsenter", append([]string{"--net=/run/netns/" + namespace(i), "--", name}, args...)...)
}

// Drop lets node `at` lose what comes from an address.
func (n *Network) Drop(at int, from string) error {
	return n.change(at, "ip saddr "+from+" drop")
}

// Lose lets node `at` lose that many of a hundred packets that come from other nodes and from clients, 1 to 100.
func (n *Network) Lose(at, percent int) error {
	some := ""
	if percent < 100 {
		some = fmt.Sprintf(" numgen random mod 100 < %d", percent)
	}
	return n.change(at, "ip saddr "+subnet+"0/24 ip saddr != "+Address(at)+some+" drop")
}

// Cut separates two nodes, both ways.
func (n *Network) Cut(a, b int) error {
	if err := n.Drop(a, Address(b)); err != nil {
		return err
	}
	return n.Drop(b, Address(a))
}

// CutClients separates node i from the clients, both ways: it loses what they send, and what it sends is an answer.
func (n *Network) CutClients(i int) error { return n.Drop(i, Outside) }

// Isolate separates node i from all nodes and from the clients.
func (n *Network) Isolate(i int) error {
	for other := 1; other <= n.nodes; other++ {
		if other != i {
			if err := n.Cut(i, other); err != nil {
				return err
			}
		}
	}
	return n.CutClients(i)
}

// Heal ends all cuts and losses.
func (n *Network) Heal() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := 1; i <= n.nodes; i++ {
		n.rules[i] = nil
		if err := n.load(i); err != nil {
			return err
		}
	}
	return nil
}

func (n *Network) change(at int, rule string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rules[at] = append(n.rules[at], rule)
	return n.load(at)
}

// load puts a node's rules in force, all at once.
func (n *Network) load(i int) error {
	table := "table inet chaos {}\ndelete table inet chaos\n"
	if rules := n.rules[i]; len(rules) > 0 {
		table += "table inet chaos {\nchain arriving {\ntype filter hook input priority 0;\n" + strings.Join(rules, "\n") + "\n}\n}\n"
	}
	cmd := n.Command(context.Background(), i, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(table)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft of node %d: %w: %s: %s", i, err, out, table)
	}
	return nil
}
