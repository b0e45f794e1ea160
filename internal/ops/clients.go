package ops

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logbahn/logbahn/internal/wire"
)

// Bounds on what is remembered of clients, who choose their names themselves.
const (
	clientsMax      = 1000
	clientTextBytes = 200              // of each part of an Identity
	forgetAfter     = 10 * time.Minute // a silent client makes room for a new one
	refusalsMax     = 20               // of one client
	refusalBytes    = 300
)

// Identity tells clients apart: connections of one identity are one client.
type Identity struct {
	Software, SoftwareVersion string // as ApiVersions 3 and later say (KIP-511); empty for older clients
	ClientID                  string
	Address                   string // without the port
}

func (id Identity) clipped() Identity {
	return Identity{clip(id.Software), clip(id.SoftwareVersion), clip(id.ClientID), clip(id.Address)}
}

func clip(s string) string {
	if len(s) > clientTextBytes {
		s = s[:clientTextBytes]
	}
	return strings.Clone(s) // a piece would keep the whole
}

// Clients remembers who sends what. Make it with NewClients.
type Clients struct {
	requests *Requests
	others   *Client // who finds no room

	mu struct {
		sync.Mutex
		byIdentity map[Identity]*Client
		forgotten  int
	}
}

// NewClients returns Clients that count into requests as well.
func NewClients(requests *Requests, now time.Time) *Clients {
	c := &Clients{requests: requests}
	c.others = newClient(c, Identity{ClientID: "(others)"}, now)
	c.mu.byIdentity = make(map[Identity]*Client)
	return c
}

// Client returns the client of an identity. It may be shared by clients that found no room.
func (c *Clients) Client(id Identity, now time.Time) *Client {
	id = id.clipped()
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.mu.byIdentity[id]; ok {
		return known
	}
	if len(c.mu.byIdentity) >= clientsMax && !c.forgetOneLocked(now) {
		return c.others
	}
	made := newClient(c, id, now)
	c.mu.byIdentity[id] = made
	return made
}

// forgetOneLocked forgets the client that has been silent for the longest, if that is long enough.
func (c *Clients) forgetOneLocked(now time.Time) bool {
	var oldest *Client
	for _, one := range c.mu.byIdentity {
		if oldest == nil || one.lastSeen.Load() < oldest.lastSeen.Load() {
			oldest = one
		}
	}
	if now.Unix()-oldest.lastSeen.Load() < int64(forgetAfter/time.Second) {
		return false
	}
	oldest.forgotten.Store(true)
	delete(c.mu.byIdentity, oldest.identity)
	c.mu.forgotten++
	return true
}

// all returns the clients, those seen last first.
func (c *Clients) all() (list []*Client, forgotten int) {
	c.mu.Lock()
	list, forgotten = slices.Collect(maps.Values(c.mu.byIdentity)), c.mu.forgotten
	c.mu.Unlock()
	if c.others.seen() {
		list = append(list, c.others)
	}
	slices.SortFunc(list, func(a, b *Client) int {
		if n := int(b.lastSeen.Load() - a.lastSeen.Load()); n != 0 {
			return n
		}
		return strings.Compare(a.identity.key(), b.identity.key())
	})
	return list, forgotten
}

func (id Identity) key() string {
	return id.Software + "\x00" + id.SoftwareVersion + "\x00" + id.ClientID + "\x00" + id.Address
}

// Client is what is known of one client. Its connections add to it without a lock but for errors.
type Client struct {
	clients   *Clients
	identity  Identity
	firstSeen time.Time
	lastSeen  atomic.Int64 // seconds since 1970
	forgotten atomic.Bool
	apis      [apisMax]atomic.Pointer[ClientAPI]

	mu struct {
		sync.Mutex
		refusals []refusal
		unlisted uint64 // refusals that found no room
	}
}

// refusal is what ended connections of a client.
type refusal struct {
	key, version int16
	reason       string
	count        uint64
	last         time.Time
}

// ClientAPI counts what one client sends to one API.
type ClientAPI struct {
	client   *Client
	all      *apiRequests
	versions [versionsMax]atomic.Uint64

	mu struct {
		sync.Mutex
		errors map[int16]uint64
	}
}

func newClient(c *Clients, id Identity, now time.Time) *Client {
	one := &Client{clients: c, identity: id, firstSeen: now}
	one.lastSeen.Store(now.Unix())
	return one
}

func (c *Client) seen() bool {
	for i := range c.apis {
		if c.apis[i].Load() != nil {
			return true
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.mu.refusals) > 0
}

// Forgotten tells that the client has made room for another: who holds it has to ask anew.
func (c *Client) Forgotten() bool { return c.forgotten.Load() }

// API returns the counters of one API.
func (c *Client) API(key int16) *ClientAPI {
	at := &c.apis[clamp(key, apisMax)]
	if a := at.Load(); a != nil {
		return a
	}
	at.CompareAndSwap(nil, &ClientAPI{client: c, all: c.clients.requests.api(key)})
	return at.Load()
}

// Sent counts a request that has been answered.
func (a *ClientAPI) Sent(version int16, arrived, left time.Time, requestBytes, replyBytes int) {
	a.versions[clamp(version, versionsMax)].Add(1)
	a.all.sent(version, left.Sub(arrived), requestBytes, replyBytes)
	if now := left.Unix(); a.client.lastSeen.Load() != now {
		a.client.lastSeen.Store(now)
	}
}

// CountError implements wire.ErrorCounter.
func (a *ClientAPI) CountError(code int16) {
	a.all.failed(code)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.mu.errors == nil {
		a.mu.errors = make(map[int16]uint64)
	}
	a.mu.errors[code]++ // codes are ours: there are as many as Kafka has
}

// Refused notes a request that ended its connection.
func (c *Client) Refused(h wire.RequestHeader, reason string, now time.Time) {
	if len(reason) > refusalBytes {
		reason = reason[:refusalBytes]
	}
	c.lastSeen.Store(now.Unix())
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.mu.refusals {
		if r := &c.mu.refusals[i]; r.key == h.Key && r.version == h.Version {
			r.count++
			r.reason, r.last = reason, now
			return
		}
	}
	if len(c.mu.refusals) == refusalsMax {
		c.mu.unlisted++
		return
	}
	c.mu.refusals = append(c.mu.refusals, refusal{h.Key, h.Version, reason, 1, now})
}
