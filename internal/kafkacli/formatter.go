package kafkacli

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/logbahn/logbahn/internal/config"
	"github.com/logbahn/logbahn/internal/logdump"
)

const (
	formatters       = "org.apache.kafka.tools.consumer."
	defaultFormatter = formatters + "DefaultMessageFormatter"
)

// formatter prints a record.
type formatter interface {
	write(w io.Writer, r *kgo.Record) error
}

// formatter makes the formatter that the options name. Its error is the class that nobody knows.
func (c *call) formatter() (formatter, error) {
	o := c.opts
	p, err := loadProperties(o.text("formatter-config"))
	if err != nil {
		return nil, err
	}
	for option, key := range map[string]string{"key-deserializer": "key.deserializer", "value-deserializer": "value.deserializer"} {
		if class := o.text(option); class != "" {
			p[key] = class
		}
	}
	p.addPairs(o.either("formatter-property", "property"))
	switch class := o.text("formatter"); class {
	case defaultFormatter, formatters + "LoggingMessageFormatter", "kafka.tools.DefaultMessageFormatter":
		return newColumns(p)
	case formatters + "NoOpMessageFormatter", "kafka.tools.NoOpMessageFormatter":
		return silent{}, nil
	case formatters + "OffsetsMessageFormatter", groupManager + "OffsetsMessageFormatter":
		return internalRecord(logdump.OffsetsJSON), nil
	case formatters + "GroupMetadataMessageFormatter", groupManager + "GroupMetadataMessageFormatter":
		return internalRecord(logdump.GroupsJSON), nil
	case formatters + "TransactionLogMessageFormatter", "kafka.coordinator.transaction.TransactionLog$TransactionLogMessageFormatter":
		return internalRecord(logdump.TransactionsJSON), nil
	default:
		return nil, failf("%s", class)
	}
}

// groupManager is where the formatters of __consumer_offsets were before Kafka 4.
const groupManager = "kafka.coordinator.group.GroupMetadataManager$"

// internalRecord prints records of an internal topic, as Kafka does without anything between two of them.
type internalRecord logdump.JSON

func (f internalRecord) write(w io.Writer, r *kgo.Record) error {
	text, err := f(r.Key, r.Value)
	if err != nil {
		return failf("Could not read record at offset %d due to: %v", r.Offset, err)
	}
	_, err = io.WriteString(w, text)
	return err
}

type silent struct{}

func (silent) write(io.Writer, *kgo.Record) error { return nil }

// columns is Kafka's DefaultMessageFormatter.
type columns struct {
	timestamp, partition, offset, delivery, epoch, headers, key, value bool

	separator, line, headerSeparator, null string
	keyText, valueText, headerText         deserializer
}

func newColumns(p properties) (*columns, error) {
	is := func(key string) bool { return strings.EqualFold(strings.TrimSpace(p[key]), "true") }
	value := func(key, fallback string) string {
		if v, ok := p[key]; ok {
			return v
		}
		return fallback
	}
	f := &columns{
		timestamp: is("print.timestamp"), partition: is("print.partition"), offset: is("print.offset"), delivery: is("print.delivery"),
		epoch: is("print.epoch"), headers: is("print.headers"), key: is("print.key"), value: p["print.value"] == "" || is("print.value"),
		separator: value("key.separator", "\t"), line: value("line.separator", "\n"),
		headerSeparator: value("headers.separator", ","), null: value("null.literal", "null"),
	}
	for key, to := range map[string]*deserializer{"key.deserializer": &f.keyText, "value.deserializer": &f.valueText, "headers.deserializer": &f.headerText} {
		class := p[key]
		if class == "" {
			class = deserializers + "StringDeserializer"
		}
		known, ok := deserializerOf[strings.TrimPrefix(class, deserializers)]
		if !ok {
			return nil, failf("%s", class)
		}
		*to = known
	}
	return f, nil
}

