package ops

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/coordinator"
	"github.com/logbahn/logbahn/internal/listener"
	"github.com/logbahn/logbahn/internal/partition"
	"github.com/logbahn/logbahn/internal/quorum"
)

// Bounds on what callers can take.
const (
	connectionsMax  = 64
	scrapesMax      = 4
	headerBytesMax  = 16 << 10
	headerPatience  = 5 * time.Second
	replyPatience   = 30 * time.Second // for a whole reply, and so for a slow scraper
	profilePatience = 3 * time.Minute
	idlePatience    = time.Minute
)

// Config is what a Server is made of.
type Config struct {
	Version string // of this program
	// SeriesMax bounds the series of partitions, and those of groups, in one scrape; 0 leaves both out.
	SeriesMax int
	// NoConsumerLag leaves out what the groups have committed and how far they are behind.
	NoConsumerLag bool
	Hosts         []string // the names, besides localhost and addresses, by which callers may ask for clients
	Requests      *Requests
	Clients       *Clients
	Changes       *Changes
	Log           *slog.Logger
}

// Sources is where the numbers of a node come from. Everything in it may be asked at any time until Close.
type Sources struct {
	NodeID     cluster.NodeID
	ClusterID  string
	Dir        string
	Image      func() *cluster.Image
	Quorum     func() quorum.Status
	Partitions *partition.Set
	Groups     *coordinator.Groups
	Listeners  func() []ListenerStats
	Free       func() (int64, error) // bytes that the data directory can still take
}

// ListenerStats is a listener's counters with its name.
type ListenerStats struct {
	Name string
	listener.Stats
}

// State is how far a node has got.
type State int32

// The states of a node, in their order.
const (
	Starting State = iota
	Ready
	Draining
	Failed // it cannot keep its promises and ends
)

var stateNames = [...]string{"starting", "ready", "draining", "failed"}

func (s State) String() string { return stateNames[s] }

// Server is the operations endpoint of one node.
type Server struct {
	cfg     Config
	started time.Time
	state   atomic.Int32
	sources atomic.Pointer[Sources]
	scrapes chan struct{} // a token for each scrape that runs
	lag     lagCollector
	idle    idleMeter
	rates   raftRates

	http    *http.Server
	addr    net.Addr
	serving sync.WaitGroup
}

// New returns a Server that answers on l, in the state Starting. Close closes l.
func New(cfg Config, l net.Listener) *Server {
	s := &Server{cfg: cfg, started: time.Now(), scrapes: make(chan struct{}, scrapesMax), addr: l.Addr()}
	s.http = &http.Server{
		Handler: s.routes(), ReadHeaderTimeout: headerPatience, ReadTimeout: headerPatience, WriteTimeout: replyPatience,
		IdleTimeout: idlePatience, MaxHeaderBytes: headerBytesMax,
		ErrorLog: slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug), // what callers do wrong
	}
	s.serving.Go(func() {
		if err := s.http.Serve(&limited{Listener: l, room: make(chan struct{}, connectionsMax)}); !errors.Is(err, http.ErrServerClosed) {
			cfg.Log.Error("the operations endpoint has ended", "err", err)
		}
	})
	return s
}

// Addr returns the address that the Server listens on.
func (s *Server) Addr() net.Addr { return s.addr }

// Attach gives the Server what it tells of. It is called once.
func (s *Server) Attach(sources Sources) { s.sources.Store(&sources) }

// SetState says how far the node has got. Failed stays.
func (s *Server) SetState(state State) {
	if State(s.state.Load()) != Failed {
		s.state.Store(int32(state))
	}
}

// Close ends the Server; replies that are being written are cut off. What Sources names may be closed afterwards.
func (s *Server) Close() {
	_ = s.http.Close()
	s.serving.Wait()
	for range scrapesMax { // handlers outlive their connections
		s.scrapes <- struct{}{}
	}
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.serveIndex)
	mux.HandleFunc("GET /metrics", s.serveMetrics)
	mux.HandleFunc("GET /livez", s.serveLive)
	mux.HandleFunc("GET /readyz", s.serveReady)
	mux.HandleFunc("GET /healthz", s.serveHealth)
	mux.HandleFunc("GET /clients", s.onlyByName(s.serveClients))
	mux.Handle("GET /debug/pprof/", onlyFromHere(http.HandlerFunc(pprof.Index)))
	mux.Handle("GET /debug/pprof/cmdline", onlyFromHere(http.HandlerFunc(pprof.Cmdline)))
	mux.Handle("GET /debug/pprof/profile", onlyFromHere(http.HandlerFunc(pprof.Profile)))
	mux.Handle("GET /debug/pprof/symbol", onlyFromHere(http.HandlerFunc(pprof.Symbol)))
	mux.Handle("GET /debug/pprof/trace", onlyFromHere(http.HandlerFunc(pprof.Trace)))
	return mux
}

func (s *Server) serveIndex(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("Logbahn " + s.cfg.Version + "\n\n/metrics\n/livez\n/readyz\n/healthz?verbose\n/clients\n/debug/pprof/ (from this machine)\n"))
}

// onlyByName refuses requests to a name that is not this node's. A page in a browser can have its own name resolved to this
// node and then read what it answers; the name it cannot change.
func (s *Server) onlyByName(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		host := hostOf(r.Host)
		if _, err := netip.ParseAddr(host); err != nil && host != "localhost" && !slices.Contains(s.cfg.Hosts, host) {
			http.Error(w, "ask by an address, by localhost, or by a name of ops.listener or advertised.listeners", http.StatusForbidden)
			return
		}
		h(w, r)
	}
}

// hostOf is the host of a Host header, in small letters and without port and brackets.
func hostOf(header string) string {
	host := header
	if name, _, err := net.SplitHostPort(header); err == nil {
		host = name
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

// onlyFromHere lets callers on this machine in. A page in a browser on this machine must not be the caller either: its
// requests name the host that the page came from.
func onlyFromHere(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !peer.Addr().Unmap().IsLoopback() || !namesThisMachine(r.Host) {
			http.Error(w, "profiles are for callers on this machine, at a loopback address", http.StatusForbidden)
			return
		}
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(profilePatience))
		// pprof judges the seconds that are asked for by the server's timeout, which this reply does not have.
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), http.ServerContextKey, &http.Server{WriteTimeout: profilePatience})))
	})
}

func namesThisMachine(header string) bool {
	host := hostOf(header)
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// limited is a listener with a bound on its connections.
type limited struct {
	net.Listener
	room chan struct{}
}

// Accept returns the next connection for which there is room, and closes the others.
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.room <- struct{}{}:
			return &limitedConn{Conn: c, leave: sync.OnceFunc(func() { <-l.room })}, nil
		default: // one more must not wait behind connections that do nothing
			_ = c.Close()
		}
	}
}

type limitedConn struct {
	net.Conn
	leave func()
}

func (c *limitedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
