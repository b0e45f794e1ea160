package check

import (
	"slices"
	"testing"
	"time"
)

var p0 = Partition{Topic: "t"}

// sent is a durable record, acknowledged at its offset, a second after it was begun.
func sent(producer, value string, offset int64, begin int) Send {
	return Send{Partition: p0, Producer: producer, Value: value, Outcome: OK, Offset: offset, Durable: true, Idempotent: true,
		Begin: time.Duration(begin) * time.Second, End: time.Duration(begin+1) * time.Second}
}

func unknown(producer, value string, begin int) Send {
	s := sent(producer, value, -1, begin)
	s.Outcome, s.End = Info, 0
	return s
}

func failed(producer, value string, begin int) Send {
	s := unknown(producer, value, begin)
	s.Outcome = Fail
	return s
}

// weak is acknowledged by a leader alone.
func weak(producer, value string, offset int64, begin int) Send {
	s := sent(producer, value, offset, begin)
	s.Durable, s.Idempotent = false, false
	return s
}

func read(consumer string, poll int, offset int64, value string) Read {
	return Read{Partition: p0, Consumer: consumer, Poll: poll, Offset: offset, Value: value}
}

func assigned(consumer string, offset int64) Read {
	return Read{Partition: p0, Consumer: consumer, Offset: offset, Assigned: true}
}

func member(r Read) Read { r.Group = "g"; return r }

// final holds its values from offset 0 on.
func final(replica string, values ...string) Final {
	f := Final{Partition: p0, Replica: replica}
	for i, v := range values {
		if v != "" {
			f.Records = append(f.Records, Record{int64(i), v})
		}
	}
	return f
}

func again(c Commit) Commit {
	c.Again = true
	return c
}

func commit(offset int64, outcome Outcome, begin int) Commit {
	return Commit{Partition: p0, Group: "g", Offset: offset, Outcome: outcome,
		Begin: time.Duration(begin) * time.Second, End: time.Duration(begin+1) * time.Second}
}

func fetched(offset int64, begin int) Fetched {
	return Fetched{Partition: p0, Group: "g", Offset: offset, Begin: time.Duration(begin) * time.Second, End: time.Duration(begin+1) * time.Second}
}

