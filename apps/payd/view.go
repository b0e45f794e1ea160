package payd

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/logbahn/logbahn/apps/payd/habit"
	"github.com/logbahn/logbahn/apps/payd/premium"
	"github.com/logbahn/logbahn/apps/payd/trip"
	"github.com/logbahn/logbahn/apps/payd/web"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	eventsShown      = 60 // on the page
	eventsPerDriver  = 20
	tailPerPartition = 200 // records of the past that fill the page at its start
)

// view is what the page shows, made of topics only. Writers are follow and monitor; any number may read.
type view struct {
	config *Config
	source *source

	mu       sync.RWMutex
	cars     map[string]web.Car
	drivers  map[string]*driverView
	events   []web.Event // the newest first
	dead     map[trip.Reason]int64
	deadSeen seenOrigins
	status   web.Status // what monitor measures
	revision int64
}

type driverView struct {
	summary  habit.Summary
	quote    premium.Quote
	offset   string
	temper   string
	events   []web.Event
	revision int64
}

func newView(config *Config, source *source) *view {
	return &view{
		config: config, source: source,
		cars: make(map[string]web.Car), drivers: make(map[string]*driverView),
		dead: make(map[trip.Reason]int64), deadSeen: make(seenOrigins),
		status: web.Status{Problem: "waiting for the first figures"},
	}
}

// follow reads the topics until the context ends: the tables from their beginning, the streams from near their end.
func (v *view) follow(ctx context.Context) {
	var both sync.WaitGroup
	both.Go(func() { v.read(ctx, kgo.NewOffset().AtStart(), topicScores, topicQuotes, topicHistory, topicDead) })
	both.Go(func() { v.read(ctx, kgo.NewOffset().AtEnd().Relative(-tailPerPartition), topicClean, topicEvents) })
	both.Wait()
}

func (v *view) read(ctx context.Context, from kgo.Offset, topics ...string) {
	client, err := v.config.newClient("page", kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(from))
	if err != nil {
		v.config.Log.Error("the page cannot read", "error", err)
		return
	}
	defer client.Close()
	for ctx.Err() == nil {
		fetches := client.PollFetches(ctx)
		if err := fetchError(ctx, fetches); err != nil && ctx.Err() == nil {
			v.config.Log.Warn("the page cannot read", "error", err)
		}
		v.mu.Lock()
		fetches.EachRecord(v.take)
		v.mu.Unlock()
	}
}

func (v *view) take(r *kgo.Record) {
	var err error
	switch r.Topic {
	case topicClean:
		err = v.takeRecord(r)
	case topicEvents:
		err = v.takeEvent(r)
	case topicScores:
		d := v.driver(string(r.Key))
		err = json.Unmarshal(r.Value, &d.summary)
	case topicQuotes:
		err = v.takeQuote(r)
	case topicHistory:
		var h history
		err = json.Unmarshal(r.Value, &h)
		v.driver(string(r.Key)).temper = h.Temper
	case topicDead:
		if from, ok := readOrigin(r); !ok || !v.deadSeen.again(from) {
			v.dead[trip.Reason(header(r, headerReason))]++
		}
	}
	if err != nil {
		v.config.Log.Warn("the page skips a record", "topic", r.Topic, "partition", r.Partition, "offset", r.Offset, "error", err)
	}
}

// driver returns a driver that is about to change.
func (v *view) driver(device string) *driverView {
	d := v.drivers[device]
	if d == nil {
		d = &driverView{}
		v.drivers[device] = d
	}
	v.revision++
	d.revision = v.revision
	return d
}

func (v *view) takeRecord(k *kgo.Record) error {
	r, err := trip.ParseJSON(k.Value)
	if err != nil || r.Lat == nil {
		return err
	}
	if last, ok := v.cars[r.Device]; ok && last.TimeMs >= r.TimeMs {
		return nil
	}
	car := web.Car{
		ID: r.Device, Lat: *r.Lat, Lon: *r.Lon, SpeedKmh: r.SpeedMps * 3.6, TimeMs: r.TimeMs,
		Heading: -1, Driving: r.Ignition == nil || *r.Ignition,
	}
	if r.HeadingDeg != nil {
		car.Heading = *r.HeadingDeg
	}
	if r.LimitMps != nil {
		car.LimitKmh = math.Round(*r.LimitMps * 3.6)
	}
	v.cars[r.Device] = car
	return nil
}

