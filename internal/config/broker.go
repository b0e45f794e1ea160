package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
)

// Broker is what counts for this broker. Times are in milliseconds unless the name says otherwise; -1 is no limit where
// a limit can be off.
type Broker struct {
	NodeID    int32
	ClusterID string // "": not said
	Rack      string // "": none
	Roles     []string
	LogDirs   []string // one

	Network     Network
	Quorum      Quorum
	Topics      TopicDefaults
	Logs        Logs
	Replication Replication
	Groups      Groups
	Offsets     Offsets
	Producers   Producers
	Fetch       Fetch
	Ops         Ops
}

// Ops is the operations endpoint.
type Ops struct {
	Listener    string // host:port, "": not said, OpsOff: none
	ConsumerLag bool
	SeriesMax   int32
}

// Network is listeners, sockets and the limits on connections.
type Network struct {
	Listeners           []Listener
	Advertised          []Listener
	InterBroker         string // the name of a listener, "" for a controller only
	ControllerListeners []string
	ProxyListeners      []string

	RequestBytesMax        int32
	QueuedRequestBytesMax  int64 // -1: the broker's own
	ReceiveBufferBytes     int   // -1: the system's own
	SendBufferBytes        int
	ConnectionsMax         int32
	ConnectionsPerIPMax    int32
	ConnectionsPerIPOthers map[string]int32
	ConnectionIdleMs       int64
}

// Quorum is the controllers and how they tell that one is gone.
type Quorum struct {
	Voters                []Voter
	BootstrapServers      []string // host:port of controllers whose ids are not known
	AutoJoin              bool
	HeartbeatIntervalMs   int32
	SessionTimeoutMs      int32
	RebalanceLeaders      bool  // leaderships go back to the preferred replicas by themselves
	RebalanceCheckSeconds int64 // how often
	ControlledShutdown    bool
	SnapshotAfterBytes    int64
	SegmentBytes          int32
	DescribePartitionsMax int32
}

// Voter is a controller that votes.
type Voter struct {
	ID      int32
	Address string // host:port
}

// TopicDefaults is for topics that are made without saying.
type TopicDefaults struct {
	AutoCreate        bool
	DeleteEnabled     bool
	Partitions        int32
	ReplicationFactor int16
}

// Logs is for what goes on in the log directories. What a topic can set for itself is in Topic.
type Logs struct {
	FlushOS                  bool // acknowledged records are with the operating system, not on disk
	RetentionCheckIntervalMs int64
	RecoveryCheckpointMs     int32
	CleanerEnabled           bool
	CleanerBackoffMs         int64
	CleanerDedupeBufferBytes int64
	ScrubBytesPerSecond      int64
}

// Replication is when a follower is in sync.
type Replication struct {
	LagTimeMaxMs     int64
	FetchWaitMaxMs   int32
	FetchBytesMin    int32
	FetchBytesMax    int32 // of a partition
	ResponseBytesMax int32
	FetchBackoffMs   int32
	// How fast replicas are copied that topics call throttled (KIP-73): by a leader to all its followers, and by a follower.
	LeaderBytesPerSecond, FollowerBytesPerSecond int64
}

// Groups limits classic groups.
type Groups struct {
	SessionTimeoutMinMs, SessionTimeoutMaxMs int32
	InitialRebalanceDelayMs                  int32
	SizeMax                                  int32
}

// Offsets is the offsets topic and what is kept in it.
type Offsets struct {
	Partitions               int32
	ReplicationFactor        int16
	SegmentBytes             int32
	RetentionMinutes         int32
	RetentionCheckIntervalMs int64
	MetadataBytesMax         int32
}

// Producers is how long idempotent producers are remembered.
type Producers struct {
	ExpirationMs int32
}

// Fetch limits fetches.
type Fetch struct {
	BytesMax    int32
	SessionsMax int32
}

// reader reads typed values of a broker. A name that is in no table is a mistake in this package.
type reader struct{ layers Layers }

func (r reader) get(name string) value {
	d := brokerKeys[name]
	if v, ok := r.layers.parsed(d); ok {
		return v
	}
	v, _ := d.parse(d.Default)
	return v
}

func (r reader) set(name string) bool {
	_, ok := r.layers.parsed(brokerKeys[name])
	return ok
}

func (r reader) int32(name string) int32 { return int32(r.get(name).number) }
func (r reader) int64(name string) int64 { return r.get(name).number }
func (r reader) bool(name string) bool   { return r.get(name).yes }

func (r reader) list(name string) []string {
	return slices.DeleteFunc(slices.Clone(r.get(name).list), func(s string) bool { return s == "" })
}

