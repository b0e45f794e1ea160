package ops

import (
	"sync/atomic"
	"time"

	"github.com/logbahn/logbahn/internal/metrics"
	"github.com/logbahn/logbahn/internal/wire"
)

const (
	apisMax     = 128 // API keys are below; those beyond count as the last
	versionsMax = 32  // versions of one API
	codesMax    = 192 // error codes, which begin at -1
)

// Requests counts the requests of all clients by API. The zero value is ready.
type Requests struct {
	apis [apisMax]atomic.Pointer[apiRequests]
}

// apiRequests is what is known of one API's requests.
type apiRequests struct {
	versions                 [versionsMax]atomic.Uint64
	errors                   [codesMax]atomic.Uint64 // by code + 1
	took                     metrics.Histogram
	requestBytes, replyBytes atomic.Uint64
}

// api returns the counters of an API, which are made with its first request.
func (r *Requests) api(key int16) *apiRequests {
	at := &r.apis[clamp(key, apisMax)]
	if a := at.Load(); a != nil {
		return a
	}
	at.CompareAndSwap(nil, &apiRequests{})
	return at.Load()
}

func clamp(n int16, limit int) int { return max(0, min(int(n), limit-1)) }

func (a *apiRequests) sent(version int16, took time.Duration, requestBytes, replyBytes int) {
	a.versions[clamp(version, versionsMax)].Add(1)
	a.took.Observe(took)
	a.requestBytes.Add(uint64(requestBytes))
	a.replyBytes.Add(uint64(replyBytes))
}

func (a *apiRequests) failed(code int16) { a.errors[clamp(code+1, codesMax)].Add(1) }

// each calls f for every API that was asked for.
func (r *Requests) each(f func(key int16, api string, a *apiRequests)) {
	for key := range r.apis {
		if a := r.apis[key].Load(); a != nil {
			f(int16(key), wire.APIName(int16(key)), a)
		}
	}
}
