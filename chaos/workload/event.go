package workload

import "time"

// Kind says what happened.
type Kind string

// The kinds of events; doc.go has their fields.
const (
	Sent    Kind = "send"
	Acked   Kind = "ack"
	Unknown Kind = "unknown"
	Assign  Kind = "assign"
	Read    Kind = "read"
	Commit  Kind = "commit"
	Fetched Kind = "fetched"
	Problem Kind = "problem"
	Stopped Kind = "stopped"
)

// Event is one line of a history. Times are microseconds since 1970.
type Event struct {
	Time      int64  `json:"t"`
	Begin     int64  `json:"b,omitempty"`
	Kind      Kind   `json:"e"`
	Producer  string `json:"w,omitempty"`
	Consumer  string `json:"c,omitempty"`
	Group     string `json:"g,omitempty"`
	Partition int32  `json:"p"`
	Offset    int64  `json:"o"`
	Value     string `json:"v,omitempty"`
	Poll      int    `json:"n,omitempty"`
	Error     string `json:"err,omitempty"`
}

// nowMicros is the clock of events.
func nowMicros() int64 { return time.Now().UnixMicro() }
