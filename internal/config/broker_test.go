package config

import (
	"slices"
	"strings"
	"testing"
)

func TestBrokerDefaults(t *testing.T) {
	b, err := Layers{}.Broker()
	if err != nil {
		t.Fatal(err)
	}
	local := Listener{Name: "PLAINTEXT", Host: "localhost", Port: 9092, Security: "PLAINTEXT"}
	if !slices.Equal(b.Network.Listeners, []Listener{local}) || !slices.Equal(b.Network.Advertised, []Listener{local}) {
		t.Errorf("%+v", b.Network)
	}
	if b.NodeID != 1 || b.Topics.Partitions != 1 || !b.Topics.AutoCreate || b.Network.RequestBytesMax != 100<<20 ||
		b.Offsets.Partitions != 50 || b.Groups.InitialRebalanceDelayMs != 3000 || b.Fetch.BytesMax != 55<<20 ||
		b.Producers.ExpirationMs != 86400000 || b.Replication.LagTimeMaxMs != 30000 || b.Logs.RetentionCheckIntervalMs != 300000 {
		t.Errorf("%+v", b)
	}
}

// The files that Kafka ships start a broker as they are.
func TestShippedFiles(t *testing.T) {
	for name, want := range map[string]Broker{
		"testdata/server-4.properties": {
			NodeID: 1, LogDirs: []string{"/tmp/kraft-combined-logs"},
			Network: Network{
				Listeners:  []Listener{{"PLAINTEXT", "", 9092, "PLAINTEXT", false}, {"CONTROLLER", "", 9093, "PLAINTEXT", false}},
				Advertised: []Listener{{"PLAINTEXT", "localhost", 9092, "PLAINTEXT", false}},
			},
		},
		"testdata/server-0.8.properties": {
			NodeID: 0, LogDirs: []string{"/tmp/kafka-logs"},
			Network: Network{
				Listeners:  []Listener{{"PLAINTEXT", "", 9092, "PLAINTEXT", false}},
				Advertised: []Listener{{"PLAINTEXT", "", 9092, "PLAINTEXT", true}},
			},
		},
	} {
		settings := parseFile(t, name)
		if problems := settings.Check(); len(problems) > 0 {
			t.Errorf("%s: %v", name, problems)
		}
		b, err := Layers{Static: settings.Map()}.Broker()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if b.NodeID != want.NodeID || !slices.Equal(b.LogDirs, want.LogDirs) ||
			!slices.Equal(b.Network.Listeners, want.Network.Listeners) ||
			!slices.Equal(b.Network.Advertised, want.Network.Advertised) || b.Network.InterBroker != "PLAINTEXT" {
			t.Errorf("%s: %+v", name, b)
		}
	}
}

