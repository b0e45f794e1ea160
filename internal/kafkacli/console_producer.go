package kafkacli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func consoleProducerTool() *tool {
	return &tool{
		name:      "kafka-console-producer",
		does:      "This tool helps to read data from standard input and publish it to Kafka.",
		run:       runConsoleProducer,
		badOption: messageAndHelp,
		options: []option{
			{name: "topic", kind: text, value: "topic", help: "REQUIRED: the topic to produce to."},
			{name: "bootstrap-server", kind: text, value: "server to connect to", help: "REQUIRED: where the cluster answers, host:port,..."},
			{name: "broker-list", kind: text, value: "broker-list", help: "What --bootstrap-server was called before Kafka 3."},
			{name: "sync", help: "Wait for the answer to each record before the next one is sent."},
			{name: "compression-codec", kind: optionalText, value: "compression-codec", help: "none, gzip, snappy, lz4 or zstd; without a value gzip."},
			{name: "batch-size", kind: integer, value: "size", fallback: "16384", help: "The largest batch, in bytes (batch.size)."},
			{name: "message-send-max-retries", kind: integer, fallback: "3", help: "How often a record is sent again (retries)."},
			{name: "retry-backoff-ms", kind: long, fallback: "100", help: "The time between two attempts (retry.backoff.ms)."},
			{name: "timeout", kind: long, value: "timeout_ms", fallback: "1000", help: "How long a record waits for others to share a batch (linger.ms)."},
			{name: "request-required-acks", kind: text, value: "request required acks", fallback: "-1", help: "all or -1, 1, 0 (acks)."},
			{name: "request-timeout-ms", kind: integer, value: "request timeout ms", fallback: "1500", help: "How long the broker may wait for its replicas."},
			{name: "metadata-expiry-ms", kind: long, value: "metadata expiration interval", fallback: "300000", help: "How old what is known of the topic may become (metadata.max.age.ms)."},
			{name: "max-block-ms", kind: long, value: "max block on send", fallback: "60000", help: "How long a record may wait for room and for the topic (max.block.ms)."},
			{name: "max-memory-bytes", kind: long, value: "total memory in bytes", fallback: "33554432", help: "How much may wait to be sent (buffer.memory)."},
			{name: "max-partition-memory-bytes", kind: integer, value: "memory in bytes per partition", fallback: "16384", help: "(Deprecated) As --batch-size, which it overrides."},
			{name: "line-reader", kind: text, value: "reader_class", fallback: lineReader, help: "The class that reads lines; there is one."},
			{name: "socket-buffer-size", kind: integer, value: "size", fallback: "102400", help: "The socket's send buffer (send.buffer.bytes). Left to the system here."},
			{name: "reader-property", kind: text, value: "prop", help: readerPropertyHelp},
			{name: "property", kind: text, value: "prop", help: "(DEPRECATED) The name of --reader-property before Kafka 4.2."},
			{name: "reader-config", kind: text, value: "config file", help: "A file with properties as for --reader-property, which override it."},
			{name: "command-property", kind: text, value: "producer_prop", help: "A producer property, key=value. Any number of times."},
			{name: "producer-property", kind: text, value: "producer_prop", help: "(DEPRECATED) The name of --command-property before Kafka 4.2."},
			{name: "command-config", kind: text, value: "config file", help: "A file with producer properties."},
			{name: "producer.config", kind: text, value: "config file", help: "(DEPRECATED) The name of --command-config before Kafka 4.2."},
		},
	}
}

const (
	lineReader         = "org.apache.kafka.tools.LineMessageReader"
	readerPropertyHelp = "How a line is read, key=value. parse.key=false, parse.headers=false, ignore.error=false, key.separator=\\t, " +
		"headers.delimiter=\\t (behind the headers), headers.separator=, (between two), headers.key.separator=:, " +
		"null.marker= (what stands for null). A line is headers, key, value."
	producerDeprecated = "Warning: --%s is deprecated and will be removed in a future version. Use --%s instead."
)

// producerRenamed are the options of KIP-1147: the new spelling and the old one.
var producerRenamed = [][2]string{{"reader-property", "property"}, {"command-property", "producer-property"}, {"command-config", "producer.config"}}

