package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
)

// The releases that install.sh provides.
const (
	V43 = "4.3.1"
	V39 = "3.9.1"
	V09 = "0.9.0.1"
)

// startTimeout is how long a broker may take until it answers; on a busy machine a JVM needs most of it.
const startTimeout = 2 * time.Minute

// Broker is one running Apache Kafka, or a cluster of them.
type Broker struct {
	Version   string
	Addr      string // host:port of the client listener, of several brokers with commas between
	ZooKeeper string // host:port, 0.9.0.1 only

	jars      string
	processes []*process // in the order of their start
}

// Start runs so many brokers of the release from installed, the directory that install.sh has filled, with their data in
// dir. properties are lines of server.properties that are added to what each broker needs.
func Start(ctx context.Context, installed, version, dir string, brokers int, properties ...string) (*Broker, error) {
	ports, err := freePorts(2 * brokers)
	if err != nil {
		return nil, err
	}
	addrs, others := ports[:brokers], ports[brokers:]
	b := &Broker{Version: version, Addr: strings.Join(addrs, ",")}
	switch version {
	case V43:
		b.jars = filepath.Join(installed, "java", "lib", "*")
		err = b.startKRaft(dir, addrs, others, properties)
	case V39:
		b.jars = filepath.Join(installed, "java-3.9", "lib", "*")
		err = b.startKRaft(dir, addrs, others, properties)
	case V09:
		b.jars, b.ZooKeeper = filepath.Join(installed, "kafka-"+V09, "libs", "*"), others[0]
		err = b.startWithZooKeeper(ctx, dir, addrs, properties)
	default:
		return nil, fmt.Errorf("kafka %s: install.sh has no such release", version)
	}
	if err == nil {
		err = b.awaitAnswer(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("kafka %s: %w", version, err), b.Stop())
	}
	return b, nil
}

// Stop ends the broker, then what it needs.
func (b *Broker) Stop() error {
	var err error
	for i := len(b.processes) - 1; i >= 0; i-- {
		err = errors.Join(err, b.processes[i].stop())
	}
	b.processes = nil
	return err
}

func (b *Broker) startKRaft(dir string, addrs, controllers, properties []string) error {
	var voters []string
	for i, controller := range controllers {
		voters = append(voters, fmt.Sprintf("%d@%s", i+1, controller))
	}
	for i, addr := range addrs {
		own := filepath.Join(dir, strconv.Itoa(i+1))
		file, err := writeProperties(own, "server.properties", slices.Concat([]string{
			"process.roles=broker,controller",
			"node.id=" + strconv.Itoa(i+1),
			"controller.quorum.voters=" + strings.Join(voters, ","),
			"controller.listener.names=CONTROLLER",
			"listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
			"listeners=PLAINTEXT://" + addr + ",CONTROLLER://" + controllers[i],
			"advertised.listeners=PLAINTEXT://" + addr,
			"log.dirs=" + filepath.ToSlash(filepath.Join(own, "data")),
			// On a busy machine the controller would take its own broker for dead.
			"broker.session.timeout.ms=60000",
		}, internalTopics(len(addrs)), properties))
		if err != nil {
			return err
		}
		format := exec.Command("java", "-cp", b.jars, "-Xmx256m", "kafka.tools.StorageTool", "format", "-t", "bG9nYmFobiBpbnRlcm9wIQ", "-c", file)
		if out, err := format.CombinedOutput(); err != nil {
			return fmt.Errorf("format: %w\n%s", err, out)
		}
		if err := b.start("kafka.Kafka", file); err != nil {
			return err
		}
	}
	return nil
}

// internalTopics gives the topics that Kafka makes for itself as many replicas as there are brokers for.
func internalTopics(brokers int) []string {
	replicas, inSync := strconv.Itoa(min(brokers, 3)), strconv.Itoa(min(brokers, 2))
	return []string{
		"offsets.topic.replication.factor=" + replicas,
		"transaction.state.log.replication.factor=" + replicas,
		"transaction.state.log.min.isr=" + inSync,
		"share.coordinator.state.topic.replication.factor=" + replicas,
		"share.coordinator.state.topic.min.isr=" + inSync,
	}
}