// TestCheck has a history for each anomaly, and beside it the nearest one that is none.
func TestCheck(t *testing.T) {
	a, b := sent("p", "a", 0, 0), sent("p", "b", 1, 2)
	for _, tt := range []struct {
		name string
		h    History
		want []Kind
	}{
		{"nothing happened", History{}, nil},
		{"all is well", History{
			Sends:  []Send{a, b},
			Reads:  []Read{read("c", 1, 0, "a"), read("c", 1, 1, "b"), assigned("c", 0), read("c", 2, 0, "a")},
			Finals: []Final{final("1", "a", "b"), final("2", "a", "b")},
		}, nil},
		{"acknowledged and gone", History{Sends: []Send{a, b}, Finals: []Final{final("1", "a")}}, []Kind{Lost}},
		{"acknowledged and gone from one replica", History{Sends: []Send{a, b}, Finals: []Final{final("1", "a", "b"), final("2", "a")}}, []Kind{Lost}},
		{"acknowledged without an offset and gone", History{Sends: []Send{sent("p", "a", -1, 0)}, Finals: []Final{final("1")}}, []Kind{Lost}},
		{"acknowledged and deleted rightly", History{Sends: []Send{a, b}, Finals: []Final{{Partition: p0, Replica: "1", Start: 1, Records: []Record{{1, "b"}}}}}, nil},
		{"unknown and gone", History{Sends: []Send{a, unknown("p", "b", 2)}, Finals: []Final{final("1", "a")}}, nil},
		{"unknown and there", History{Sends: []Send{a, unknown("p", "b", 2)}, Finals: []Final{final("1", "a", "b")}}, nil},
		{"acknowledged by a leader alone and gone", History{Sends: []Send{weak("p", "a", 0, 0), sent("q", "b", 0, 2)}, Finals: []Final{final("1", "b")}}, nil},
		{"acknowledged by a leader alone, read, and gone", History{
			Sends: []Send{weak("p", "a", 0, 0)}, Reads: []Read{read("c", 1, 0, "a")}, Finals: []Final{final("1")},
		}, []Kind{Lost}},
		{"twice", History{Sends: []Send{a}, Finals: []Final{final("1", "a", "a")}}, []Kind{Duplicate}},
		{"twice, one of them for a consumer only", History{Sends: []Send{a}, Reads: []Read{read("c", 1, 4, "a")}, Finals: []Final{final("1", "a")}}, []Kind{Duplicate}},
		{"twice without idempotence", History{Sends: []Send{weak("p", "a", 0, 0)}, Finals: []Final{final("1", "a", "a")}}, nil},
		{"two at one offset", History{Sends: []Send{a, unknown("q", "b", 2)}, Reads: []Read{read("c", 1, 0, "b")}}, []Kind{InconsistentOffsets}},
		{"replicas differ at an offset", History{
			Sends: []Send{unknown("p", "a", 0), unknown("q", "b", 0)}, Finals: []Final{final("1", "a"), final("2", "b")},
		}, []Kind{InconsistentOffsets}},
		{"a replica has a hole", History{Sends: []Send{unknown("p", "a", 0), b}, Finals: []Final{final("1", "a", "b"), final("2", "", "b")}}, []Kind{Diverged}},
		{"never sent", History{Sends: []Send{a}, Finals: []Final{final("1", "a", "x")}}, []Kind{Phantom}},
		{"sent to another partition", History{
			Sends: []Send{a}, Finals: []Final{{Partition: Partition{"u", 0}, Replica: "1", Records: []Record{{0, "a"}}}},
		}, []Kind{Phantom}},
		{"failed and there", History{Sends: []Send{failed("p", "a", 0)}, Reads: []Read{read("c", 1, 0, "a")}}, []Kind{FailedRead}},
		{"failed and gone", History{Sends: []Send{failed("p", "a", 0)}, Finals: []Final{final("1")}}, nil},
		{"a producer's order", History{
			Sends: []Send{unknown("p", "a", 0), unknown("p", "b", 0)}, Finals: []Final{final("1", "b", "a")},
		}, []Kind{Reordered}},
		{"two producers' order", History{Sends: []Send{unknown("p", "a", 0), unknown("q", "b", 0)}, Finals: []Final{final("1", "b", "a")}}, nil},
		{"behind one that was acknowledged", History{
			Sends: []Send{sent("p", "a", 1, 0), unknown("q", "b", 5)}, Finals: []Final{final("1", "b", "a")},
		}, []Kind{StaleAppend}},
		{"at the same time as one that was acknowledged", History{
			Sends: []Send{sent("p", "a", 1, 0), unknown("q", "b", 1)}, Finals: []Final{final("1", "b", "a")},
		}, nil},
		{"back within a poll", History{Sends: []Send{a, b}, Reads: []Read{read("c", 1, 1, "b"), read("c", 1, 0, "a")}}, []Kind{NonmonotonicPoll}},
		{"again in the next poll", History{Sends: []Send{a}, Reads: []Read{read("c", 1, 0, "a"), read("c", 2, 0, "a")}}, []Kind{NonmonotonicPoll}},
		{"below the position", History{Sends: []Send{a, b}, Reads: []Read{assigned("c", 1), read("c", 1, 0, "a")}}, []Kind{NonmonotonicPoll}},
		{"one left out", History{
			Sends: []Send{a, b, sent("p", "c", 2, 4)}, Reads: []Read{read("c", 1, 0, "a"), read("c", 2, 2, "c")},
		}, []Kind{PollSkip}},
		{"one left out behind the position", History{Sends: []Send{a, b}, Reads: []Read{assigned("c", 0), read("c", 1, 1, "b")}}, []Kind{PollSkip}},
		{"an offset without a record left out", History{
			Sends: []Send{a, sent("p", "c", 2, 4)}, Reads: []Read{read("c", 1, 0, "a"), read("c", 2, 2, "c")},
		}, nil},
		{"a commit that went back", History{Commits: []Commit{commit(3, OK, 0), commit(5, OK, 2)}, Fetched: []Fetched{fetched(3, 9)}}, []Kind{CommitBack}},
		{"a commit that was sent again, and whose first sending comes late", History{
			Commits: []Commit{again(commit(3, OK, 0)), commit(5, OK, 2)}, Fetched: []Fetched{fetched(3, 9)},
		}, nil},
		{"a commit that is gone", History{Commits: []Commit{commit(3, OK, 0)}, Fetched: []Fetched{fetched(-1, 9)}}, []Kind{CommitBack}},
		{"a commit that may not have happened", History{Commits: []Commit{commit(3, OK, 0), commit(5, Info, 2)}, Fetched: []Fetched{fetched(3, 9)}}, nil},
		{"a commit that may have happened", History{Commits: []Commit{commit(3, OK, 0), commit(5, Info, 2)}, Fetched: []Fetched{fetched(5, 9)}}, nil},
		{"a commit that came late", History{Commits: []Commit{commit(3, Info, 0), commit(5, OK, 2)}, Fetched: []Fetched{fetched(3, 9)}}, nil},
		{"two commits at once", History{Commits: []Commit{commit(3, OK, 2), commit(5, OK, 2)}, Fetched: []Fetched{fetched(3, 9)}}, nil},
		{"a commit of unknown fate that came late, and of another offset", History{
			Commits: []Commit{commit(3, OK, 0), commit(4, Info, 0), commit(5, OK, 2)}, Fetched: []Fetched{fetched(3, 9)},
		}, []Kind{CommitBack}},
		{"a commit of unknown fate, and later", History{Commits: []Commit{commit(5, OK, 2), commit(3, Info, 20)}, Fetched: []Fetched{fetched(3, 9)}}, []Kind{CommitPhantom}},
		{"a commit of unknown fate that was seen, and is gone", History{
			Commits: []Commit{commit(3, OK, 0), commit(5, Info, 2)}, Fetched: []Fetched{fetched(5, 6), fetched(3, 9)},
		}, []Kind{CommitBack}},
		{"a commit of unknown fate that was seen at the same time", History{
			Commits: []Commit{commit(3, OK, 0), commit(5, Info, 2)}, Fetched: []Fetched{fetched(5, 8), fetched(3, 9)},
		}, nil},
		{"a commit of unknown fate that was seen, and the same again", History{
			Commits: []Commit{commit(3, OK, 0), commit(5, Info, 2)}, Fetched: []Fetched{fetched(3, 4), fetched(5, 6), fetched(5, 9)},
		}, nil},
		{"two commits of unknown fate, seen in either order", History{
			Commits: []Commit{commit(3, Info, 0), commit(5, Info, 2)}, Fetched: []Fetched{fetched(5, 6), fetched(3, 9)},
		}, nil},
		{"a commit by nobody", History{Commits: []Commit{commit(3, OK, 0)}, Fetched: []Fetched{fetched(4, 9)}}, []Kind{CommitPhantom}},
		{"a commit from the future", History{Commits: []Commit{commit(4, OK, 20)}, Fetched: []Fetched{fetched(4, 9)}}, []Kind{CommitPhantom}},
		{"committed past what nobody got", History{
			Sends: []Send{a, b}, Commits: []Commit{commit(2, OK, 5)}, Reads: []Read{member(read("c", 1, 1, "b"))},
		}, []Kind{GroupSkip}},
		{"committed what two members got", History{
			Sends: []Send{a, b}, Commits: []Commit{commit(2, OK, 5)}, Reads: []Read{member(read("c", 1, 0, "a")), member(read("d", 1, 1, "b"))},
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []Kind
			for _, a := range Check(&tt.h) {
				if !slices.Contains(got, a.Kind) {
					got = append(got, a.Kind)
				}
				t.Log(a)
			}
			slices.Sort(got)
			slices.Sort(tt.want)
			if !slices.Equal(got, tt.want) {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}

// TestCheckOfAMillion: a history of an hour under load is judged in memory.
func TestCheckOfAMillion(t *testing.T) {
	if testing.Short() {
		t.Skip("a million records; not with -short")
	}
	h := millionRecords(1_000_000)
	begin := time.Now()
	if found := Check(h); len(found) > 0 {
		t.Fatal(found[0])
	}
	t.Log("judged after", time.Since(begin))
}
