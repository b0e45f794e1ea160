package broker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/coordinator"
	"github.com/logbahn/logbahn/internal/partition"
	"github.com/logbahn/logbahn/internal/quorum"
	"github.com/logbahn/logbahn/internal/wire"
)

// Metadata is the cluster's memory, as this broker reaches it.
type Metadata interface {
	// Image returns the newest image that this broker has applied.
	Image() *cluster.Image
	// AwaitImage returns when Image has reached a metadata offset.
	AwaitImage(ctx context.Context, offset int64) error
	// Do runs a request at the controller and returns when its changes are in this broker's image.
	Do(ctx context.Context, req kmsg.Request) (kmsg.Response, error)
	// Status returns how the quorum stands.
	Status() quorum.Status
	// Fetch and FetchSnapshot give other nodes the metadata log, as far as it is committed.
	Fetch(ctx context.Context, req *wire.FetchRequest) *wire.FetchResponse
	FetchSnapshot(req *kmsg.FetchSnapshotRequest) *kmsg.FetchSnapshotResponse
}

// Config is what a Broker is made of.
type Config struct {
	NodeID     cluster.NodeID
	Metadata   Metadata
	Partitions *partition.Set
	Groups     *coordinator.Groups
	Ask        func(context.Context, cluster.NodeID, kmsg.Request) (kmsg.Response, error) // another broker, once; nil: there is none
	Settings   Settings
	Static     map[string]string // the broker's own configuration, by Kafka's keys: for DescribeConfigs
	Dir        LogDir
	Now        func() time.Time // time.Now when nil
	Log        *slog.Logger     // discarded when nil
}

// Broker answers requests. It has no life of its own: whoever made what Config holds closes that.
type Broker struct {
	cfg          Config
	table        []API // apis, which cannot be named by what it refers to
	now          func() time.Time
	log          *slog.Logger
	sessions     *sessionCache
	fetchMemory  *FetchMemory
	produceCalls sync.Pool // of *produceCall
	producerIDs  producerIDs
	fencing      fencing
	newest       *newest
	rotation     atomic.Uint32 // where the next fetch of a client without order of its own starts
}

// New returns a broker that serves what the table in apis.go lists.
func New(cfg Config) *Broker {
	b := &Broker{cfg: cfg, table: apis[:], now: cfg.Now, log: cfg.Log, newest: newNewest()}
	if b.now == nil {
		b.now = time.Now
	}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	b.fetchMemory = NewFetchMemory()
	b.fencing.mu.at = make(map[cluster.NodeID]time.Time)
	b.sessions = newSessionCache(cfg.Settings.FetchSessionsMax, b.now)
	return b
}

// Conn is what a request's connection says about its client. The listener makes it.
type Conn struct {
	ID         string
	Listener   string // the name of the listener it came in by, as in advertised.listeners
	LocalAddr  string
	RemoteAddr string
	// Reached is where the client is told that this broker is, instead of the registered address: nobody has said that one, and
	// this one the client has reached. nil: it is told the registered one.
	Reached *cluster.Endpoint
	// Next returns a channel that receives when the client has sent a further request which waits for the present one;
	// there may be a token from before, until Start has taken it out. nil: nobody says.
	Next func() <-chan struct{}
	// Proxied tells that another node speaks here for a client: RemoteAddr is the client's, and a Fetch that waits is
	// answered when the next request is there.
	Proxied bool
	// ClientSoftware is what ApiVersions said (KIP-511), empty until then. Requests that pipeline do not touch it.
	ClientSoftware        string
	ClientSoftwareVersion string

	refusals refusals // of what it has produced; requests that pipeline are started in their order, and only their start looks here
}

// Request is one decoded request.
type Request struct {
	Header wire.RequestHeader
	// Body is a *wire.ProduceRequest, a *wire.FetchRequest, or kmsg's request of the key and version. It is nil for an
	// ApiVersions request of a version that is not served.
	Body any
	Conn *Conn
}

// clientID returns the client's name, empty when it gave none.
func (r *Request) clientID() string {
	if r.Header.ClientID == nil {
		return ""
	}
	return *r.Header.ClientID
}

// Finish does what remains of a request and returns its reply. A nil reply means that none is sent (acks=0). The context
// ends with the connection.
type Finish func(ctx context.Context) wire.Response

// ErrNotServed means that the table has no such API or version: the connection is to be closed.
var ErrNotServed = errors.New("the API or its version is not served")

// Start begins a request. The memory that Body aliases may be reused when Start has returned.
func (b *Broker) Start(ctx context.Context, r *Request) (Finish, error) {
	api, ok := Lookup(r.Header.Key)
	if !ok {
		return nil, ErrNotServed
	}
	if r.Header.Version < api.Min || r.Header.Version > api.Max {
		if r.Header.Key == wire.KeyApiVersions {
			return done(b.apiVersionsTooNew()), nil
		}
		return nil, ErrNotServed
	}
	if api.Key == wire.KeyProduce {
		return b.startProduce(ctx, r), nil // called by name, so that r stays on its caller's stack
	}
	kept := *r
	return api.start(b, ctx, &kept), nil
}

// Disconnect is the reply that closes the connection: its encoding fails. It answers a failed produce request of a
// client that asked for no replies, which learns of new leaders only by connecting anew.
var Disconnect wire.Response = disconnect{}

// ErrDisconnect is what encoding Disconnect returns.
var ErrDisconnect = errors.New("the connection is closed instead of a reply")

type disconnect struct{}

func (disconnect) AppendTo(dst []byte) ([]byte, error) { return dst, ErrDisconnect }

// done is the Finish of a request whose reply is known.
func done(resp wire.Response) Finish {
	return func(context.Context) wire.Response { return resp }
}

// failed logs an error that no table has and returns the code for it.
func (b *Broker) failed(api string, err error) wire.Error {
	b.log.Error("request failed", "api", api, "err", err)
	return wire.UnknownServerError
}
