package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// position is a place in a partition as the command line names it.
type position struct {
	text  string
	kind  positionKind
	value int64 // an offset, a number of records, or Unix milliseconds
}

type positionKind int

const (
	atStart positionKind = iota
	atEnd
	atOffset
	plus  // +n: after the start, or for a seek after what is committed
	minus // -n: before the end, or for a seek before what is committed
	atTime
)

const positionHelp = "start, end, an offset, +N (N after the start), -N (the last N), or @TIME (RFC 3339, a date, Unix ms, or -10m for ten minutes ago)"

// parsePosition reads a position; flag names where it was given.
func parsePosition(flag, text string) (position, error) {
	p := position{text: text}
	switch {
	case text == "start":
		return p, nil
	case text == "end":
		p.kind = atEnd
		return p, nil
	case strings.HasPrefix(text, "@"):
		ms, ok := parseTime(text[1:], time.Now())
		if !ok {
			return p, usageErrorf("%s %s: no time; it can be RFC 3339 (2015-05-15T00:08:13Z), a date (2015-05-15, in UTC), Unix milliseconds, or -10m for ten minutes ago", flag, text)
		}
		p.kind, p.value = atTime, ms
		return p, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n == -1<<63 {
		return p, usageErrorf("%s %s: it can be start, end, an offset, +N, -N or @TIME", flag, text)
	}
	switch {
	case text[0] == '+':
		p.kind, p.value = plus, n
	case text[0] == '-':
		p.kind, p.value = minus, -n
	default:
		p.kind, p.value = atOffset, n
	}
	return p, nil
}

// parseTime returns Unix milliseconds.
func parseTime(text string, now time.Time) (int64, bool) {
	if ago, ok := strings.CutPrefix(text, "-"); ok {
		d, err := time.ParseDuration(ago)
		return now.Add(-d).UnixMilli(), err == nil && d >= 0
	}
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil && ms >= 0 {
		return ms, true
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return max(t.UnixMilli(), 0), true
		}
	}
	return 0, false
}

// offset is the position for a consumer.
func (p position) offset() kgo.Offset {
	o := kgo.NewOffset()
	switch p.kind {
	case atEnd:
		return o.AtEnd()
	case atOffset:
		return o.At(p.value)
	case plus:
		return o.AtStart().Relative(p.value)
	case minus:
		return o.AtEnd().Relative(-p.value)
	case atTime:
		return o.AfterMilli(p.value)
	}
	return o.AtStart()
}

// bounds are where partitions begin and end, and where a time falls.
type bounds struct{ starts, ends, after kadm.ListedOffsets }

// bounds asks for what is needed to resolve p in all partitions of the topics.
func (p position) bounds(ctx context.Context, admin *kadm.Client, topics ...string) (bounds, error) {
	var b bounds
	var err error
	if b.starts, err = admin.ListStartOffsets(ctx, topics...); err != nil {
		return b, err
	}
	if b.ends, err = admin.ListEndOffsets(ctx, topics...); err != nil {
		return b, err
	}
	if p.kind == atTime {
		b.after, err = admin.ListOffsetsAfterMilli(ctx, p.value, topics...)
	}
	return b, err
}

// resolve returns the offset of p in a partition, kept within what the partition has; +N and -N count from the start
// and from the end.
func (b bounds) resolve(p position, topic string, partition int32) (int64, error) {
	start, ok := b.starts.Lookup(topic, partition)
	if !ok {
		return 0, &missingPartition{topic, partition}
	}
	end, _ := b.ends.Lookup(topic, partition)
	if start.Err != nil {
		return 0, start.Err
	}
	if end.Err != nil {
		return 0, end.Err
	}
	offset := start.Offset
	switch p.kind {
	case atEnd:
		offset = end.Offset
	case atOffset:
		offset = p.value
	case plus:
		offset = min(p.value, end.Offset-start.Offset) + start.Offset
	case minus:
		offset = end.Offset - min(p.value, end.Offset)
	case atTime:
		at, _ := b.after.Lookup(topic, partition)
		if at.Err != nil {
			return 0, at.Err
		}
		offset = at.Offset
		if offset < 0 { // no record is that young
			offset = end.Offset
		}
	}
	return min(max(offset, start.Offset), end.Offset), nil
}
