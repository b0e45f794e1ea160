package kafkacli

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

// batch is the beginning of a batch of the newest format, as far as replicas are told apart by it.
func batch(base int64, count int32, checksum uint32) []byte {
	b := make([]byte, 61)
	binary.BigEndian.PutUint64(b, uint64(base))
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	b[16] = 2
	binary.BigEndian.PutUint32(b[17:], checksum)
	binary.BigEndian.PutUint32(b[23:], uint32(count-1))
	return b
}

// message is one of the first two formats.
func message(offset int64, checksum uint32) []byte {
	b := make([]byte, 26)
	binary.BigEndian.PutUint64(b, uint64(offset))
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	binary.BigEndian.PutUint32(b[12:], checksum)
	b[16] = 1
	return b
}

func TestReplicasCompared(t *testing.T) {
	rides := topicPartition{"rides", 3}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	whole := join(batch(5, 2, 11), batch(7, 1, 12), message(8, 13))
	for name, c := range map[string]struct {
		held  map[int32]copied
		next  int64
		says  string
		wrong string
		ends  bool
	}{
		"all have all":              {map[int32]copied{1: {9, whole}, 2: {9, whole}}, 9, "", "", false},
		"one knows less committed":  {map[int32]copied{1: {9, whole}, 2: {8, whole}}, 8, "", "", false},
		"one has less":              {map[int32]copied{1: {9, whole}, 2: {9, whole[:61]}}, 7, "", "", false},
		"one ends within a batch":   {map[int32]copied{1: {9, whole}, 2: {9, whole[:100]}}, 7, "", "", false},
		"one does not answer":       {map[int32]copied{1: {9, whole}, 2: {-1, nil}}, 5, "", "", false},
		"it has no replicas":        {map[int32]copied{}, 5, "", "", false},
		"another checksum":          {map[int32]copied{1: {9, whole}, 2: {9, join(batch(5, 2, 99), whole[61:])}}, 9, "partition rides-3 has unmatched checksum at offset 6; replica 1's checksum 11; replica 2's checksum 99\n", "", false},
		"another batch":             {map[int32]copied{1: {9, whole}, 2: {9, batch(5, 4, 11)}}, 5, "partition rides-3: replica 1's offset 6 doesn't match replica 2's offset 8\n", "", true},
		"the others are still seen": {map[int32]copied{1: {-1, nil}, 2: {9, whole}, 3: {9, batch(5, 4, 11)}}, 5, "replica 2's offset 6 doesn't match replica 3's offset 8\n", "", true},
		"no batch":                  {map[int32]copied{1: {9, whole}, 2: {9, bytes.Repeat([]byte{7}, 40)}}, 5, "", "Error in processing replica 2 in partition rides-3 at offset 5: a batch of format 7", false},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			v := &verification{call: &call{out: bufio.NewWriter(&out)}, next: map[topicPartition]int64{rides: 5}}
			err := v.compare(rides, c.held)
			_ = v.out.Flush()
			var ended exitError
			switch {
			case errors.As(err, &ended) != c.ends:
				t.Errorf("%v ends the tool: %t", err, !c.ends)
			case !c.ends && (err == nil) != (c.wrong == ""), c.wrong != "" && err.Error() != c.wrong:
				t.Errorf("failed with %v, want %q", err, c.wrong)
			}
			if got := out.String(); !strings.HasSuffix(got, c.says) || c.says == "" && got != "" {
				t.Errorf("said %q, want %q", got, c.says)
			}
			if v.next[rides] != c.next {
				t.Errorf("goes on at %d, want %d", v.next[rides], c.next)
			}
		})
	}
}

// FuzzCutBatch takes apart what a broker may answer: each batch is taken off the front, until what is left is none.
func FuzzCutBatch(f *testing.F) {
	f.Add(append(batch(5, 2, 11), message(7, 12)...))
	f.Add(batch(5, 2, 11)[:40])
	f.Fuzz(func(t *testing.T, data []byte) {
		rest := data
		for {
			before := len(rest)
			_, ok, err := cutBatch(&rest)
			if ok && (err != nil || len(rest) >= before) || !ok && len(rest) != before {
				t.Fatalf("%d bytes of %d are left, %t, %v", len(rest), before, ok, err)
			}
			if !ok {
				return
			}
		}
	})
}