func runConsoleProducer(ctx context.Context, c *call) error {
	o := c.opts
	if o.has("broker-list") && !o.has("bootstrap-server") {
		o.given["bootstrap-server"] = o.given["broker-list"]
	}
	if err := o.require("topic"); err != nil {
		return err
	}
	if err := checkBootstrap(o); err != nil {
		return err
	}
	for _, names := range producerRenamed {
		if o.count(names[0], names[1]) == 2 {
			return usage("Options --%s and --%s cannot be specified together.", names[0], names[1])
		}
	}
	for _, names := range producerRenamed {
		c.deprecated(producerDeprecated, names[1], names[0])
	}
	reader, err := c.lineReader()
	if err != nil {
		return err
	}
	p, opts, err := c.producerOptions()
	if err != nil {
		return c.plain(err)
	}
	away := &awayHook{client: p["client.id"], logf: c.logf}
	client, err := c.connect(ctx, o.text("bootstrap-server"), p, append(opts, kgo.WithHooks(away))...)
	if err != nil {
		return err
	}
	defer client.Close()
	away.reached.Store(true)
	return c.produceLines(ctx, client, reader)
}

// awayInterval is how often at most it is said of a broker that it cannot be reached: Kafka's reconnect.backoff.max.ms.
const awayInterval = time.Second

// awayHook says, as Kafka's producer does, that a broker cannot be reached any more: the lines that are entered meanwhile wait.
type awayHook struct {
	client  string
	logf    func(level, format string, args ...any)
	reached atomic.Bool // a broker has answered; what is wrong before is an error
	said    sync.Map    // by node, as the client library counts them: when it was said last (time.Time)
}

// OnBrokerConnect is called after each attempt, from any goroutine.
func (h *awayHook) OnBrokerConnect(meta kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err == nil || errors.Is(err, context.Canceled) || !h.reached.Load() {
		return
	}
	now := time.Now()
	last, before := h.said.LoadOrStore(meta.NodeID, now)
	if before && (now.Sub(last.(time.Time)) < awayInterval || !h.said.CompareAndSwap(meta.NodeID, last, now)) {
		return
	}
	node := meta.NodeID
	if node < 0 { // an address of --bootstrap-server, which Kafka counts from -1 down and the client library from the least up
		node = math.MinInt32 - node - 1
	}
	h.logf("WARN", "[Producer clientId=%s] Connection to node %d (%s) could not be established. Node may not be available.",
		h.client, node, net.JoinHostPort(meta.Host, strconv.Itoa(int(meta.Port))))
}

// plain has an option error printed without the help.
func (c *call) plain(err error) error {
	var option *optionError
	if errors.As(err, &option) {
		return failf("%s", option.text)
	}
	return err
}

// checkBootstrap is the check of the console producer, which comes before any connection.
func checkBootstrap(o *options) error { return checkServers(o.text("bootstrap-server")) }

// checkServers is checkBootstrap for an option of another name.
func checkServers(servers string) error {
	if servers == "" {
		return usage("Error while validating the bootstrap address\n")
	}
	for _, s := range strings.Split(servers, ",") {
		if !hostPort.MatchString(s) {
			return usage("Please provide valid host:port like host1:9091,host2:9092\n")
		}
	}
	return nil
}

// either returns the values of the new spelling, or of the old one.
func (o *options) either(now, old string) []string {
	if o.has(now) {
		return o.all(now)
	}
	return o.all(old)
}

// eitherText is either for an option that is given once.
func (o *options) eitherText(now, old string) string {
	if o.has(now) {
		return o.text(now)
	}
	return o.text(old)
}

func (c *call) lineReader() (*lineParser, error) {
	if class := c.opts.text("line-reader"); class != lineReader {
		return nil, failf("java.lang.ClassNotFoundException: %s", class)
	}
	p, err := loadProperties(c.opts.text("reader-config"))
	if err != nil {
		return nil, err
	}
	p.addPairs(c.opts.either("reader-property", "property"))
	return newLineParser(p)
}

// producerOptions are the client's options, from the properties and from the options, where an explicit option wins,
// then a property, then the option's default.
func (c *call) producerOptions() (properties, []kgo.Opt, error) {
	o := c.opts
	p, err := loadProperties(o.eitherText("command-config", "producer.config"))
	if err != nil {
		return nil, nil, err
	}
	p.addPairs(o.either("command-property", "producer-property"))
	if p["client.id"] == "" {
		p["client.id"] = "console-producer"
	}
	for _, m := range []struct{ key, option string }{
		{"linger.ms", "timeout"}, {"acks", "request-required-acks"}, {"request.timeout.ms", "request-timeout-ms"},
		{"retries", "message-send-max-retries"}, {"retry.backoff.ms", "retry-backoff-ms"}, {"buffer.memory", "max-memory-bytes"},
		{"batch.size", "batch-size"}, {"batch.size", "max-partition-memory-bytes"}, {"metadata.max.age.ms", "metadata-expiry-ms"},
		{"max.block.ms", "max-block-ms"},
	} {
		if k := o.find(m.option).kind; k == long || k == integer {
			o.number(m.option, 64)
		}
		if _, set := p[m.key]; o.has(m.option) || !set {
			p[m.key] = o.text(m.option)
		}
	}
	p["compression.type"] = "none"
	if o.has("compression-codec") {
		if p["compression.type"] = o.text("compression-codec"); p["compression.type"] == "" {
			p["compression.type"] = "gzip"
		}
	}
	if o.err != nil {
		return nil, nil, o.err
	}
	opts, err := p.producer()
	return p, append(opts, unanswered), err
}