func (f *columns) write(w io.Writer, r *kgo.Record) error {
	var cells []string
	add := func(on bool, cell func() (string, error)) error {
		if !on {
			return nil
		}
		s, err := cell()
		cells = append(cells, s)
		return err
	}
	err := first(
		add(f.timestamp, func() (string, error) { return timestampOf(r), nil }),
		add(f.partition, func() (string, error) { return fmt.Sprintf("Partition:%d", r.Partition), nil }),
		add(f.offset, func() (string, error) { return fmt.Sprintf("Offset:%d", r.Offset), nil }),
		add(f.delivery, func() (string, error) { return "Delivery:NOT_PRESENT", nil }),
		add(f.epoch, func() (string, error) { return "Epoch:NOT_PRESENT", nil }),
		add(f.headers, func() (string, error) { return f.headersOf(r) }),
		add(f.key, func() (string, error) { return f.text(f.keyText, r.Key) }),
		add(f.value, func() (string, error) { return f.text(f.valueText, r.Value) }),
	)
	if err != nil || len(cells) == 0 {
		return err
	}
	_, err = io.WriteString(w, strings.Join(cells, f.separator)+f.line)
	return err
}

func timestampOf(r *kgo.Record) string {
	switch r.Attrs.TimestampType() {
	case 0:
		return fmt.Sprintf("CreateTime:%d", r.Timestamp.UnixMilli())
	case 1:
		return fmt.Sprintf("LogAppendTime:%d", r.Timestamp.UnixMilli())
	}
	return "NO_TIMESTAMP"
}

func (f *columns) headersOf(r *kgo.Record) (string, error) {
	if len(r.Headers) == 0 {
		return "NO_HEADERS", nil
	}
	pairs := make([]string, len(r.Headers))
	for i, h := range r.Headers {
		value, err := f.text(f.headerText, h.Value)
		if err != nil {
			return "", err
		}
		pairs[i] = h.Key + ":" + value
	}
	return strings.Join(pairs, f.headerSeparator), nil
}

func (f *columns) text(as deserializer, b []byte) (string, error) {
	if b == nil {
		return f.null, nil
	}
	return as(b)
}

// deserializer turns bytes into what Java's toString shows of the value.
type deserializer func(b []byte) (string, error)

const deserializers = "org.apache.kafka.common.serialization."

var deserializerOf = map[string]deserializer{
	"StringDeserializer": func(b []byte) (string, error) { return string(b), nil },
	"LongDeserializer": sized("LongDeserializer", 8, func(b []byte) string {
		return strconv.FormatInt(int64(binary.BigEndian.Uint64(b)), 10)
	}),
	"IntegerDeserializer": sized("IntegerDeserializer", 4, func(b []byte) string {
		return strconv.FormatInt(int64(int32(binary.BigEndian.Uint32(b))), 10)
	}),
	"ShortDeserializer": sized("ShortDeserializer", 2, func(b []byte) string {
		return strconv.FormatInt(int64(int16(binary.BigEndian.Uint16(b))), 10)
	}),
	"DoubleDeserializer": sized("Deserializer", 8, func(b []byte) string {
		return config.JavaDouble(math.Float64frombits(binary.BigEndian.Uint64(b)), 64)
	}),
	"FloatDeserializer": sized("Deserializer", 4, func(b []byte) string {
		return config.JavaDouble(float64(math.Float32frombits(binary.BigEndian.Uint32(b))), 32)
	}),
	"BytesDeserializer": func(b []byte) (string, error) { return javaBytes(b), nil },
	"UUIDDeserializer":  func(b []byte) (string, error) { return string(b), nil },
	"BooleanDeserializer": sized("BooleanDeserializer", 1, func(b []byte) string {
		return strconv.FormatBool(b[0] != 0)
	}),
}

// javaBytes prints bytes as the toString of Kafka's Bytes does: all but printable ASCII, and the backslash, as \xHH.
func javaBytes(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		if c >= ' ' && c <= '~' && c != '\\' {
			s.WriteByte(c)
		} else {
			fmt.Fprintf(&s, "\\x%02X", c)
		}
	}
	return s.String()
}

func sized(name string, size int, show func([]byte) string) deserializer {
	return func(b []byte) (string, error) {
		if len(b) != size {
			return "", failf("Size of data received by %s is not %d", name, size)
		}
		return show(b), nil
	}
}
