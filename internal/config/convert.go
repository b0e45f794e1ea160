package config

import (
	"net"
	"strconv"
	"strings"
)

// Conversion is what becomes of one setting of an older Kafka, from 0.7 on.
type Conversion struct {
	From Setting
	To   []Setting // today's; none: it is left out
	Note string    // why it is not what it was; empty when it is unchanged
}

// successor is what took a key's place.
type successor struct {
	keys   []string // none: nothing did
	factor int64    // from the old unit to the new one; 0: the value stays as it is
	note   string
}

func became(keys ...string) successor { return successor{keys: keys} }
func gone(note string) successor      { return successor{note: note} }

const (
	noZooKeeper = "there is no ZooKeeper"
	perTopic    = "set it for each topic: logbahn topic alter TOPIC -c "
)

var successors = map[string]successor{
	"broker.id":                     became("node.id"),
	"brokerid":                      became("node.id"),
	"log.dir":                       became("log.dirs"),
	"log.file.size":                 became("log.segment.bytes"),
	"log.retention.size":            became("log.retention.bytes"),
	"log.flush.interval":            became("log.flush.interval.messages"),
	"log.default.flush.interval.ms": became("log.flush.interval.ms"),
	"log.default.flush.scheduler.interval.ms": became("log.flush.scheduler.interval.ms"),
	"log.cleanup.interval.mins":               {keys: []string{"log.retention.check.interval.ms"}, factor: 60_000},
	"num.threads":                             became("num.io.threads"),
	"socket.send.buffer":                      became("socket.send.buffer.bytes"),
	"socket.receive.buffer":                   became("socket.receive.buffer.bytes"),
	"max.socket.request.bytes":                became("socket.request.max.bytes"),
	"max.message.size":                        became("message.max.bytes"),
	"delegation.token.master.key":             became("delegation.token.secret.key"),
	"log.message.timestamp.difference.max.ms": became("log.message.timestamp.before.max.ms", "log.message.timestamp.after.max.ms"),

	"enable.zookeeper":                   gone(noZooKeeper),
	"zk.connect":                         gone(noZooKeeper),
	"zk.connectiontimeout.ms":            gone(noZooKeeper),
	"zk.sessiontimeout.ms":               gone(noZooKeeper),
	"broker.id.generation.enable":        gone(noZooKeeper + " to draw ids from"),
	"reserved.broker.max.id":             gone(noZooKeeper + " to draw ids from"),
	"control.plane.listener.name":        gone("controllers have listeners of their own: controller.listener.names"),
	"inter.broker.protocol.version":      gone("brokers agree on features by themselves"),
	"log.message.format.version":         gone("records are always in the newest format"),
	"log.message.downconversion.enable":  gone("old consumers are always served in their format"),
	"replica.lag.max.messages":           gone("replica.lag.time.max.ms alone decides who is in sync"),
	"controller.message.queue.size":      gone("the controller has no such queue"),
	"offsets.commit.required.acks":       gone("commits always wait for all replicas in sync"),
	"quota.producer.default":             gone("quotas are set at run time"),
	"quota.consumer.default":             gone("quotas are set at run time"),
	"topic.partition.count.map":          gone("create the topics with their partitions: logbahn topic create TOPIC -p N"),
	"topic.flush.intervals.ms":           gone(perTopic + "flush.ms=N"),
	"topic.log.retention.hours":          gone(perTopic + "retention.ms=N"),
	"log.flush.intervals.ms.per.topic":   gone(perTopic + "flush.ms=N"),
	"log.flush.interval.ms.per.topic":    gone(perTopic + "flush.ms=N"),
	"log.retention.hours.per.topic":      gone(perTopic + "retention.ms=N"),
	"log.retention.bytes.per.topic":      gone(perTopic + "retention.bytes=N"),
	"log.segment.bytes.per.topic":        gone(perTopic + "segment.bytes=N"),
	"log.roll.hours.per.topic":           gone(perTopic + "segment.ms=N"),
	"kafka.csv.metrics.dir":              gone("metrics are at /metrics"),
	"kafka.csv.metrics.reporter.enabled": gone("metrics are at /metrics"),
}

// addresses are the keys that together made a listener.
var addresses = map[string]struct{ part, list string }{
	"port":                 {"port", "listeners"},
	"host.name":            {"host", "listeners"},
	"hostname":             {"host", "advertised.listeners"},
	"advertised.host.name": {"host", "advertised.listeners"},
	"advertised.port":      {"port", "advertised.listeners"},
}

// Convert gives the settings of an older Kafka today's keys, each in its place. A key that is set in today's words too
// is not overwritten. Values are not looked at beyond their unit: Check does that.
func Convert(settings Settings) []Conversion {
	values := settings.Map()
	done := make(map[string]bool) // lists of listeners that are written already
	var conversions []Conversion
	for _, s := range settings {
		c := Conversion{From: s}
		switch next, old := successors[s.Name]; {
		case addresses[s.Name].list != "":
			c.toListener(values, done)
		case old:
			c.to(next, values)
		case strings.HasPrefix(s.Name, "zookeeper."):
			c.Note = noZooKeeper
		default:
			c.To = []Setting{s}
		}
		conversions = append(conversions, c)
	}
	return conversions
}

// to replaces a setting by its successors.
func (c *Conversion) to(next successor, values map[string]string) {
	c.Note = next.note
	if (c.From.Name == "broker.id" || c.From.Name == "brokerid") && c.From.Value == "-1" {
		c.Note = "a node's id is not drawn; node.id is 1 where nothing else is said"
		return
	}
	for _, key := range next.keys {
		if _, set := values[key]; set {
			c.Note = key + " is set as well"
			continue
		}
		value := c.From.Value
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && next.factor > 0 && n > 0 {
			value = strconv.FormatInt(min(n, (1<<63-1)/next.factor)*next.factor, 10)
		}
		c.To = append(c.To, Setting{key, value, c.From.Origin, c.From.Line})
	}
	if len(c.To) > 0 {
		c.Note = "is now " + strings.Join(next.keys, " and ")
	}
}

// toListener makes one listener of the keys that were a host and a port.
func (c *Conversion) toListener(values map[string]string, done map[string]bool) {
	list := addresses[c.From.Name].list
	if _, set := values[list]; set {
		c.Note = list + " is set as well"
		return
	}
	c.Note = "is part of " + list
	if done[list] {
		return
	}
	done[list] = true
	host, port := values["host.name"], values["port"]
	if list == "advertised.listeners" {
		for _, name := range []string{"hostname", "advertised.host.name"} {
			if values[name] != "" {
				host = values[name]
			}
		}
		if values["advertised.port"] != "" {
			port = values["advertised.port"]
		}
	}
	if port == "" {
		port = "9092"
	}
	c.To = []Setting{{list, plaintext + "://" + net.JoinHostPort(host, port), c.From.Origin, c.From.Line}}
}
