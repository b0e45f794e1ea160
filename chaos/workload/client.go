package workload

import (
	"context"
	"io"
	"time"
)

// Config is what all clients are told.
type Config struct {
	Bootstrap  string
	Topic      string
	Partitions int
	// Rate is how many records a second each client sends.
	Rate int
	// Patience is how long a client goes on trying to deliver a record before it gives it up, its fate unknown.
	Patience time.Duration
	// Dir gets the histories and the clients' own logs.
	Dir string
}

// A Client is one library at work.
type Client interface {
	Name() string
	// StopSending ends the producer, and returns when what it has sent is acknowledged or given up.
	StopSending(ctx context.Context) error
	// End ends the consumers and the client, at once when ctx is done.
	End(ctx context.Context) error
	// PID is the process in which it runs.
	PID() int
	// Dissect writes what the client knows of itself: the stacks of its threads, its statistics, and the last that it has
	// logged. It takes a few seconds at most, disturbs nothing, and may be called while the client lives.
	Dissect(w io.Writer) error
}

// requestTimeout is how long clients wait for an answer before they look for another broker: a leader that has become
// silent is noticed by nothing else.
const requestTimeout = 3 * time.Second

// underWayMax is how many records of one partition a client has under way.
const underWayMax = 20

// keyBytes is the size of every record's key, which nobody looks at: it fills segments, so that faults meet their rolls.
const keyBytes = 400

// Producer returns the client.id of a client's producer. Those of its consumers are their names.
func Producer(client string) string { return client + "-producer" }

// IDs returns the client.ids of a client.
func IDs(client string) []string {
	assigned, members := Consumers(client)
	return append([]string{Producer(client), assigned}, members...)
}

// Consumers returns the names of a client's consumers: by assignment, and the members of its group.
func Consumers(client string) (assigned string, members []string) {
	return client + "-assign", []string{client + "-group-0", client + "-group-1"}
}
