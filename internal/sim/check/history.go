package check

import "time"

// Partition names a partition. A topic that was deleted and made again is another topic: its name must tell, by its id for
// example.
type Partition struct {
	Topic string
	Index int32
}

// Outcome is what a client knows of what it asked for.
type Outcome uint8

const (
	Info Outcome = iota // unknown: it may have happened, or happen yet
	OK
	Fail // certainly not
)

// Send is one record for a partition.
type Send struct {
	Partition
	// Producer is one incarnation of a producer, which sends its records to a partition in the order of the history.
	Producer   string
	Value      string // unique in the history
	Outcome    Outcome
	Offset     int64         // when OK; -1 when the client was not told
	Begin, End time.Duration // End only when OK
	Durable    bool          // it must survive once acknowledged
	Idempotent bool          // it is there once at most, and in its producer's order
}

// Read is a record that a consumer got, or the position that it was given.
type Read struct {
	Partition
	Consumer string
	Group    string // "" without
	Poll     int    // which call returned it
	Offset   int64
	Value    string
	// Assigned: no record, the consumer starts at Offset. A consumer that goes on where it was needs none.
	Assigned bool
}

// Commit is an offset that a member of a group committed.
type Commit struct {
	Partition
	Group      string
	Offset     int64
	Outcome    Outcome
	Begin, End time.Duration // End only when OK
	// Again: its client may have sent it more than once. What it has sent first may still lie on the way, behind a cut, and come
	// after the one that was acknowledged: OffsetCommit, unlike Produce, has no sequence.
	Again bool
}

// Fetched is what a group's committed offset was for who asked, -1 for none.
type Fetched struct {
	Partition
	Group      string
	Offset     int64
	Begin, End time.Duration
}

// Record is what stands at an offset.
type Record struct {
	Offset int64
	Value  string
}

// Final is the whole of one replica of a partition when all is quiet, by rising offsets.
type Final struct {
	Partition
	Replica string
	// Start is the first offset that it still has to hold; below it records were deleted rightly.
	Start   int64
	Records []Record
}

// History is what all clients did and saw. The order of Sends is that of each producer, the order of Reads that of each
// consumer; between them there is none.
type History struct {
	Sends    []Send
	Reads    []Read
	Commits  []Commit
	Fetched  []Fetched
	Finals   []Final
	Metadata []MetadataOp
}