// Broker returns what counts for this broker, or why the settings do not go together. Settings.Check has looked at each
// of them alone before.
func (l Layers) Broker() (Broker, error) {
	r := reader{l}
	b := Broker{
		NodeID:    r.int32("node.id"),
		ClusterID: r.get("cluster.id").text,
		Rack:      r.get("broker.rack").text,
		Roles:     r.list("process.roles"),
		LogDirs:   r.list("log.dirs"),
		Topics: TopicDefaults{
			AutoCreate:        r.bool("auto.create.topics.enable"),
			DeleteEnabled:     r.bool("delete.topic.enable"),
			Partitions:        r.int32("num.partitions"),
			ReplicationFactor: int16(r.int64("default.replication.factor")),
		},
		Logs: r.logs(),
		Replication: Replication{
			LagTimeMaxMs:     r.int64("replica.lag.time.max.ms"),
			FetchWaitMaxMs:   r.int32("replica.fetch.wait.max.ms"),
			FetchBytesMin:    r.int32("replica.fetch.min.bytes"),
			FetchBytesMax:    r.int32("replica.fetch.max.bytes"),
			ResponseBytesMax: r.int32("replica.fetch.response.max.bytes"),
			FetchBackoffMs:   r.int32("replica.fetch.backoff.ms"),

			LeaderBytesPerSecond:   r.int64("leader.replication.throttled.rate"),
			FollowerBytesPerSecond: r.int64("follower.replication.throttled.rate"),
		},
		Groups: Groups{
			SessionTimeoutMinMs:     r.int32("group.min.session.timeout.ms"),
			SessionTimeoutMaxMs:     r.int32("group.max.session.timeout.ms"),
			InitialRebalanceDelayMs: r.int32("group.initial.rebalance.delay.ms"),
			SizeMax:                 r.int32("group.max.size"),
		},
		Offsets:   r.offsets(),
		Producers: Producers{ExpirationMs: r.int32("producer.id.expiration.ms")},
		Ops: Ops{
			Listener:    r.get("ops.listener").text,
			ConsumerLag: r.bool("ops.consumer.lag.enable"),
			SeriesMax:   r.int32("ops.metrics.series.max"),
		},
		Fetch: Fetch{
			BytesMax:    r.int32("fetch.max.bytes"),
			SessionsMax: r.int32("max.incremental.fetch.session.cache.slots"),
		},
	}
	if !r.set("log.dirs") {
		b.LogDirs = r.list("log.dir")
	}
	var errs [3]error
	b.NodeID, errs[0] = r.nodeID()
	b.Network, errs[1] = r.network()
	b.Quorum, errs[2] = r.quorum()
	if err := errors.Join(errs[:]...); err != nil {
		return Broker{}, err
	}
	return b, r.check(b)
}

func (r reader) logs() Logs {
	return Logs{
		FlushOS:                  r.get("flush").text == FlushOS,
		RetentionCheckIntervalMs: r.int64("log.retention.check.interval.ms"),
		RecoveryCheckpointMs:     r.int32("log.flush.offset.checkpoint.interval.ms"),
		CleanerEnabled:           r.bool("log.cleaner.enable"),
		CleanerBackoffMs:         r.int64("log.cleaner.backoff.ms"),
		CleanerDedupeBufferBytes: r.int64("log.cleaner.dedupe.buffer.size"),
		ScrubBytesPerSecond:      r.int64("scrub.bytes.per.second"),
	}
}

func (r reader) offsets() Offsets {
	return Offsets{
		Partitions:               r.int32("offsets.topic.num.partitions"),
		ReplicationFactor:        int16(r.int64("offsets.topic.replication.factor")),
		SegmentBytes:             r.int32("offsets.topic.segment.bytes"),
		RetentionMinutes:         r.int32("offsets.retention.minutes"),
		RetentionCheckIntervalMs: r.int64("offsets.retention.check.interval.ms"),
		MetadataBytesMax:         r.int32("offset.metadata.max.bytes"),
	}
}

func (r reader) nodeID() (int32, error) {
	id := r.int32("node.id")
	if !r.set("broker.id") || r.int32("broker.id") < 0 {
		return id, nil
	}
	former := r.int32("broker.id")
	if r.set("node.id") && id != former {
		return 0, fmt.Errorf("node.id is %d and broker.id is %d: they are the same setting, remove broker.id", id, former)
	}
	return former, nil
}

// rebalanceCheckSecondsMax stands for never, and leaves room to count in milliseconds.
const rebalanceCheckSecondsMax = math.MaxInt32