// takeQuote leaves a driver's premium as it was when there is none in the record: what is summed over all drivers is shown too.
func (v *view) takeQuote(r *kgo.Record) error {
	var q premium.Quote
	if err := json.Unmarshal(r.Value, &q); err != nil {
		return err
	}
	if q.Score < 0 || q.Score > 100 {
		return fmt.Errorf("score %v is outside 0 to 100", q.Score)
	}
	d := v.driver(string(r.Key))
	d.quote, d.offset = q, fmt.Sprintf("%s/%d/%d", r.Topic, r.Partition, r.Offset)
	return nil
}

func (v *view) takeEvent(k *kgo.Record) error {
	var e habit.Event
	if err := json.Unmarshal(k.Value, &e); err != nil {
		return err
	}
	shown := showEvent(&e)
	d := v.driver(e.Device)
	d.events = insertEvent(d.events, shown, eventsPerDriver)
	v.events = insertEvent(v.events, shown, eventsShown)
	return nil
}

// insertEvent keeps the newest first, and each event once: analytics writes some again after a crash.
func insertEvent(events []web.Event, e web.Event, atMost int) []web.Event {
	if slices.ContainsFunc(events, func(o web.Event) bool { return o.ID == e.ID }) {
		return events
	}
	at, _ := slices.BinarySearchFunc(events, e, func(a, b web.Event) int { return cmp.Compare(b.TimeMs, a.TimeMs) })
	events = slices.Insert(events, at, e)
	return events[:min(len(events), atMost)]
}

func showEvent(e *habit.Event) web.Event {
	out := web.Event{ID: e.ID, Driver: e.Device, Kind: string(e.Kind), TimeMs: e.TimeMs, Level: e.Level}
	switch {
	case e.Kind == habit.Speeding:
		out.Text = fmt.Sprintf("%.0f km/h where %.0f is allowed, %.0f s", e.SpeedMps*3.6, e.LimitMps*3.6, e.Seconds)
	case e.Measured == habit.MeasuredGPS:
		out.Text = fmt.Sprintf("about %.1f m/s², guessed from GPS, not scored", e.PeakMps2)
	default:
		out.Text = fmt.Sprintf("%.1f m/s² at %.0f km/h", e.PeakMps2, e.SpeedMps*3.6)
	}
	if e.Lat != nil && e.Lon != nil {
		out.Lat, out.Lon, out.Placed = *e.Lat, *e.Lon, true
	}
	return out
}

// Town returns the roads of the simulated town; a replay has none.
func (v *view) Town() web.Town {
	if v.source.fleet == nil {
		return web.Town{Name: "recorded drives; where they went is all the map there is", Roads: []web.Road{}}
	}
	town := web.Town{Name: "an invented town in the Atlantic"}
	for _, r := range v.source.fleet.Roads() {
		road := web.Road{Class: string(r.Class), LimitKmh: r.LimitKmh}
		for _, p := range r.Points {
			road.Points = append(road.Points, [2]float64{p.Lat, p.Lon})
		}
		town.Roads = append(town.Roads, road)
	}
	return town
}

// Values returns the constants of the premium and of the score.
func (v *view) Values() []web.Value {
	var out []web.Value
	for _, p := range premium.Values() {
		out = append(out, web.Value{Name: p.Name, Value: p.Value, Unit: p.Unit, Basis: string(p.Basis), Source: p.Source})
	}
	for _, m := range habit.PartModels {
		out = append(out,
			web.Value{Name: "Weight of " + m.Name, Value: m.Weight, Basis: string(premium.Illustrative), Source: "invented"},
			web.Value{Name: "Ordinary " + m.Name, Value: m.Reference, Unit: m.Unit, Basis: string(premium.Illustrative), Source: "invented"})
	}
	return out
}

