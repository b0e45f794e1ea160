package payd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	_ "time/tzdata" // zones of text lines, on machines that have no zone files

	"github.com/logbahn/logbahn/apps/payd/fleet"
	"github.com/logbahn/logbahn/apps/payd/trip"
	"github.com/logbahn/logbahn/apps/payd/web"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

// Config says where the log is and what to do with it. The zero value of every field but Brokers is usable.
type Config struct {
	Brokers []string  // host:port
	Opts    []kgo.Opt // for every client, such as the dialer of a node in this process
	Cluster Cluster   // brokers that the page may kill and start; nil: it only shows them
	Listen  string    // of the page; default localhost:8080, and when it is taken, any free port

	Cars int            // simulated cars, default 120
	Seed uint64         // of the simulation
	Zone *time.Location // of the simulated town, default the machine's

	// LineUnit (km/h, mph, m/s, kn) and LineZone (IANA name or offset) say what text lines leave out. Without them
	// lines are dead letters.
	LineUnit, LineZone string
	Replay             Replay // real drives instead of simulated ones

	Terminal io.Writer // the page in short; nil for none. A terminal gets one block that changes in place
	Log      *slog.Logger
	Ready    func(url string) // called once when the page can be opened

	zone  *time.Location
	lines trip.LineFormat
	paces paces
	audit *audit
}

// paces are how often analytics does what is not worth doing for each record.
type paces struct {
	silentMax  time.Duration // then a device's records no longer wait for earlier ones
	scoreEvery time.Duration
	stateEvery time.Duration
}

var defaultPaces = paces{silentMax: 5 * time.Second, scoreEvery: 2 * time.Second, stateEvery: 10 * time.Second}

// Defaults of Config.
const (
	defaultListen = "localhost:8080"
	defaultCars   = 120
	carsMax       = 20_000
)

// normalize fills in defaults and refuses what cannot work, before anything is started.
func (c *Config) normalize() error {
	if len(c.Brokers) == 0 {
		return errors.New("payd: no broker given")
	}
	if c.Listen == "" {
		c.Listen = defaultListen
	}
	if c.Cars == 0 {
		c.Cars = defaultCars
	}
	if c.Cars < 0 || c.Cars > carsMax {
		return fmt.Errorf("payd: %d cars; possible are 1 to %d", c.Cars, carsMax)
	}
	if c.Replay.Speed < 0 {
		return fmt.Errorf("payd: replay speed %v is negative", c.Replay.Speed)
	}
	if c.paces == (paces{}) {
		c.paces = defaultPaces
	}
	if c.zone = c.Zone; c.zone == nil {
		c.zone = time.Local
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.audit = newAudit()
	return c.normalizeLines()
}

func (c *Config) normalizeLines() error {
	if (c.LineUnit == "") != (c.LineZone == "") {
		return errors.New("payd: text lines need both a speed unit and a time zone")
	}
	if c.LineUnit == "" {
		return nil
	}
	unit, err := trip.ParseUnit(c.LineUnit)
	if err != nil {
		return fmt.Errorf("payd: %w", err)
	}
	zone, err := trip.ParseZone(c.LineZone)
	if err != nil {
		return fmt.Errorf("payd: %w", err)
	}
	c.lines = trip.LineFormat{Unit: unit, Zone: zone}
	return nil
}

// Run runs the application until ctx ends, and then returns nil once everything it started has stopped. An error
// means that it could not start, or that the replay could not be read.
func Run(ctx context.Context, config Config) error {
	if err := config.normalize(); err != nil {
		return err
	}
	source, err := newSource(&config)
	if err != nil {
		return err
	}
	admin, err := config.newClient("admin")
	if err != nil {
		return err
	}
	defer admin.Close()
	if err := createTopics(ctx, kadm.NewClient(admin)); err != nil {
		return cancelled(ctx, err)
	}
	if err := source.prepare(ctx); err != nil {
		return cancelled(ctx, err)
	}
	listener, err := listen(config.Listen, config.Log)
	if err != nil {
		return err
	}
	return cancelled(ctx, serve(ctx, &config, source, kadm.NewClient(admin), listener))
}

// cancelled turns the errors that a cancelled context causes into nil.
func cancelled(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// serve starts all parts and waits for them.
func serve(ctx context.Context, config *Config, source *source, admin *kadm.Client, listener net.Listener) error {
	group, ctx := errgroup.WithContext(ctx)
	view := newView(config, source)
	stage := func(name, topic string, work func() work) {
		group.Go(func() error { runStage(ctx, config, name, topic, work); return nil })
	}
	stage(groupClean, topicRaw, func() work { return newCleanWork(config.lines) })
	stage(groupAnalytics, topicClean, func() work { return newAnalyticsWork(config) })
	stage(groupPricing, topicScores, func() work { return pricingWork{config.Log} })
	group.Go(func() error { config.audit.follow(ctx, config); return nil })
	group.Go(func() error { return source.run(ctx) })
	group.Go(func() error { view.follow(ctx); return nil })
	group.Go(func() error { view.monitor(ctx, admin); return nil })
	if config.Terminal != nil {
		group.Go(func() error { runTerminal(ctx, config.Terminal, view); return nil })
	}
	server := &http.Server{Handler: web.Handler(view), ReadHeaderTimeout: 5 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("payd: page: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		return server.Close()
	})
	if config.Ready != nil {
		config.Ready("http://" + listener.Addr().String())
	}
	return group.Wait()
}

// listen takes the address, or any free port of the host when that port is taken.
func listen(address string, log *slog.Logger) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err == nil {
		return listener, nil
	}
	host, _, splitErr := net.SplitHostPort(address)
	if splitErr != nil {
		return nil, fmt.Errorf("payd: page: %w", err)
	}
	log.Warn("the page's port is taken: it gets a free one", "address", address, "error", err)
	if listener, err = net.Listen("tcp", net.JoinHostPort(host, "0")); err != nil {
		return nil, fmt.Errorf("payd: page: %w", err)
	}
	return listener, nil
}

// source is where messages come from: the fleet, or a file.
type source struct {
	config *Config
	fleet  *fleet.Fleet
	replay *replay
}

func newSource(config *Config) (*source, error) {
	if config.Replay.File != "" {
		r, err := openReplay(config)
		return &source{config: config, replay: r}, err
	}
	return &source{config: config, fleet: fleet.New(fleet.Config{Seed: config.Seed, Cars: config.Cars, Zone: config.zone})}, nil
}

func (s *source) prepare(ctx context.Context) error {
	if s.fleet == nil {
		return nil
	}
	return writeHistories(ctx, s.config, s.fleet, time.Now().In(s.config.zone))
}

func (s *source) run(ctx context.Context) error {
	if s.replay != nil {
		return cancelled(ctx, s.replay.run(ctx))
	}
	return cancelled(ctx, runFleet(ctx, s.config, s.fleet))
}