func (r reader) quorum() (Quorum, error) {
	q := Quorum{
		BootstrapServers:      r.list("controller.quorum.bootstrap.servers"),
		AutoJoin:              r.bool("controller.quorum.auto.join.enable"),
		HeartbeatIntervalMs:   r.int32("broker.heartbeat.interval.ms"),
		SessionTimeoutMs:      r.int32("broker.session.timeout.ms"),
		RebalanceLeaders:      r.bool("auto.leader.rebalance.enable"),
		RebalanceCheckSeconds: min(r.get("leader.imbalance.check.interval.seconds").number, rebalanceCheckSecondsMax),
		ControlledShutdown:    r.bool("controlled.shutdown.enable"),
		SnapshotAfterBytes:    r.int64("metadata.log.max.record.bytes.between.snapshots"),
		SegmentBytes:          r.int32("metadata.log.segment.bytes"),
		DescribePartitionsMax: r.int32("max.request.partition.size.limit"),
	}
	for _, text := range r.list("controller.quorum.voters") {
		v, err := parseVoter(text)
		if err != nil {
			return Quorum{}, err
		}
		if slices.ContainsFunc(q.Voters, func(o Voter) bool { return o.ID == v.ID }) {
			return Quorum{}, fmt.Errorf("controller.quorum.voters: node %d is there twice", v.ID)
		}
		q.Voters = append(q.Voters, v)
	}
	for _, server := range q.BootstrapServers {
		if !canBeDialled(server) {
			return Quorum{}, fmt.Errorf("controller.quorum.bootstrap.servers: %q is not host:port", server)
		}
	}
	return q, nil
}

