package driver

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// produce writes records and checks that the offsets that were acknowledged, where they are known, are those that follow base.
func (r *Run) produce(topic string, base int64, rs []Record, options ProduceOptions) error {
	offsets, err := r.Library.Produce(r.Context, topic, rs, options)
	if err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	next := map[int32]int64{}
	for i, offset := range offsets {
		want := base + next[rs[i].Partition]
		if next[rs[i].Partition]++; offset != -1 && offset != want {
			return fail(fmt.Sprintf("acknowledged offset of record %d", i), offset, want)
		}
	}
	return nil
}

// readAll reads n records of partition 0 from a position, and checks that their offsets are consecutive.
func (r *Run) readAll(topic string, at Position, n int, options ReadOptions) ([]Record, error) {
	reader, err := r.Library.Read(r.Context, topic, at, options)
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	defer reader.Close()
	return r.next(reader, n)
}

func (r *Run) next(reader Reader, n int) ([]Record, error) {
	var got []Record
	for len(got) < n {
		rs, err := reader.Next(r.Context)
		if got = append(got, rs...); err != nil {
			return got, fmt.Errorf("%d of %d records read: %w", len(got), n, err)
		}
	}
	if len(got) > n {
		return got, fail("records read", len(got), n)
	}
	for i, record := range got {
		if record.Offset != got[0].Offset+int64(i) {
			return got, fail("offset read", record.Offset, got[0].Offset+int64(i))
		}
	}
	return got, nil
}

func produceWith(options ProduceOptions) func(*Run) error {
	return func(r *Run) error {
		if err := r.create(r.Topic, 1, nil); err != nil {
			return err
		}
		written := records(0, 100)
		if err := r.produce(r.Topic, 0, written, options); err != nil {
			return err
		}
		got, err := r.readAll(r.Topic, Position{Start: true}, 100, ReadOptions{})
		if err != nil {
			return err
		}
		r.Facts["base_offset"], r.Facts["count"], r.Facts["sha256"] = got[0].Offset, len(got), digest(got)
		if digest(got) != digest(written) {
			return fail("sha256 of what was read", digest(got), digest(written))
		}
		return nil
	}
}

func produceHeaders(r *Run) error {
	if err := r.create(r.Topic, 1, nil); err != nil {
		return err
	}
	written := records(0, 2)
	written[0].Headers = []Header{{"a", []byte("1")}, {"a", []byte("2")}, {"empty", []byte{}}, {"null", nil}, {"b", []byte("3")}}
	if err := r.produce(r.Topic, 0, written, ProduceOptions{}); err != nil {
		return err
	}
	got, err := r.readAll(r.Topic, Position{Start: true}, 2, ReadOptions{})
	if err != nil {
		return err
	}
	headers := [][][]any{}
	for _, record := range got {
		hs := [][]any{}
		for _, h := range record.Headers {
			var value any
			if h.Value != nil {
				value = string(h.Value)
			}
			hs = append(hs, []any{h.Key, value})
		}
		headers = append(headers, hs)
	}
	r.Facts["headers"] = headers
	// Some libraries read no bytes and null as the same; the fact shows it.
	const want = `[[[a 1] [a 2] [empty ] [null ] [b 3]] []]`
	if saw := strings.ReplaceAll(fmt.Sprint(headers), "<nil>", ""); saw != want {
		return fail("headers", saw, want)
	}
	return nil
}

func produceTimestamps(r *Run) error {
	appended := r.TopicLogAppend
	if appended == "" {
		appended = r.Topic + "-append"
		if err := r.create(appended, 1, map[string]string{"message.timestamp.type": "LogAppendTime"}); err != nil {
			return err
		}
	}
	if err := r.create(r.Topic, 1, nil); err != nil {
		return err
	}
	given := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	for topic, prefix := range map[string]string{r.Topic: "create", appended: "log_append"} {
		written := records(0, 1)
		written[0].Time = given
		offsets, err := r.Library.Produce(r.Context, topic, written, ProduceOptions{})
		if err != nil {
			return err
		}
		got, err := r.readAll(topic, Position{Offset: offsets[0]}, 1, ReadOptions{})
		if err != nil {
			return err
		}
		if prefix == "create" {
			r.Facts["create_time_kept"] = got[0].Time.Equal(given)
		} else {
			r.Facts["log_append_time_later"] = got[0].Time.After(given)
		}
		if at := got[0].LogAppend; at != nil {
			r.Facts[prefix+"_type"] = map[bool]string{false: "CREATE_TIME", true: "LOG_APPEND_TIME"}[*at]
		}
	}
	// Whether the other one is later is the comparison's to judge: kafka-go does not look at the type.
	if r.Facts["create_time_kept"] != true {
		return errors.New("the timestamp read is not the one given")
	}
	return nil
}

func produceTooLarge(r *Run) error {
	topic := r.TopicSmall
	if topic == "" {
		topic = r.Topic
		if err := r.create(topic, 1, map[string]string{"max.message.bytes": "10000"}); err != nil {
			return err
		}
	}
	_, err := r.Library.Produce(r.Context, topic, []Record{{Key: []byte("key"), Value: value(0, 20000)}}, ProduceOptions{})
	if r.Facts["error"] = r.Name(err); err == nil {
		return errors.New("a record of 20000 bytes was accepted")
	}
	_, err = r.Library.Produce(r.Context, topic, records(0, 1), ProduceOptions{})
	r.Facts["small"] = r.Name(err)
	return err
}

func produceIdempotent(r *Run) error {
	if err := r.create(r.Topic, 1, nil); err != nil {
		return err
	}
	if err := r.produce(r.Topic, 0, records(0, 1000), ProduceOptions{Idempotent: true, BatchRecords: 100}); err != nil {
		return err
	}
	got, err := r.readAll(r.Topic, Position{Start: true}, 1000, ReadOptions{})
	if err != nil {
		return err
	}
	distinct, inOrder := map[string]bool{}, true
	for i, record := range got {
		distinct[string(record.Key)] = true
		inOrder = inOrder && string(record.Key) == fmt.Sprintf("key-%04d", i)
	}
	r.Facts["count"], r.Facts["distinct"], r.Facts["in_order"] = len(got), len(distinct), inOrder
	if len(distinct) != 1000 || !inOrder {
		return errors.New("the records read are not those written")
	}
	return nil
}