// unanswered lets a record end without an answer: as with Kafka's delivery.timeout.ms one that was sent is given up like one that
// was not, where the client library would try for ever. Not for transactions.
var unanswered = kgo.AllowIdempotentProduceCancellation()

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

// producer makes the options of a producing client out of Kafka's producer properties.
func (p properties) producer() ([]kgo.Opt, error) {
	codec, ok := codecs[p["compression.type"]]
	if !ok && p["compression.type"] != "" {
		return nil, failf("Invalid value %s for configuration compression.type: String must be one of: none, gzip, snappy, lz4, zstd", p["compression.type"])
	}
	opts := []kgo.Opt{kgo.AllowAutoTopicCreation(), kgo.RecordPartitioner(kgo.UniformBytesPartitioner(16<<10, true, true, nil))}
	if ok {
		opts = append(opts, kgo.ProducerBatchCompression(codec))
	}
	switch p["acks"] {
	case "", "all", "-1":
	case "1":
		opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	case "0":
		opts = append(opts, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	default:
		return nil, failf("Invalid value %s for configuration acks: String must be one of: all, -1, 0, 1", p["acks"])
	}
	linger, err1 := p.natural("linger.ms", 5, lingerMax.Milliseconds())
	batch, err2 := p.natural("batch.size", 16<<10, math.MaxInt32)
	memory, err3 := p.natural("buffer.memory", 32<<20, math.MaxInt64)
	block, err4 := p.natural("max.block.ms", 60_000, math.MaxInt32)
	delivery, err5 := p.natural("delivery.timeout.ms", 120_000, math.MaxInt32)
	if err := first(err1, err2, err3, err4, err5); err != nil {
		return nil, err
	}
	// A batch that holds one record alone may be as large as the topic allows; batch.size bounds sharing only.
	opts = append(opts, kgo.ProducerLinger(time.Duration(linger)*time.Millisecond), kgo.MaxBufferedBytes(int(max(memory, 1<<20))),
		kgo.ProducerBatchMaxBytes(int32(min(max(batch, 1<<20), batchBytesMax))), kgo.UnknownTopicRetries(20))
	if delivery > 0 {
		opts = append(opts, kgo.RecordDeliveryTimeout(time.Duration(max(1000, min(delivery, block+30_000)))*time.Millisecond))
	}
	return opts, nil
}

const (
	// lingerMax is the longest linger.ms that the client library takes.
	lingerMax = time.Minute
	// batchBytesMax is below what the client library sends at a time.
	batchBytesMax = 64 << 20
)

// natural returns a property that is a number from 0 on, at most limit, its fallback when it is not set.
func (p properties) natural(key string, fallback, limit int64) (int64, error) {
	if p[key] == "" {
		return fallback, nil
	}
	n, err := strconv.ParseInt(p[key], 10, 64)
	if err != nil {
		return 0, failf("Invalid value %s for configuration %s: Not a number of type LONG", p[key], key)
	}
	if n < 0 {
		return 0, failf("Invalid value %d for configuration %s: Value must be at least 0", n, key)
	}
	return min(n, limit), nil
}

// produceLines sends what standard input has. A line that cannot be read ends the tool, after what came before it has
// been sent.
func (c *call) produceLines(ctx context.Context, client *kgo.Client, reader *lineParser) error {
	topic := c.opts.text("topic")
	if c.opts.err != nil {
		return c.opts.err
	}
	report := func(r *kgo.Record, err error) {
		if err != nil && !errors.Is(err, context.Canceled) {
			c.logf("ERROR", "Error when sending message to topic %s with key: %s, value: %s with error: %v", topic, size(r.Key), size(r.Value), produceError(err))
		}
	}
	// A line that was entered is sent, also when Ctrl-C follows it at once; a broker that is away then is not waited for long.
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(connectPatience, cancel) })()
	failed := c.eachLine(ctx, func(number int, line string) error {
		r, err := reader.parse(number, line)
		if err != nil {
			return err
		}
		r.Topic = topic
		if !c.opts.has("sync") {
			client.Produce(sending, r, report)
			return nil
		}
		return produceError(client.ProduceSync(sending, r).FirstErr())
	})
	if err := client.Flush(sending); err != nil && failed == nil {
		failed = err
	}
	return failed
}

