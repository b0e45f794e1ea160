package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
)

const recordFormatHelp = `  %t topic      %p partition   %o offset     %L leader epoch
  %k key        %v value       %h headers    %T timestamp in Unix ms
  %K key bytes  %V value bytes %%            %T{rfc3339}
  %k{hex} %v{hex} %h{hex} %k{base64} %v{base64}
  \n \t \r \0 \\ \x1e          %s and %S are kcat's names of %v and %V`

// recordFormat writes a record as a format of the command line says: rpk's letters, and kcat's where they do not differ.
type recordFormat []func(out []byte, r *kgo.Record) []byte

func parseRecordFormat(format string) (recordFormat, error) {
	var parts recordFormat
	var literal []byte
	flush := func() {
		if len(literal) > 0 {
			text := string(literal)
			parts = append(parts, func(out []byte, _ *kgo.Record) []byte { return append(out, text...) })
			literal = nil
		}
	}
	for rest := format; rest != ""; {
		switch {
		case rest[0] == '\\':
			char, after, err := unescape(rest)
			if err != nil {
				return nil, err
			}
			literal, rest = append(literal, char), after
		case strings.HasPrefix(rest, "%%"):
			literal, rest = append(literal, '%'), rest[2:]
		case rest[0] == '%':
			flush()
			part, after, err := parseVerb(rest)
			if err != nil {
				return nil, err
			}
			parts, rest = append(parts, part), after
		default:
			literal, rest = append(literal, rest[0]), rest[1:]
		}
	}
	flush()
	return parts, nil
}