func TestBrokerSettings(t *testing.T) {
	for _, c := range []struct {
		settings string
		check    func(b Broker) bool
		err      string
	}{
		{"listeners=plaintext://:0", func(b Broker) bool { return b.Network.Listeners[0].String() == "PLAINTEXT://:0" }, ""},
		{"listeners=PLAINTEXT://[::1]:9092", func(b Broker) bool { return b.Network.Listeners[0].Host == "::1" }, ""},
		{"listeners=A://h:1\nlistener.security.protocol.map=a:plaintext", func(b Broker) bool { return b.Network.InterBroker == "A" }, ""},
		{"listeners=A://127.0.0.1:1,B://[::1]:1\nlistener.security.protocol.map=A:PLAINTEXT,B:PLAINTEXT", func(b Broker) bool { return len(b.Network.Advertised) == 2 }, ""},
		{"port=19092\nadvertised.host.name=here", func(b Broker) bool { return b.Network.Advertised[0].Address() == "here:19092" }, ""},
		{"host.name=::1", func(b Broker) bool { return b.Network.Listeners[0].Address() == "[::1]:9092" }, ""},
		{"broker.id=7", func(b Broker) bool { return b.NodeID == 7 }, ""},
		{"broker.id=-1", func(b Broker) bool { return b.NodeID == 1 }, ""},
		{"log.dir=/a", func(b Broker) bool { return slices.Equal(b.LogDirs, []string{"/a"}) }, ""},
		{"log.dir=/a\nlog.dirs=/b", func(b Broker) bool { return slices.Equal(b.LogDirs, []string{"/b"}) }, ""},
		{"controller.quorum.voters=1@a:1,2@[::1]:2", func(b Broker) bool { return b.Quorum.Voters[1] == Voter{2, "[::1]:2"} }, ""},
		{"max.connections.per.ip.overrides=127.0.0.1:5, [::1]:6", func(b Broker) bool {
			o := b.Network.ConnectionsPerIPOthers
			return o["127.0.0.1"] == 5 && o["::1"] == 6
		}, ""},
		{"log.retention.hours=-1", func(Broker) bool { return true }, ""},
		{"leader.imbalance.check.interval.seconds=9223372036854775807", func(b Broker) bool {
			return b.Quorum.RebalanceCheckSeconds == rebalanceCheckSecondsMax
		}, ""},
		{"listeners=PLAINTEXT://0.0.0.0:9092", func(b Broker) bool { return b.Network.Advertised[0].Reached && b.Network.Advertised[0].Host == "" }, ""},
		{"listeners=PLAINTEXT://h:9092", func(b Broker) bool { return !b.Network.Advertised[0].Reached }, ""},
		{"listeners=PLAINTEXT://:9092\nadvertised.listeners=PLAINTEXT://:9092", func(b Broker) bool { return !b.Network.Advertised[0].Reached }, ""},
		{"listeners=ONE://:1,PLAINTEXT://:2\nproxy.listener.names=one", func(b Broker) bool {
			return b.Network.InterBroker == "PLAINTEXT" && slices.Equal(b.Network.ProxyListeners, []string{"ONE"})
		}, ""},

		{"listeners=PLAINTEXT://:9092\nadvertised.listeners=PLAINTEXT://0.0.0.0:9092", nil, "set advertised.listeners=PLAINTEXT://"},
		{"proxy.listener.names=ONE", nil, "there is no listener ONE"},
		{"proxy.listener.names=PLAINTEXT", nil, "brokers need one among each other"},
		{"listeners=ONE://:1,PLAINTEXT://:2\nproxy.listener.names=ONE\ninter.broker.listener.name=ONE", nil, "or a proxy"},
		{"listeners=PLAINTEXT://:1,CONTROLLER://:2\nproxy.listener.names=CONTROLLER", nil, "it is one or the other"},
		{"listeners=SSL://h:1", nil, "listener SSL is SSL: TLS and SASL are not there yet"},
		{"listeners=A://h:1", nil, "add A:PLAINTEXT to listener.security.protocol.map"},
		{"listeners=PLAINTEXT://h:1,PLAINTEXT://h:2", nil, "is there twice"},
		{"listeners=PLAINTEXT://h:1,CONTROLLER://:1", nil, "share port 1"},
		{"listeners=PLAINTEXT:9092", nil, "not of the form NAME://host:port"},
		{"listeners=PLAINTEXT://h:99999", nil, "the port is not a number"},
		{"listeners=CONTROLLER://h:1", nil, "no listener is left for clients"},
		{"listeners=", nil, "no listener"},
		{"advertised.listeners=B://h:1", nil, "there is no listener B"},
		{"inter.broker.listener.name=B", nil, "none of the advertised listeners"},
		{"listener.security.protocol.map=A:TCP", nil, "not NAME:PROTOCOL"},
		{"node.id=1\nbroker.id=2", nil, "remove broker.id"},
		{"controller.quorum.voters=2@a:1", nil, "node.id 1 is not in controller.quorum.voters"},
		{"controller.quorum.voters=a:1", nil, "not id@host:port"},
		{"controller.quorum.bootstrap.servers=a", nil, "not host:port"},
		{"controller.quorum.voters=1@a:port", nil, "not id@host:port"},
		{"controller.quorum.voters=1@a:0", nil, "not id@host:port"},
		{"controller.quorum.voters=1@a:1,1@b:2", nil, "node 1 is there twice"},
		{"controller.quorum.bootstrap.servers=a:99999", nil, "not host:port"},
		{"log.retention.minutes=0", nil, "log.retention.ms must be"},
		{"log.retention.hours=0\nlog.retention.ms=7", func(Broker) bool { return true }, ""},
		{"log.dirs=,", nil, "log.dirs names no directory"},
		{"log.dirs=/a,/b", nil, "log.dirs: 2 directories are given"},
		{"process.roles=broker", nil, "process.roles: controller is missing"},
		{"process.roles=broker\ncontroller.quorum.bootstrap.servers=a:1", func(b Broker) bool { return slices.Equal(b.Roles, []string{"broker"}) }, ""},
		{"group.min.session.timeout.ms=9999999", nil, "group.max.session.timeout.ms"},
		{"broker.heartbeat.interval.ms=9000", nil, "broker.session.timeout.ms"},
		{"broker.heartbeat.interval.ms=2000000000", nil, "broker.session.timeout.ms"},
		{"broker.heartbeat.interval.ms=0", nil, "broker.heartbeat.interval.ms must be at least 1"},
		{"replica.lag.time.max.ms=1", nil, "replica.fetch.wait.max.ms"},
	} {
		settings, err := ParseProperties("f", []byte(c.settings))
		if err != nil {
			t.Fatal(err)
		}
		b, err := Layers{Static: settings.Map()}.Broker()
		switch {
		case c.err == "" && (err != nil || !c.check(b)):
			t.Errorf("%q: %v, %+v", c.settings, err, b)
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%q: %v, want %s", c.settings, err, c.err)
		}
	}
}

func TestBrokerDynamicBeforeStatic(t *testing.T) {
	l := Layers{
		Static:         map[string]string{"max.connections": "1"},
		DynamicDefault: map[string]string{"max.connections": "2"},
	}
	if b, err := l.Broker(); err != nil || b.Network.ConnectionsMax != 2 {
		t.Errorf("%v %d", err, b.Network.ConnectionsMax)
	}
	l.Dynamic = map[string]string{"max.connections": "3"}
	if b, err := l.Broker(); err != nil || b.Network.ConnectionsMax != 3 {
		t.Errorf("%v %d", err, b.Network.ConnectionsMax)
	}
}

func FuzzParseListener(f *testing.F) {
	for _, seed := range []string{"PLAINTEXT://:9092", "a://[::1]:1", "://", "A://h:p", "A://[::1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ParseListener(text)
		if err != nil {
			return
		}
		again, err := ParseListener(l.String())
		if err != nil || again != l {
			t.Fatalf("%q reads as %+v, which reads as %+v: %v", text, l, again, err)
		}
	})
}

// TestFlushIsTheBrokers: a directory has one flusher, so a topic that asks for its own rule is refused, not ignored.
func TestFlushIsTheBrokers(t *testing.T) {
	if err := ValidateTopic(map[string]string{"flush": FlushOS}); err == nil {
		t.Error("a topic may set flush, which nothing honours")
	}
	for value, want := range map[string]bool{"": false, FlushSync: false, FlushOS: true} {
		static := map[string]string{}
		if value != "" {
			static["flush"] = value
		}
		b, err := Layers{Static: static}.Broker()
		if err != nil || b.Logs.FlushOS != want {
			t.Errorf("flush=%q: FlushOS %v, %v", value, b.Logs.FlushOS, err)
		}
	}
}