func (b *Broker) startWithZooKeeper(ctx context.Context, dir string, addrs, properties []string) error {
	host, port, _ := strings.Cut(b.ZooKeeper, ":")
	file, err := writeProperties(dir, "zookeeper.properties", []string{
		"dataDir=" + filepath.ToSlash(filepath.Join(dir, "zookeeper")), "clientPort=" + port, "clientPortAddress=" + host,
	})
	if err != nil {
		return err
	}
	if err := b.start("org.apache.zookeeper.server.quorum.QuorumPeerMain", file); err != nil {
		return err
	}
	if err := b.await(ctx, func(ctx context.Context) error { return dial(ctx, b.ZooKeeper) }); err != nil {
		return err
	}
	for i, addr := range addrs {
		own := filepath.Join(dir, strconv.Itoa(i+1))
		file, err := writeProperties(own, "server.properties", append([]string{
			"broker.id=" + strconv.Itoa(i+1),
			"zookeeper.connect=" + b.ZooKeeper,
			"listeners=PLAINTEXT://" + addr,
			"log.dirs=" + filepath.ToSlash(filepath.Join(own, "data")),
		}, properties...))
		if err != nil {
			return err
		}
		if err := b.start("kafka.Kafka", file); err != nil {
			return err
		}
	}
	return nil
}

// Run runs a class of the release, for instance one of its tools, and returns what it printed.
func (b *Broker) Run(ctx context.Context, class string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "java", append([]string{"-cp", b.jars, "-Xmx256m", class}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", class, strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// StopOne stops one of several KRaft brokers, by its id, and KillOne kills it. StartOne starts it again and does not wait for it.
func (b *Broker) StopOne(id int) error { return b.processes[id-1].stop() }

// KillOne is described at StopOne.
func (b *Broker) KillOne(id int) error { return b.processes[id-1].kill() }

// StartOne is described at StopOne.
func (b *Broker) StartOne(id int) error {
	p, err := startProcess(b.processes[id-1].args)
	if err == nil {
		b.processes[id-1] = p
	}
	return err
}

func (b *Broker) start(class, properties string) error {
	p, err := startProcess([]string{"-cp", b.jars, "-Xmx384m", "-XX:+UseSerialGC", class, properties})
	if err == nil {
		b.processes = append(b.processes, p)
	}
	return err
}

// awaitAnswer returns when each broker has answered a request and knows all others. 0.9 knows no ApiVersions and closes the
// connection that asks for it.
func (b *Broker) awaitAnswer(ctx context.Context) error {
	addrs := strings.Split(b.Addr, ",")
	for _, addr := range addrs {
		opts := []kgo.Opt{kgo.SeedBrokers(addr)}
		if b.Version == V09 {
			opts = append(opts, kgo.MaxVersions(kversion.V0_9_0()))
		}
		err := b.await(ctx, func(ctx context.Context) error {
			client, err := kgo.NewClient(opts...)
			if err != nil {
				return err
			}
			defer client.Close()
			known, err := kadm.NewClient(client).ListBrokers(ctx)
			if err == nil && len(known) != len(addrs) {
				err = fmt.Errorf("%s knows brokers %v", addr, known.NodeIDs())
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// await tries until attempt succeeds, the youngest process ends, or the time is up.
func (b *Broker) await(ctx context.Context, attempt func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	p := b.processes[len(b.processes)-1]
	for {
		once, stop := context.WithTimeout(ctx, 5*time.Second)
		err := attempt(once)
		stop()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no answer: %w", err)
		case <-p.done:
			return fmt.Errorf("ended: %s\n%s", p.cmd.ProcessState, p.output.String())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func dial(ctx context.Context, addr string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return conn.Close()
}

// freePorts returns n addresses of loopback that nobody listened on a moment ago.
func freePorts(n int) ([]string, error) {
	var addrs []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}

func writeProperties(dir, name string, lines []string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	return path, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}
