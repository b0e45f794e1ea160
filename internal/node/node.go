package node

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net"
	"path"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/broker"
	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/config"
	"github.com/logbahn/logbahn/internal/coordinator"
	"github.com/logbahn/logbahn/internal/listener"
	"github.com/logbahn/logbahn/internal/ops"
	"github.com/logbahn/logbahn/internal/partition"
	"github.com/logbahn/logbahn/internal/peer"
	"github.com/logbahn/logbahn/internal/proxy"
	"github.com/logbahn/logbahn/internal/quorum"
	"github.com/logbahn/logbahn/internal/vfs"
)

// Config is what a node is started with.
type Config struct {
	FS      vfs.FS  // vfs.Disk() when nil
	Network Network // TCP when nil
	// Now is the wall clock, time.Now when nil. It may jump: what is measured, sessions of groups among it, is measured
	// with the system's monotonic one.
	Now func() time.Time
	// Settings are Kafka's broker keys; what is missing has its default.
	Settings config.Settings
	// InProcess opens no socket: the node is reached by Dial only.
	InProcess bool
	// OpsListener is where the operations endpoint listens when ops.listener does not say; "" is nowhere. That this
	// address is taken is a warning; that one of the settings is, an error.
	OpsListener string
	Version     string       // of the program, for those who ask the endpoint
	Log         *slog.Logger // discarded when nil
}

// Node is a running broker.
type Node struct {
	cfg    Config
	static map[string]string
	broker config.Broker
	log    *slog.Logger

	fs      *vfs.Severable
	dir     *commitlog.Dir
	metaLog *commitlog.Log
	quorum  *quorum.Quorum
	opened  chan struct{}  // closed when quorum is there
	voters  []quorum.Voter // who begins the cluster, or whom to follow
	set     *partition.Set
	groups  *coordinator.Groups
	server  *broker.Broker
	proxy   *proxy.Proxy
	serves  chan struct{} // closed when clients are answered
	serving []*serving

	// The ways to other nodes.
	controllers     *peer.Peers // by their listeners for controllers
	controllerWatch controllerWatch
	brokers         *peer.Peers // by their listeners between brokers
	lookout         *lookout    // nil on a node that never is the controller of others
	raft            *peer.Raft

	limiting     sync.Mutex    // the newest limits on connections are the last to be set
	reconfigured chan struct{} // has a token when the cluster has said something new about brokers
	// reconfiguring is the image that said so, which the quorum publishes only when all subscribers have seen it.
	reconfiguring atomic.Pointer[cluster.Image]

	brokerEpoch atomic.Int64 // of the latest registration
	alive       liveness

	ops     *ops.Server // nil: there is none
	clients *ops.Clients
	changes ops.Changes

	stop    chan struct{}
	killing chan struct{} // closed by Kill
	// changing ends when a stop does not wait any longer for what the cluster is asked to change.
	changing   context.Context
	endChanges context.CancelFunc
	stopOnce   sync.Once
	stopErr    error
	running    sync.WaitGroup
	done       chan struct{}
	failure    error // set before done is closed
	killed     atomic.Bool
	// undrained: the stop hands nothing over.
	undrained atomic.Bool
}

// serving is one listener with its sockets.
type serving struct {
	config.Listener      // as bound: the port is the real one
	controllers     bool // nodes may ask what only nodes may
	brokers         bool // it is the one between brokers
	proxy           bool // it shows its clients one node
	sockets         []net.Listener
	receiveBytes    int // of the connections' buffers, -1 for the system's own
	sendBytes       int
	server          atomic.Pointer[listener.Server] // nil until it serves
}

// How often replicas see time pass. A follower that lags leaves its in-sync set a quarter of the lag time late at most.
const (
	tickIntervalMin = 100 * time.Millisecond
	tickIntervalMax = 5 * time.Second
)

func (n *Node) tickInterval() time.Duration {
	return min(tickIntervalMax, max(tickIntervalMin, milliseconds(n.broker.Replication.LagTimeMaxMs)/4))
}

