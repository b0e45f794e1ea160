package web

import (
	"crypto/rand"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"strconv"
	"time"
)

//go:embed page
var files embed.FS

const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// tickEvery is how often the stream sends what has changed.
const tickEvery = time.Second

// Handler serves the page and its data:
//
//	GET /                  the page
//	GET /api/town          the map
//	GET /api/values        the constants of the premium
//	GET /api/drivers/{id}  one driver
//	GET /api/stream        server-sent events: a tick a second with what has changed
//	GET /healthz           200 while the pipeline runs, 503 with the reason otherwise
//	POST /api/kill-leader          ends the broker that leads telematics/0, as a crash does: {"broker": 2}
//	POST /api/brokers/{id}/start   starts a broker that was killed: {"broker": 2}
func Handler(model Model) http.Handler {
	page, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // the embedded folder has another name: a mistake of the build
	}
	run := rand.Text()
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(page))
	mux.HandleFunc("GET /api/town", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, model.Town()) })
	mux.HandleFunc("GET /api/values", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, model.Values()) })
	mux.HandleFunc("GET /api/drivers/{id}", func(w http.ResponseWriter, r *http.Request) {
		if detail, ok := model.Driver(r.PathValue("id")); ok {
			writeJSON(w, detail)
			return
		}
		http.Error(w, "no such driver", http.StatusNotFound)
	})
	mux.HandleFunc("GET /api/stream", func(w http.ResponseWriter, r *http.Request) { stream(w, r, model, run) })
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if problem := model.Status().Problem; problem != "" {
			http.Error(w, problem, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("POST /api/kill-leader", func(w http.ResponseWriter, _ *http.Request) {
		id, err := model.KillLeader()
		answerOperation(w, id, err)
	})
	mux.HandleFunc("POST /api/brokers/{id}/start", func(w http.ResponseWriter, r *http.Request) {
		id, err := strconv.ParseInt(r.PathValue("id"), 10, 32)
		if err != nil {
			http.Error(w, "a broker is a number", http.StatusBadRequest)
			return
		}
		answerOperation(w, int32(id), model.StartBroker(r.Context(), int32(id)))
	})
	// What changes something comes from the page itself, or from no page at all.
	return guard(http.NewCrossOriginProtection().Handler(mux))
}

// answerOperation answers what was done to a broker: 409 when it could not be, 404 when there is none, 501 where it never can.
func answerOperation(w http.ResponseWriter, id int32, err error) {
	switch {
	case errors.Is(err, ErrNotMine):
		http.Error(w, err.Error(), http.StatusNotImplemented)
	case errors.Is(err, ErrNoBroker):
		http.Error(w, err.Error(), http.StatusNotFound)
	case err != nil:
		http.Error(w, err.Error(), http.StatusConflict)
	default:
		writeJSON(w, struct {
			Broker int32 `json:"broker"`
		}{id})
	}
}

// guard sets the headers that keep the page to itself, and refuses requests for a name that is not this machine's
// (DNS rebinding).
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if host != "localhost" && net.ParseIP(host) == nil {
			http.Error(w, "ask for localhost or an address", http.StatusForbidden)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		next.ServeHTTP(w, r)
	})
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v) // an error here is a reader who went away
}

// tick is one message of the stream: all cars, and the drivers and events that are new since the last.
type tick struct {
	Run     string   `json:"run"` // differs when the server is another than before: the page begins anew
	Status  Status   `json:"status"`
	Cars    []Car    `json:"cars"`
	Drivers []Driver `json:"drivers"`
	Events  []Event  `json:"events"`
}

// reader is what one open page has seen.
type reader struct {
	revisions map[string]int64
	events    map[string]bool
}

func (r *reader) next(model Model) tick {
	t := tick{Status: model.Status(), Cars: model.Cars(), Drivers: []Driver{}, Events: []Event{}}
	for _, d := range model.Drivers() {
		if r.revisions[d.ID] != d.Revision {
			r.revisions[d.ID] = d.Revision
			t.Drivers = append(t.Drivers, d)
		}
	}
	known := make(map[string]bool)
	for _, e := range model.Events() {
		if known[e.ID] = true; !r.events[e.ID] {
			t.Events = append(t.Events, e)
		}
	}
	r.events = known
	return t
}

func stream(w http.ResponseWriter, r *http.Request, model Model, run string) {
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	seen := reader{revisions: make(map[string]int64)}
	for {
		next := seen.next(model)
		next.Run = run
		body, err := json.Marshal(next)
		if err != nil {
			return
		}
		control.SetWriteDeadline(time.Now().Add(10 * time.Second)) // a stuck reader must not hold a goroutine
		if _, err := fmt.Fprintf(w, "data: %s\n\n", body); err != nil || control.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-ticker.C:
		}
	}
}
