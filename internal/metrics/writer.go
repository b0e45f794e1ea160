package metrics

import (
	"bufio"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Kind is what Prometheus calls the type of a metric.
type Kind string

// The kinds of metrics.
const (
	Counter       Kind = "counter"
	Gauge         Kind = "gauge"
	HistogramKind Kind = "histogram"
)

// Writer writes metrics, family by family. It belongs to one goroutine. An error of the io.Writer beneath ends the
// output; Flush returns it.
type Writer struct {
	out     *bufio.Writer
	scratch []byte
	name    string // of the family
	samples int
}

const writerBufferBytes = 64 << 10

// NewWriter returns a Writer onto w. Flush it.
func NewWriter(w io.Writer) *Writer {
	return &Writer{out: bufio.NewWriterSize(w, writerBufferBytes)}
}

// Flush writes what is left and returns the first error.
func (w *Writer) Flush() error { return w.out.Flush() }

// Samples returns how many samples have been written.
func (w *Writer) Samples() int { return w.samples }

// Family begins a family: the samples that follow are of it. A name must not come twice.
func (w *Writer) Family(kind Kind, name, help string) {
	w.name = name
	w.describe(kind, name, help)
}

func (w *Writer) describe(kind Kind, name, help string) {
	b := append(w.scratch[:0], "# HELP "...)
	b = append(b, name...)
	b = append(b, ' ')
	b = appendEscaped(b, help, false)
	b = append(b, "\n# TYPE "...)
	b = append(b, name...)
	b = append(b, ' ')
	b = append(b, kind...)
	b = append(b, '\n')
	w.write(b)
}

// Sample writes a sample of the family. labels are names and values in turn.
func (w *Writer) Sample(value float64, labels ...string) {
	w.sample(w.name, "", value, labels, "", "")
}

// SampleInt is Sample for a whole number.
func (w *Writer) SampleInt(value int64, labels ...string) { w.Sample(float64(value), labels...) }

// One writes a family with one sample that has no labels.
func (w *Writer) One(kind Kind, name, help string, value float64) {
	w.Family(kind, name, help)
	w.Sample(value)
}

func (w *Writer) sample(name, suffix string, value float64, labels []string, extra, extraValue string) {
	b := append(w.scratch[:0], name...)
	b = append(b, suffix...)
	separator := byte('{')
	add := func(label, text string) {
		b = append(b, separator)
		separator = ','
		b = append(b, label...)
		b = append(b, '=', '"')
		b = appendEscaped(b, text, true)
		b = append(b, '"')
	}
	for i := 0; i+1 < len(labels); i += 2 {
		add(labels[i], labels[i+1])
	}
	if extra != "" {
		add(extra, extraValue)
	}
	if separator == ',' {
		b = append(b, '}')
	}
	b = append(b, ' ')
	b = appendNumber(b, value)
	b = append(b, '\n')
	w.samples++
	w.write(b)
}

func (w *Writer) write(b []byte) {
	w.scratch = b
	_, _ = w.out.Write(b) // bufio keeps the error for Flush
}

func appendNumber(b []byte, v float64) []byte {
	switch {
	case math.IsInf(v, 1):
		return append(b, "+Inf"...)
	case math.IsInf(v, -1):
		return append(b, "-Inf"...)
	case v == math.Trunc(v) && math.Abs(v) < 1<<53:
		return strconv.AppendInt(b, int64(v), 10)
	}
	return strconv.AppendFloat(b, v, 'g', -1, 64)
}

// appendEscaped writes text as the format wants it. What is not UTF-8 is replaced: a client may have sent it.
func appendEscaped(b []byte, text string, quotes bool) []byte {
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\uFFFD")
	}
	for i := range len(text) {
		switch c := text[i]; {
		case c == '\\':
			b = append(b, `\\`...)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '"' && quotes:
			b = append(b, `\"`...)
		default:
			b = append(b, c)
		}
	}
	return b
}