// Start starts a node; the context bounds the start only.
func Start(ctx context.Context, cfg Config) (_ *Node, err error) {
	n := &Node{
		cfg: cfg, reconfigured: make(chan struct{}, 1), opened: make(chan struct{}), serves: make(chan struct{}),
		stop: make(chan struct{}), killing: make(chan struct{}), done: make(chan struct{}),
	}
	n.changing, n.endChanges = context.WithCancel(context.Background())
	if n.cfg.Log == nil {
		n.cfg.Log = slog.New(slog.DiscardHandler)
	}
	n.log = slog.New(silenced{n.cfg.Log.Handler(), &n.killed})
	if n.cfg.FS == nil {
		n.cfg.FS = vfs.Disk()
	}
	n.fs = vfs.NewSeverable(n.cfg.FS)
	if n.cfg.Network == nil {
		n.cfg.Network = tcp{}
	}
	if err := n.configure(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
			defer cancel()
			err = errors.Join(err, n.Stop(stopCtx))
		}
	}()
	for _, step := range []func(context.Context) error{
		n.bind, n.openOps, n.openDir, n.openPeers, n.serveControllers, n.form, n.openQuorum, n.register, n.openReplicas, n.unfence, n.serve,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	n.opsState(ops.Ready)
	// Not before: a failure stops what has been started, and must not do so while more is being started.
	n.running.Add(2)
	go n.watch()
	go n.warn()
	// A broker has registered, and knows who votes. It looks here, and not while it runs: who takes its vote away then means it.
	if n.isController() && !n.alone() && (!n.isBroker() || n.nextVote(n.quorum.Status().Members, false) != nil) {
		n.running.Add(1)
		go n.vote()
	}
	return n, nil
}

// configure checks the settings and refuses what this release cannot do.
func (n *Node) configure() error {
	var wrong []error
	for _, p := range n.cfg.Settings.Check() {
		if p.Fatal {
			wrong = append(wrong, errors.New(p.String()))
		} else {
			n.log.Warn("configuration", "problem", p.String())
		}
	}
	if len(wrong) > 0 {
		return errors.Join(wrong...)
	}
	n.static = n.cfg.Settings.Map()
	var err error
	if n.broker, err = (config.Layers{Static: n.static}).Broker(); err != nil {
		return err
	}
	// As Kafka: who reads the one key or the other of a broker finds the same.
	if n.static["node.id"] != "" || n.static["broker.id"] != "" {
		id := strconv.Itoa(int(n.broker.NodeID))
		n.static["node.id"], n.static["broker.id"] = id, id
	}
	if n.cfg.InProcess && (!n.isController() || len(n.otherVoters()) > 0) {
		return errors.New("a node without sockets is its own controller: others could not reach it")
	}
	return nil
}

func (n *Node) openDir(context.Context) error {
	flush := commitlog.FlushSync
	if n.broker.Logs.FlushOS {
		flush = commitlog.FlushOS
	}
	var err error
	n.dir, err = commitlog.OpenDir(commitlog.DirConfig{
		FS: n.fs, Path: n.broker.LogDirs[0], ClusterID: n.broker.ClusterID, Forms: !n.alone(), NodeID: n.broker.NodeID, Flush: flush, Log: n.log, Now: n.cfg.Now,
		CheckpointInterval: milliseconds(min(int64(n.broker.Logs.RecoveryCheckpointMs), 1000)),
		RetentionInterval:  milliseconds(n.broker.Logs.RetentionCheckIntervalMs),
		CleanerInterval:    n.cleanerInterval(),
		CleanerBytesMax:    min(n.broker.Logs.CleanerDedupeBufferBytes, cleanerBytesMax),

		ScrubBytesPerSecond: n.broker.Logs.ScrubBytesPerSecond,
	})
	return err
}

// cleanerBytesMax bounds log.cleaner.dedupe.buffer.size: what Kafka takes from a Java heap is memory of the machine here.
const cleanerBytesMax = 32 << 20

// cleanerInterval is never when there is to be no compaction.
func (n *Node) cleanerInterval() time.Duration {
	if !n.broker.Logs.CleanerEnabled {
		return math.MaxInt64
	}
	return milliseconds(n.broker.Logs.CleanerBackoffMs)
}

// milliseconds returns a time of the settings. What Kafka's milliseconds hold and a Duration does not, as where somebody means
// never, is the longest that it does.
func milliseconds(ms int64) time.Duration {
	const most = math.MaxInt64 / int64(time.Millisecond)
	return time.Duration(max(-most, min(ms, most))) * time.Millisecond
}

// idleTimeout returns after how long a silent connection is closed: below 0 never, as in Kafka.
func idleTimeout(n config.Network) time.Duration {
	if n.ConnectionIdleMs < 0 {
		return milliseconds(math.MaxInt64)
	}
	return milliseconds(n.ConnectionIdleMs)
}

// replication is how this broker's followers fetch. No wait, no pause and no least size are a millisecond and a byte: else
// a follower that has everything, or fails, would ask as fast as it can.
func replication(c *config.Replication) partition.Replication {
	return partition.Replication{
		WaitMax:           milliseconds(max(int64(c.FetchWaitMaxMs), 1)),
		BytesMin:          max(c.FetchBytesMin, 1),
		PartitionBytesMax: c.FetchBytesMax,
		ResponseBytesMax:  c.ResponseBytesMax,
		Backoff:           milliseconds(max(int64(c.FetchBackoffMs), 1)),
	}
}