// canBeDialled says whether text is host:port.
func canBeDialled(text string) bool {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

func parseVoter(text string) (Voter, error) {
	id, address, _ := strings.Cut(text, "@")
	number, err := strconv.ParseUint(strings.TrimSpace(id), 10, 31)
	if err != nil || !canBeDialled(address) {
		return Voter{}, fmt.Errorf("controller.quorum.voters: %q is not id@host:port", text)
	}
	return Voter{ID: int32(number), Address: address}, nil
}

func (r reader) network() (Network, error) {
	n := Network{
		ControllerListeners:   r.listenerNames("controller.listener.names"),
		ProxyListeners:        r.listenerNames("proxy.listener.names"),
		RequestBytesMax:       r.int32("socket.request.max.bytes"),
		QueuedRequestBytesMax: r.int64("queued.max.request.bytes"),
		ReceiveBufferBytes:    r.bufferBytes("socket.receive.buffer.bytes"),
		SendBufferBytes:       r.bufferBytes("socket.send.buffer.bytes"),
		ConnectionsMax:        r.int32("max.connections"),
		ConnectionsPerIPMax:   r.int32("max.connections.per.ip"),
		ConnectionIdleMs:      r.int64("connections.max.idle.ms"),
	}
	n.ConnectionsPerIPOthers, _ = parseLimits(r.get("max.connections.per.ip.overrides").text) // hostLimits lets nothing else through
	var err error
	if n.Listeners, err = parseListeners(r.listeners()); err != nil {
		return Network{}, fmt.Errorf("listeners: %w", err)
	}
	if err = checkPorts(n.Listeners); err != nil {
		return Network{}, err
	}
	if err = checkProxies(n.Listeners, n.ProxyListeners, n.ControllerListeners); err != nil {
		return Network{}, err
	}
	protocols, err := parseProtocols(r.get("listener.security.protocol.map").text)
	if err != nil {
		return Network{}, err
	}
	if err = secure(n.Listeners, protocols, n.ControllerListeners, n.ProxyListeners, r.set("listener.security.protocol.map")); err != nil {
		return Network{}, err
	}
	if n.Advertised, err = advertise(n.Listeners, r.advertised(n.Listeners), n.ControllerListeners); err != nil {
		return Network{}, err
	}
	switch broker := slices.Contains(r.list("process.roles"), "broker"); {
	case broker && len(n.Advertised) == 0:
		return Network{}, errors.New("no listener is left for clients: all are in controller.listener.names")
	case !broker && len(n.Advertised) > 0:
		return Network{}, fmt.Errorf("this node is a controller only, and listener %s is not in controller.listener.names", n.Advertised[0].Name)
	case !broker:
		return n, nil
	}
	n.InterBroker, err = r.interBroker(n.Advertised, n.ProxyListeners)
	return n, err
}

// bufferBytes leaves the size of a buffer to the system unless somebody has set it: Kafka's default is smaller than what
// systems choose by themselves.
func (r reader) bufferBytes(name string) int {
	if n := r.int32(name); r.set(name) && n > 0 {
		return int(n)
	}
	return -1
}

func (r reader) listenerNames(key string) []string {
	names := r.list(key)
	for i := range names {
		names[i] = strings.ToUpper(names[i])
	}
	return names
}

// listeners returns the listeners, from the keys of old if need be: host.name and port made one PLAINTEXT listener.
func (r reader) listeners() []string {
	if r.set("listeners") || !r.set("port") && !r.set("host.name") {
		return r.list("listeners")
	}
	return []string{plaintext + "://" + net.JoinHostPort(r.get("host.name").text, r.port("port"))}
}

func (r reader) port(name string) string {
	if r.set(name) {
		return r.get(name).text
	}
	return "9092"
}

func (r reader) advertised(listeners []Listener) []string {
	if r.set("advertised.listeners") || !r.set("advertised.host.name") && !r.set("advertised.port") || len(listeners) == 0 {
		return r.list("advertised.listeners")
	}
	first := listeners[0]
	host, port := first.Host, strconv.Itoa(first.Port)
	if r.set("advertised.host.name") {
		host = r.get("advertised.host.name").text
	}
	if r.set("advertised.port") {
		port = r.get("advertised.port").text
	}
	return []string{first.Name + "://" + net.JoinHostPort(host, port)}
}

// interBroker returns the listener between brokers: the one that is named, else the first that clients are told and that is
// no proxy.
func (r reader) interBroker(advertised []Listener, proxies []string) (string, error) {
	isProxy := func(l Listener) bool { return slices.Contains(proxies, l.Name) }
	name := strings.ToUpper(r.get("inter.broker.listener.name").text)
	if name == "" {
		at := slices.IndexFunc(advertised, func(l Listener) bool { return !isProxy(l) })
		if at < 0 {
			return "", errors.New("all listeners for clients are in proxy.listener.names: brokers need one among each other")
		}
		return advertised[at].Name, nil
	}
	if !slices.ContainsFunc(advertised, func(l Listener) bool { return l.Name == name && !isProxy(l) }) {
		return "", fmt.Errorf("inter.broker.listener.name is %s, which is none of the advertised listeners, or a proxy", name)
	}
	return name, nil
}

// parseLimits reads host:limit pairs. The host may be an IPv6 address.
func parseLimits(text string) (map[string]int32, error) {
	limits := make(map[string]int32)
	for _, pair := range splitList(text) {
		if pair == "" {
			continue
		}
		at := strings.LastIndexByte(pair, ':')
		limit, err := strconv.ParseUint(strings.TrimSpace(pair[at+1:]), 10, 31)
		if at < 1 || err != nil {
			return nil, fmt.Errorf("%q is not host:limit", pair)
		}
		limits[strings.Trim(strings.TrimSpace(pair[:at]), "[]")] = int32(limit)
	}
	return limits, nil
}

// check looks at settings that are allowed each and do not go together.
func (r reader) check(b Broker) error {
	retention := r.layers.topicValue(topicIndex["retention.ms"], nil).number
	voter := func(v Voter) bool { return v.ID == b.NodeID }
	switch {
	case retention == 0:
		return errors.New("log.retention.ms must be at least 1, or -1 for no limit")
	case len(b.LogDirs) == 0:
		return errors.New("log.dirs names no directory")
	case len(b.LogDirs) > 1:
		return fmt.Errorf("log.dirs: %d directories are given, a node has one", len(b.LogDirs))
	case len(b.Roles) == 0:
		return errors.New("process.roles is empty: allowed: broker, controller")
	case !slices.Contains(b.Roles, "controller") && len(b.Quorum.Voters)+len(b.Quorum.BootstrapServers) == 0:
		return errors.New("process.roles: controller is missing, and neither controller.quorum.bootstrap.servers nor controller.quorum.voters says where one is")
	case b.Groups.SessionTimeoutMinMs > b.Groups.SessionTimeoutMaxMs:
		return errors.New("group.max.session.timeout.ms must be at least group.min.session.timeout.ms")
	case int64(b.Replication.FetchWaitMaxMs) > b.Replication.LagTimeMaxMs:
		return errors.New("replica.fetch.wait.max.ms must be at most replica.lag.time.max.ms")
	case b.Quorum.HeartbeatIntervalMs < 1:
		return errors.New("broker.heartbeat.interval.ms must be at least 1")
	case int64(b.Quorum.HeartbeatIntervalMs)*2 > int64(b.Quorum.SessionTimeoutMs):
		return errors.New("broker.session.timeout.ms must be at least twice broker.heartbeat.interval.ms")
	case slices.Contains(b.Roles, "controller") && len(b.Quorum.Voters) > 0 && !slices.ContainsFunc(b.Quorum.Voters, voter):
		return fmt.Errorf("this node is a controller, and node.id %d is not in controller.quorum.voters", b.NodeID)
	}
	return nil
}