// unescape reads the escape that rest begins with.
func unescape(rest string) (char byte, after string, err error) {
	if len(rest) < 2 {
		return 0, "", usageErrorf(`--format ends in a \`)
	}
	switch rest[1] {
	case 'n':
		return '\n', rest[2:], nil
	case 't':
		return '\t', rest[2:], nil
	case 'r':
		return '\r', rest[2:], nil
	case '0':
		return 0, rest[2:], nil
	case '\\':
		return '\\', rest[2:], nil
	case 'x':
		if len(rest) >= 4 {
			if n, err := strconv.ParseUint(rest[2:4], 16, 8); err == nil {
				return byte(n), rest[4:], nil
			}
		}
		return 0, "", usageErrorf(`--format: \x needs two hexadecimal digits`)
	}
	return 0, "", usageErrorf(`--format: there is no \%c`, rest[1])
}

// parseVerb reads the verb that rest begins with, and what stands in braces behind it.
func parseVerb(rest string) (part func([]byte, *kgo.Record) []byte, after string, err error) {
	if len(rest) < 2 {
		return nil, "", usageErrorf("--format ends in %%")
	}
	verb, after, how := rest[1], rest[2:], ""
	if strings.HasPrefix(after, "{") {
		var closed bool
		if how, after, closed = strings.Cut(after[1:], "}"); !closed {
			return nil, "", usageErrorf("--format: %%%c{ is not closed", verb)
		}
	}
	encode, known := encodings[how]
	if bytesOf, ok := byteVerbs[verb]; ok {
		if !known {
			return nil, "", usageErrorf("--format: %%%c{%s}: there are hex and base64", verb, how)
		}
		return func(out []byte, r *kgo.Record) []byte { return encode(out, bytesOf(r)) }, after, nil
	}
	switch {
	case verb == 'h' && known:
		return func(out []byte, r *kgo.Record) []byte { return appendHeaders(out, r.Headers, encode) }, after, nil
	case verb == 'T' && how == "rfc3339":
		return func(out []byte, r *kgo.Record) []byte {
			return r.Timestamp.UTC().AppendFormat(out, "2006-01-02T15:04:05.000Z07:00")
		}, after, nil
	}
	number, ok := numberVerbs[verb]
	switch {
	case !ok && verb != 'h':
		return nil, "", usageErrorf("--format: there is no %%%c", verb)
	case !ok || how != "":
		return nil, "", usageErrorf("--format: %%%c has no {%s}", verb, how)
	}
	return func(out []byte, r *kgo.Record) []byte { return strconv.AppendInt(out, number(r), 10) }, after, nil
}

var byteVerbs = map[byte]func(*kgo.Record) []byte{
	't': func(r *kgo.Record) []byte { return []byte(r.Topic) },
	'k': func(r *kgo.Record) []byte { return r.Key },
	'v': func(r *kgo.Record) []byte { return r.Value },
	's': func(r *kgo.Record) []byte { return r.Value },
}

// numberVerbs give -1 for the size of a key or value that is null, as kcat does.
var numberVerbs = map[byte]func(*kgo.Record) int64{
	'p': func(r *kgo.Record) int64 { return int64(r.Partition) },
	'o': func(r *kgo.Record) int64 { return r.Offset },
	'L': func(r *kgo.Record) int64 { return int64(r.LeaderEpoch) },
	'T': func(r *kgo.Record) int64 { return r.Timestamp.UnixMilli() },
	'K': func(r *kgo.Record) int64 { return sizeOf(r.Key) },
	'V': func(r *kgo.Record) int64 { return sizeOf(r.Value) },
	'S': func(r *kgo.Record) int64 { return sizeOf(r.Value) },
}

func sizeOf(b []byte) int64 {
	if b == nil {
		return -1
	}
	return int64(len(b))
}

var encodings = map[string]func(out, b []byte) []byte{
	"":       func(out, b []byte) []byte { return append(out, b...) },
	"hex":    hex.AppendEncode,
	"base64": base64.StdEncoding.AppendEncode,
}

func appendHeaders(out []byte, headers []kgo.RecordHeader, encode func(out, b []byte) []byte) []byte {
	for i, h := range headers {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(out, h.Key...), '=')
		out = encode(out, h.Value)
	}
	return out
}

func (f recordFormat) append(out []byte, r *kgo.Record) []byte {
	for _, part := range f {
		out = part(out, r)
	}
	return out
}

// consumed is a record as -o json prints it, one a line.
type consumed struct {
	Topic       string           `json:"topic" doc:"topic"`
	Partition   int32            `json:"partition" doc:"partition"`
	Offset      int64            `json:"offset" doc:"offset"`
	Timestamp   time.Time        `json:"timestamp" doc:"RFC 3339, in UTC"`
	Key         *string          `json:"key" doc:"null when there is none, or when it is not UTF-8"`
	Value       *string          `json:"value" doc:"as key"`
	KeyBase64   []byte           `json:"key_base64,omitempty" doc:"a key that is not UTF-8"`
	ValueBase64 []byte           `json:"value_base64,omitempty" doc:"a value that is not UTF-8"`
	Headers     []consumedHeader `json:"headers,omitempty" doc:"in their order; a key may come twice"`
}

type consumedHeader struct {
	Key         string  `json:"key" doc:"key"`
	Value       *string `json:"value" doc:"null when there is none, or when it is not UTF-8"`
	ValueBase64 []byte  `json:"value_base64,omitempty" doc:"a value that is not UTF-8"`
}

func consumedOf(r *kgo.Record) consumed {
	c := consumed{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UTC()}
	c.Key, c.KeyBase64 = text(r.Key)
	c.Value, c.ValueBase64 = text(r.Value)
	for _, h := range r.Headers {
		header := consumedHeader{Key: h.Key}
		header.Value, header.ValueBase64 = text(h.Value)
		c.Headers = append(c.Headers, header)
	}
	return c
}

func text(b []byte) (*string, []byte) {
	if b == nil {
		return nil, nil
	}
	if !utf8.Valid(b) {
		return nil, b
	}
	s := string(b)
	return &s, nil
}

// recordPrinter prints records as objects, or as the format says.
func recordPrinter(out io.Writer, asJSON bool, format string) (func(*kgo.Record) error, error) {
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		return func(r *kgo.Record) error { return encoder.Encode(consumedOf(r)) }, nil
	}
	parsed, err := parseRecordFormat(format)
	if err != nil {
		return nil, err
	}
	var line []byte
	return func(r *kgo.Record) error {
		line = parsed.append(line[:0], r)
		_, err := out.Write(line)
		return err
	}, nil
}
