package web

import (
	"context"
	"errors"
)

// The values that the page shows. They are plain data: whoever serves the page fills them in.

// Model is where the page's values come from. Its methods are called from many goroutines at once.
type Model interface {
	Town() Town
	Values() []Value
	Status() Status
	Cars() []Car
	Drivers() []Driver
	Driver(id string) (DriverDetail, bool)
	Events() []Event // the newest first, a bounded number
	// KillLeader ends a broker as a crash does, the one that leads telematics/0, and returns its id.
	KillLeader() (int32, error)
	// StartBroker starts a broker that was killed. One that was never there is [ErrNoBroker].
	StartBroker(ctx context.Context, id int32) error
}

// ErrNotMine means that the brokers are not the page's to kill and start.
var ErrNotMine = errors.New("these brokers were not started by the demo: it cannot kill or start them")

// ErrNoBroker means that the cluster has no broker of that id.
var ErrNoBroker = errors.New("no such broker")

// Town is the map under the cars. A replay has none.
type Town struct {
	Name  string `json:"name"`
	Roads []Road `json:"roads"`
}

// Road is a line of [lat, lon] points.
type Road struct {
	Class    string       `json:"class"`
	LimitKmh int          `json:"limit"`
	Points   [][2]float64 `json:"points"`
}

// Value is a constant of the premium formula.
type Value struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Basis  string  `json:"basis"` // measured, published or illustrative
	Source string  `json:"source"`
}

// Status is the state of the pipeline.
type Status struct {
	TimeMs    int64        `json:"t"`
	Mode      string       `json:"mode"`  // simulation or replay
	What      string       `json:"what"`  // one line about the source
	Rate      float64      `json:"rate"`  // messages a second into telematics
	Total     int64        `json:"total"` // messages in telematics
	Topics    []Topic      `json:"topics"`
	Groups    []Group      `json:"groups"`
	Dead      []DeadLetter `json:"dead"`
	DeadTotal int64        `json:"dead_total"`
	Drivers   int          `json:"drivers"`
	Driving   int          `json:"driving"`
	MeanScore float64      `json:"mean_score"`
	MeanCents int64        `json:"mean_cents"`
	Problem   string       `json:"problem"` // why figures are missing; "" when all is well
	Audit     Audit        `json:"audit"`
	Brokers   []Broker     `json:"brokers"`
}

// Audit counts messages to telematics, of this run of the demo.
type Audit struct {
	Sent         int64 `json:"sent"`         // handed to the log
	Acknowledged int64 `json:"acknowledged"` // the log has promised to keep them
	GivenUp      int64 `json:"given_up"`     // the log has refused them, or not answered
	Arrived      int64 `json:"arrived"`      // a consumer has them
	Waiting      int64 `json:"waiting"`      // acknowledged, and the consumer has not come so far
	Lost         int64 `json:"lost"`         // acknowledged, and not there
	Doubled      int64 `json:"doubled"`      // came more than once
}

// Broker is one broker of the cluster.
type Broker struct {
	ID         int32  `json:"id"`
	Address    string `json:"address"`
	Alive      bool   `json:"alive"`      // the cluster counts on it
	Running    bool   `json:"running"`    // its process runs, as far as the demo knows
	Controller bool   `json:"controller"` // it leads the metadata quorum
	Leads      int    `json:"leads"`      // partitions
	Replicas   int    `json:"replicas"`   // copies of partitions that it keeps
	Behind     int    `json:"behind"`     // of them not in sync
	Leader     bool   `json:"leader"`     // it leads the partition of telematics that “kill the leader” means
}

// Topic is one topic's traffic.
type Topic struct {
	Name  string  `json:"name"`
	Rate  float64 `json:"rate"`
	Total int64   `json:"total"`
}

// Group is one consumer group.
type Group struct {
	Name    string `json:"name"`
	Does    string `json:"does"`
	Topic   string `json:"topic"`
	State   string `json:"state"`
	Members int    `json:"members"`
	Lag     int64  `json:"lag"`
}

// DeadLetter counts one reason.
type DeadLetter struct {
	Reason string `json:"reason"`
	Text   string `json:"text"`
	N      int64  `json:"n"`
}

// Car is where one car was last.
type Car struct {
	ID       string  `json:"id"`
	Lat      float64 `json:"lat"`
	Lon      float64 `json:"lon"`
	Heading  float64 `json:"h"`
	SpeedKmh float64 `json:"v"`
	LimitKmh float64 `json:"limit,omitempty"`
	Driving  bool    `json:"on"`
	TimeMs   int64   `json:"t"`
}

// Driver is one row of the list.
type Driver struct {
	ID            string  `json:"id"`
	Score         float64 `json:"score"`
	Cents         int64   `json:"cents"`
	BaseCents     int64   `json:"base"`
	Km            float64 `json:"km"`
	Trips         int     `json:"trips"`
	Days          int     `json:"days"`
	SimulatedDays int     `json:"sim_days"`
	Simulated     bool    `json:"sim"`
	Driving       bool    `json:"on"`
	Reason        string  `json:"why"` // the factor that moves the premium most
	Revision      int64   `json:"rev"`
}

// DriverDetail is everything about one driver.
type DriverDetail struct {
	Driver
	Temper    string   `json:"temper"` // what the simulation made of the driver; unknown to the insurer
	Profile   string   `json:"profile"`
	KmYear    float64  `json:"km_year"`
	Parts     []Part   `json:"parts"`
	Factors   []Factor `json:"factors"`
	Events    []Event  `json:"events"`
	Brakes    int      `json:"brakes"`
	Accels    int      `json:"accels"`
	Corners   int      `json:"corners"`
	Guessed   int      `json:"guessed"`
	SpeedingS float64  `json:"speeding_s"`
	DrivingS  float64  `json:"driving_s"`
	NightKm   float64  `json:"night_km"`
	Records   int64    `json:"records"`
	HarshRows int64    `json:"harsh_rows"`
	OverRows  int64    `json:"over_rows"`
	LimitRows int64    `json:"limit_rows"`
	GPSKm     float64  `json:"gps_km"`
	Drives    int      `json:"drives"`
	Offset    string   `json:"offset"` // where in the log the premium stands
}

// Part is a part of the score.
type Part struct {
	Name      string  `json:"name"`
	Score     float64 `json:"score"`
	Weight    float64 `json:"weight"`
	Rate      float64 `json:"rate"`
	Reference float64 `json:"reference"`
	Unit      string  `json:"unit"`
}

// Factor is a multiplier of the premium.
type Factor struct {
	Name   string  `json:"name"`
	Factor float64 `json:"factor"`
	Why    string  `json:"why"`
	Basis  string  `json:"basis"`
}

// Event is one thing that a driver did.
type Event struct {
	ID     string  `json:"id"`
	Driver string  `json:"driver"`
	Kind   string  `json:"kind"`
	TimeMs int64   `json:"t"`
	Level  int     `json:"level"`
	Text   string  `json:"text"`
	Lat    float64 `json:"lat"`
	Lon    float64 `json:"lon"`
	Placed bool    `json:"placed"`
}