// openReplicas opens what the image says is here, before anybody can ask for it. The image has this broker's registration
// and is so as new as the cluster: an older one would have other topics, and folders be set aside that belong to newer ones.
func (n *Node) openReplicas(context.Context) error {
	n.set = partition.NewSet(partition.Config{
		NodeID: n.broker.NodeID, Dir: n.dir, Static: n.static, Log: n.log, Now: n.cfg.Now,
		ReplicaLagMax: milliseconds(n.broker.Replication.LagTimeMaxMs),
		BrokerEpoch:   n.brokerEpoch.Load,
		Confirmed:     n.confirmed,
		Fetch:         n.brokers.Fetch,
		Controller:    n.metadata(),
		Replication:   replication(&n.broker.Replication),
	})
	n.groups = coordinator.New(coordinator.Config{
		Group:      groupConfig(n.broker),
		Partitions: coordinator.ImagePartitions(n.quorum.Image),
		Lead:       coordinator.LedBy(n.set),
		Topics:     coordinator.ImageTopics(n.set.Image),
		Log:        n.log,
	})
	controller := cluster.NoLeader
	n.quorum.Subscribe(func(img *cluster.Image, d cluster.Delta) {
		if id := img.ControllerID(); id != controller {
			controller = id
			n.controllerChanged(img)
		}
		n.changes.Applied(d)
		if changesBrokers(d) {
			n.reconfiguring.Store(img)
			select {
			case n.reconfigured <- struct{}{}:
			default: // it is known already
			}
		}
		n.brokersChanged(img, d)
		n.set.Apply(img, d)
		n.groups.ImageApplied(coordinator.DeletedTopics(d))
	})
	n.server = broker.New(broker.Config{
		NodeID: n.broker.NodeID, Metadata: n.metadata(), Partitions: n.set, Groups: n.groups,
		Ask: func(ctx context.Context, id cluster.NodeID, req kmsg.Request) (kmsg.Response, error) {
			return n.brokers.Request(ctx, id, peer.Control, req)
		},
		Settings: broker.SettingsOf(n.broker), Static: n.static, Log: n.log, Now: n.cfg.Now,
		Dir: broker.LogDir{Path: n.dir.Path(), Free: func() (int64, error) { return n.fs.Free(n.dir.Path()) }},
	})
	n.quorum.Subscribe(func(_ *cluster.Image, d cluster.Delta) { n.server.ImageApplied(d) })
	n.proxy = proxy.New(proxy.Config{
		NodeID: n.broker.NodeID, Image: n.quorum.Image, Peers: n.brokers, LogDir: n.dir.Path(), Log: n.log, Now: n.cfg.Now,
		FetchBytesMax: int(n.broker.Fetch.BytesMax), SessionsMax: int(n.broker.Fetch.SessionsMax),
	})
	n.attachOps()
	n.running.Add(1)
	go n.tick()
	return nil
}

func changesBrokers(d cluster.Delta) bool {
	return slices.ContainsFunc(d.Configs, func(r cluster.Resource) bool { return r.Type != cluster.TopicResource })
}

// tick is the goroutine that lets replicas see time pass, and listeners new limits.
func (n *Node) tick() {
	defer n.running.Done()
	t := time.NewTicker(n.tickInterval())
	defer t.Stop()
	warned := false
	n.warnOfSpace(&warned)
	for checked := time.Now(); ; {
		select {
		case <-n.stop:
			return
		case <-n.reconfigured:
			n.limitConnections()
		case now := <-t.C:
			n.set.Tick(now)
			if now.Sub(checked) >= spaceCheckInterval {
				n.warnOfSpace(&warned)
				checked = now
			}
		}
	}
}

// ClusterID returns the id of the cluster.
func (n *Node) ClusterID() string { return n.dir.ClusterID() }

// NodeID returns node.id.
func (n *Node) NodeID() int32 { return n.broker.NodeID }

// Dir returns the data directory.
func (n *Node) Dir() string { return path.Clean(n.broker.LogDirs[0]) }

// Done is closed when the node has stopped, by Stop or by itself.
func (n *Node) Done() <-chan struct{} { return n.done }

// Err returns why the node has stopped by itself, nil while it runs and after Stop.
func (n *Node) Err() error {
	select {
	case <-n.done:
		return n.failure
	default:
		return nil
	}
}