// Status returns what monitor measured, with the counts as of now.
func (v *view) Status() web.Status {
	v.mu.RLock()
	defer v.mu.RUnlock()
	s := v.status
	s.TimeMs = time.Now().UnixMilli()
	s.Audit = v.config.audit.figures()
	if s.Brokers == nil {
		s.Brokers = []web.Broker{}
	}
	s.Dead = []web.DeadLetter{}
	for _, reason := range trip.Reasons {
		if n := v.dead[reason.Reason]; n > 0 {
			s.Dead = append(s.Dead, web.DeadLetter{Reason: string(reason.Reason), Text: reason.Text, N: n})
			s.DeadTotal += n
		}
	}
	for _, c := range v.cars {
		if c.Driving {
			s.Driving++
		}
	}
	var priced int64
	for _, d := range v.drivers {
		if d.quote.Device != "" {
			priced++
			s.MeanScore += d.quote.Score
			s.MeanCents += d.quote.Cents
		}
	}
	if s.Drivers = len(v.drivers); priced > 0 {
		s.MeanScore /= float64(priced)
		s.MeanCents /= priced
	}
	return s
}

// Cars returns the cars, by id.
func (v *view) Cars() []web.Car {
	v.mu.RLock()
	defer v.mu.RUnlock()
	out := make([]web.Car, 0, len(v.cars))
	for _, id := range slices.Sorted(maps.Keys(v.cars)) {
		out = append(out, v.cars[id])
	}
	return out
}

// Drivers returns the drivers that have a premium, by id.
func (v *view) Drivers() []web.Driver {
	v.mu.RLock()
	defer v.mu.RUnlock()
	out := make([]web.Driver, 0, len(v.drivers))
	for _, id := range slices.Sorted(maps.Keys(v.drivers)) {
		if d := v.drivers[id]; d.quote.Device != "" {
			out = append(out, d.row(id))
		}
	}
	return out
}

func (d *driverView) row(id string) web.Driver {
	return web.Driver{
		ID: id, Score: d.quote.Score, Cents: d.quote.Cents, BaseCents: d.quote.BaseCents,
		Km: d.summary.Km(), Trips: d.summary.Window.Trips, Days: d.summary.Days, SimulatedDays: d.summary.SimulatedDays,
		Simulated: d.temper != "", Driving: d.summary.Driving, Reason: mainReason(&d.quote), Revision: d.revision,
	}
}

// mainReason names the factor that does most for the premium being above or below the ordinary one.
func mainReason(q *premium.Quote) string {
	most, strength := premium.Factor{}, 0.0
	for _, f := range q.Factors {
		pull := math.Log(f.Factor)
		if q.Cents < q.BaseCents {
			pull = -pull
		}
		if f.Name != "limit" && pull > strength {
			most, strength = f, pull
		}
	}
	if most.Name == "" {
		return ""
	}
	return fmt.Sprintf("%s ×%.2f", most.Name, most.Factor)
}

// Driver returns everything about one driver.
func (v *view) Driver(id string) (web.DriverDetail, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	d := v.drivers[id]
	if d == nil || d.quote.Device == "" {
		return web.DriverDetail{}, false
	}
	s := &d.summary
	out := web.DriverDetail{
		Driver: d.row(id), Temper: d.temper, Profile: s.Profile, KmYear: d.quote.KmYear,
		Events: slices.Clone(d.events), Brakes: s.Window.Brake.N, Accels: s.Window.Accel.N, Corners: s.Window.Corner.N,
		Guessed: s.Window.Guessed, SpeedingS: s.Window.SpeedingS, DrivingS: s.Window.Seconds,
		NightKm: s.Window.NightMetres / 1000, Records: s.Counters.Records, HarshRows: s.HarshRows,
		OverRows: s.OverRows, LimitRows: s.LimitRows, GPSKm: s.Counters.GPSM / 1000, Drives: s.Counters.Drives,
		Offset: d.offset, Parts: []web.Part{}, Factors: []web.Factor{},
	}
	// Anybody may write to the topic: a summary with more parts than the model has is shown as far as it is known.
	for i, p := range s.Parts[:min(len(s.Parts), len(habit.PartModels))] {
		out.Parts = append(out.Parts, web.Part{
			Name: p.Name, Score: p.Score, Weight: p.Weight, Rate: p.Rate, Unit: p.Unit, Reference: habit.PartModels[i].Reference,
		})
	}
	for _, f := range d.quote.Factors {
		out.Factors = append(out.Factors, web.Factor{Name: f.Name, Factor: f.Factor, Why: f.Why, Basis: string(f.Basis)})
	}
	return out, true
}

// Events returns the newest events of all drivers.
func (v *view) Events() []web.Event {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return slices.Clone(v.events)
}