// produceError is an error of a produced record in Kafka's words.
func produceError(err error) error {
	var known *kerr.Error
	if errors.As(err, &known) {
		return failf("%s", known.Description)
	}
	return err
}

// size is what Kafka shows of a key or value that could not be sent.
func size(b []byte) string {
	if b == nil {
		return "null"
	}
	return fmt.Sprintf("%d bytes", len(b))
}

// lineParser turns a line into a record.
type lineParser struct {
	key, headers, ignoreError                                       bool
	keySeparator, headersDelimiter, headersSeparator, pairSeparator string
	nullMarker                                                      string
	hasNullMarker                                                   bool
}

func newLineParser(p properties) (*lineParser, error) {
	value := func(key, fallback string) string {
		if v, ok := p[key]; ok {
			return v
		}
		return fallback
	}
	isTrue := func(key string) bool { return strings.EqualFold(strings.TrimSpace(p[key]), "true") }
	l := &lineParser{
		key: isTrue("parse.key"), headers: isTrue("parse.headers"), ignoreError: isTrue("ignore.error"),
		keySeparator: value("key.separator", "\t"), headersDelimiter: value("headers.delimiter", "\t"),
		headersSeparator: value("headers.separator", ","), pairSeparator: value("headers.key.separator", ":"),
	}
	l.nullMarker, l.hasNullMarker = p["null.marker"]
	for _, clash := range []struct {
		a, b, text string
	}{
		{l.headersDelimiter, l.headersSeparator, "headers.delimiter and headers.separator may not be equal"},
		{l.headersDelimiter, l.pairSeparator, "headers.delimiter and headers.key.separator may not be equal"},
		{l.headersSeparator, l.pairSeparator, "headers.separator and headers.key.separator may not be equal"},
	} {
		if clash.a == clash.b {
			return nil, failf("%s", clash.text)
		}
	}
	separators := []string{l.keySeparator, l.headersSeparator, l.headersDelimiter, l.pairSeparator}
	if i := slices.Index(separators, l.nullMarker); l.hasNullMarker && i >= 0 {
		names := []string{"key.separator", "headers.separator", "headers.delimiter", "headers.key.separator"}
		return nil, failf("null.marker and %s may not be equal", names[i])
	}
	return l, nil
}

func (l *lineParser) parse(number int, line string) (*kgo.Record, error) {
	r := &kgo.Record{}
	headers, rest, found, err := l.cut(l.headers, line, l.headersDelimiter, "headers delimiter", number, line)
	if err != nil {
		return nil, err
	}
	if found && !l.isNull(headers) {
		if r.Headers, err = l.parseHeaders(headers, number); err != nil {
			return nil, err
		}
	}
	key, value, found, err := l.cut(l.key, rest, l.keySeparator, "key separator", number, line)
	if err != nil {
		return nil, err
	}
	if found && !l.isNull(key) {
		r.Key = []byte(key)
	}
	if !l.isNull(value) {
		r.Value = []byte(value)
	}
	return r, nil
}

func (l *lineParser) isNull(s string) bool { return l.hasNullMarker && s == l.nullMarker }

// cut takes off what stands before a separator.
func (l *lineParser) cut(enabled bool, s, separator, name string, number int, line string) (before, after string, found bool, err error) {
	if !enabled {
		return "", s, false, nil
	}
	before, after, found = strings.Cut(s, separator)
	if !found && !l.ignoreError {
		return "", "", false, failf("No %s found on line number %d: '%s'", name, number, line)
	}
	if !found {
		after = s
	}
	return before, after, found, nil
}

func (l *lineParser) parseHeaders(s string, number int) ([]kgo.RecordHeader, error) {
	var headers []kgo.RecordHeader
	for _, pair := range strings.Split(s, l.headersSeparator) {
		key, value, found := strings.Cut(pair, l.pairSeparator)
		switch {
		case !found && !l.ignoreError:
			return nil, failf("No header key separator found in pair '%s' on line number %d", pair, number)
		case found && l.isNull(key):
			return nil, failf("Header keys should not be equal to the null marker '%s' as they can't be null", l.nullMarker)
		}
		h := kgo.RecordHeader{Key: key}
		if found && !l.isNull(value) {
			h.Value = []byte(value)
		}
		headers = append(headers, h)
	}
	return headers, nil
}
