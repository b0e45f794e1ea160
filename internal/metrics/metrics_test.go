package metrics

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

func TestWriter(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out)
	w.Family(Gauge, "a", "What \\ it\nis.")
	w.SampleInt(1<<52, "topic", `quo"te\`+"\n", "client", "bad\xff")
	w.Sample(0.25)
	w.One(Counter, "b", "Help.", math.Inf(1))
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		`# HELP a What \\ it\nis.`, `# TYPE a gauge`,
		`a{topic="quo\"te\\\n",client="bad` + "\uFFFD" + `"} 4503599627370496`, `a 0.25`,
		`# HELP b Help.`, `# TYPE b counter`, `b +Inf`, ``,
	}, "\n")
	if out.String() != want || w.Samples() != 3 {
		t.Errorf("%d samples\n%s\nwant\n%s", w.Samples(), out.String(), want)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("gone") }

func TestWriterTellsOfAnError(t *testing.T) {
	w := NewWriter(brokenPipe{})
	w.One(Gauge, "a", strings.Repeat("x", 2*writerBufferBytes), 1)
	w.One(Gauge, "b", "", 1)
	if w.Flush() == nil {
		t.Error("nobody is told that the reader has gone")
	}
}

func TestHistogramBuckets(t *testing.T) {
	for _, c := range []struct {
		nanos  int64
		bucket int
	}{
		{0, 0}, {1, 0}, {1 << 14, 0}, {1<<14 + 1, 1}, {1 << 16, 1}, {1<<16 + 1, 2}, {1 << 18, 2}, {1 << 36, 11},
		{1<<36 + 1, 12}, {math.MaxInt64, 12},
	} {
		got := bucketOf(c.nanos)
		if got != c.bucket {
			t.Errorf("%d ns is in bucket %d, want %d", c.nanos, got, c.bucket)
		}
		if got < bucketCount && c.nanos > bucketEnd(got) || got > 0 && c.nanos <= bucketEnd(got-1) {
			t.Errorf("%d ns is in bucket %d, which ends at %d", c.nanos, got, bucketEnd(got))
		}
	}
}

func TestHistogram(t *testing.T) {
	var h Histogram
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			for range 1000 {
				h.Observe(20 * time.Microsecond)
			}
		})
	}
	running.Wait()
	h.Observe(-time.Second)
	h.Observe(time.Hour)
	var out bytes.Buffer
	w := NewWriter(&out)
	w.Family(HistogramKind, "d", "Durations.")
	w.Histogram(&h, "api", "Fetch")
	_ = w.Flush()
	for _, line := range []string{
		`d_bucket{api="Fetch",le="1.6384e-05"} 1`, `d_bucket{api="Fetch",le="6.5536e-05"} 4001`,
		`d_bucket{api="Fetch",le="+Inf"} 4002`, `d_sum{api="Fetch"} 3600.08`, `d_count{api="Fetch"} 4002`,
	} {
		if !strings.Contains(out.String(), line+"\n") {
			t.Errorf("no line %s in\n%s", line, out.String())
		}
	}
	if n := testing.AllocsPerRun(100, func() { h.Observe(time.Millisecond) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

var sampleLine = regexp.MustCompile(`^a\{l="((?:[^"\\\n]|\\.)*)"\} 1$`)

// A label's value comes from clients: whatever it is, it stays one value in one line.
func FuzzLabel(f *testing.F) {
	for _, seed := range []string{"", `"`, `\`, "\n", "a\"} 1\nb{x=\"", "\xff\xfe", "\u2028"} {
		f.Add(seed)
	}
	unescape := strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\"`, `"`)
	f.Fuzz(func(t *testing.T, value string) {
		var out bytes.Buffer
		w := NewWriter(&out)
		w.Family(Gauge, "a", "")
		w.Sample(1, "l", value)
		_ = w.Flush()
		line := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if len(line) != 3 {
			t.Fatalf("%q", out.String())
		}
		m := sampleLine.FindStringSubmatch(line[2])
		if m == nil {
			t.Fatalf("%q is no sample", line[2])
		}
		if got := unescape.Replace(m[1]); utf8.ValidString(value) && got != value {
			t.Fatalf("%q came out as %q", value, got)
		}
	})
}

func BenchmarkSample(b *testing.B) {
	var out bytes.Buffer
	w := NewWriter(&out)
	w.Family(Gauge, "kafka_log_log_size", "")
	for i := range b.N {
		out.Reset()
		w.SampleInt(int64(i), "topic", "telematics", "partition", fmt.Sprint(i%10))
	}
}
