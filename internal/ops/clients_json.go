package ops

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/logbahn/logbahn/internal/wire"
)

// clientsReport is what /clients answers. docs/operations.md describes it; `logbahn doctor` reads it.
type clientsReport struct {
	Now       time.Time      `json:"now"`
	ClusterID string         `json:"cluster_id,omitempty"` // this and the next are there once the data directory has been opened
	NodeID    *int32         `json:"node_id,omitempty"`
	Clients   []clientReport `json:"clients"`   // those seen last first
	Forgotten int            `json:"forgotten"` // clients that made room for others
}

type clientReport struct {
	Software        string          `json:"software"` // empty: a client older than ApiVersions 3
	SoftwareVersion string          `json:"software_version"`
	ClientID        string          `json:"client_id"`
	Address         string          `json:"address"`
	FirstSeen       time.Time       `json:"first_seen"`
	LastSeen        time.Time       `json:"last_seen"`
	APIs            []apiReport     `json:"apis"`
	Refused         []refusalReport `json:"refused"`
	RefusedUnlisted uint64          `json:"refused_unlisted,omitempty"`
}

type apiReport struct {
	API      string          `json:"api"`
	Key      int16           `json:"key"`
	Versions []versionReport `json:"versions"`
	Errors   []errorReport   `json:"errors"`
}

type versionReport struct {
	Version int16  `json:"version"`
	Count   uint64 `json:"count"`
}

type errorReport struct {
	Code  int16  `json:"code"`
	Error string `json:"error"`
	Count uint64 `json:"count"`
}

type refusalReport struct {
	API     string    `json:"api"`
	Key     int16     `json:"key"`
	Version int16     `json:"version"`
	Count   uint64    `json:"count"`
	Reason  string    `json:"reason"`
	Last    time.Time `json:"last"`
}

func (s *Server) serveClients(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	report := s.cfg.Clients.report(time.Now())
	if src := s.sources.Load(); src != nil {
		report.ClusterID, report.NodeID = src.ClusterID, (*int32)(&src.NodeID)
	}
	_ = encoder.Encode(report) // the caller may have gone
}

func (c *Clients) report(now time.Time) clientsReport {
	list, forgotten := c.all()
	report := clientsReport{Now: now.UTC(), Clients: make([]clientReport, len(list)), Forgotten: forgotten}
	for i, one := range list {
		report.Clients[i] = one.report()
	}
	return report
}

func (c *Client) report() clientReport {
	r := clientReport{
		Software: c.identity.Software, SoftwareVersion: c.identity.SoftwareVersion,
		ClientID: c.identity.ClientID, Address: c.identity.Address,
		FirstSeen: c.firstSeen.UTC().Truncate(time.Second), LastSeen: time.Unix(c.lastSeen.Load(), 0).UTC(),
		APIs: []apiReport{}, Refused: []refusalReport{},
	}
	for key := range c.apis {
		if a := c.apis[key].Load(); a != nil {
			r.APIs = append(r.APIs, a.report(int16(key)))
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r.RefusedUnlisted = c.mu.unlisted
	for _, f := range c.mu.refusals {
		r.Refused = append(r.Refused, refusalReport{wire.APIName(f.key), f.key, f.version, f.count, f.reason, f.last.UTC().Truncate(time.Second)})
	}
	return r
}

func (a *ClientAPI) report(key int16) apiReport {
	r := apiReport{API: wire.APIName(key), Key: key, Versions: []versionReport{}, Errors: []errorReport{}}
	for v := range a.versions {
		if n := a.versions[v].Load(); n > 0 {
			r.Versions = append(r.Versions, versionReport{int16(v), n})
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, code := range slices.Sorted(maps.Keys(a.mu.errors)) {
		r.Errors = append(r.Errors, errorReport{code, wire.Error(code).Name(), a.mu.errors[code]})
	}
	return r
}
