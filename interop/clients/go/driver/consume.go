package driver

import "time"

func consumeFrom(at Position, first int64) func(*Run) error {
	return func(r *Run) error {
		if err := r.create(r.Topic, 1, nil); err != nil {
			return err
		}
		if err := r.produce(r.Topic, 0, records(0, 100), ProduceOptions{}); err != nil {
			return err
		}
		return r.readFrom(at, first, 100-int(first))
	}
}

// readFrom reads n records and says and checks where they begin.
func (r *Run) readFrom(at Position, first int64, n int) error {
	got, err := r.readAll(r.Topic, at, n, ReadOptions{})
	if len(got) > 0 {
		r.Facts["first_offset"] = got[0].Offset
	}
	r.Facts["count"] = len(got)
	if err != nil {
		return err
	}
	if got[0].Offset != first {
		return fail("first offset read", got[0].Offset, first)
	}
	return nil
}

func consumeEnd(r *Run) error {
	if err := r.create(r.Topic, 1, nil); err != nil {
		return err
	}
	if err := r.produce(r.Topic, 0, records(0, 100), ProduceOptions{}); err != nil {
		return err
	}
	reader, err := r.Library.Read(r.Context, r.Topic, Position{End: true}, ReadOptions{})
	if err != nil {
		return err
	}
	defer reader.Close()
	if err := r.produce(r.Topic, 100, records(100, 110), ProduceOptions{}); err != nil {
		return err
	}
	got, err := r.next(reader, 10)
	if err != nil {
		return err
	}
	r.Facts["first_offset"], r.Facts["count"] = got[0].Offset, len(got)
	if got[0].Offset != 100 {
		return fail("first offset read", got[0].Offset, 100)
	}
	return nil
}

// timed are 100 records a second apart and the time of the first.
func timed() ([]Record, time.Time) {
	start := time.Now().Add(-1000 * time.Second).Truncate(time.Millisecond)
	rs := records(0, 100)
	for i := range rs {
		rs[i].Time = start.Add(time.Duration(i) * time.Second)
	}
	return rs, start
}

func consumeTimestamp(r *Run) error {
	if err := r.create(r.Topic, 1, nil); err != nil {
		return err
	}
	rs, start := timed()
	if err := r.produce(r.Topic, 0, rs, ProduceOptions{}); err != nil {
		return err
	}
	offset, err := r.Library.OffsetAt(r.Context, r.Topic, start.Add(41500*time.Millisecond))
	if err != nil {
		return err
	}
	if err := r.readFrom(Position{Offset: offset}, 42, 58); err != nil {
		return err
	}
	r.Facts["beyond_end"], err = r.Library.OffsetAt(r.Context, r.Topic, time.Now().Add(time.Hour))
	return err
}

func consumeMaxBytes(r *Run) error {
	if err := r.create(r.Topic, 1, nil); err != nil {
		return err
	}
	for i := range 5 {
		if err := r.produce(r.Topic, int64(i), []Record{{Value: value(i, 10000)}}, ProduceOptions{}); err != nil {
			return err
		}
	}
	got, err := r.readAll(r.Topic, Position{Start: true}, 5, ReadOptions{PartitionBytesMax: 1000})
	if err != nil {
		return err
	}
	r.Facts["first_offset"], r.Facts["count"] = got[0].Offset, len(got)
	return nil
}
