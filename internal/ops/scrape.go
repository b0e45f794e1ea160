package ops

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	vm "github.com/VictoriaMetrics/metrics"

	"github.com/logbahn/logbahn/internal/metrics"
)

func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request) {
	select {
	case s.scrapes <- struct{}{}:
		defer func() { <-s.scrapes }()
	default:
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many scrapes at once", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		_ = s.scrape(r.Context(), w) // the caller may have gone
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	zip, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // fails for levels that do not exist
	_ = s.scrape(r.Context(), zip)
	_ = zip.Close()
}

// scrape is one answer of /metrics in the making.
type scrape struct {
	*metrics.Writer
	s    *Server
	src  *Sources
	rest int // series of partitions or of groups that still have room
	left int // series that had none
}

// scrape writes all metrics to out. It returns out's first error.
func (s *Server) scrape(ctx context.Context, out io.Writer) error {
	began := time.Now()
	c := &scrape{Writer: metrics.NewWriter(out), s: s, src: s.sources.Load(), rest: s.cfg.SeriesMax}
	c.process()
	c.requests()
	if c.src != nil {
		c.listeners()
		c.controller()
		c.topics()
		c.groups(ctx)
	}
	c.One(metrics.Gauge, "logbahn_metrics_series_left_out", "Series that ops.metrics.series.max had no room for in this scrape.", float64(c.left))
	c.One(metrics.Gauge, "logbahn_metrics_scrape_seconds", "How long this scrape took until here.", time.Since(began).Seconds())
	if err := c.Flush(); err != nil {
		return err
	}
	vm.WriteGoMetrics(out)
	vm.WriteProcMetrics(out)
	vm.WriteFDMetrics(out)
	return nil
}

// room takes n series of those that are bounded, and says whether they may be written.
func (c *scrape) room(n int) bool {
	if n > c.rest {
		c.left += n
		return false
	}
	c.rest -= n
	return true
}

func (c *scrape) process() {
	c.Family(metrics.Gauge, "logbahn_build_info", "The version of this program.")
	c.Sample(1, "version", c.s.cfg.Version)
	if c.src != nil {
		c.Family(metrics.Gauge, "logbahn_node_info", "1, with the ids of this node and of its cluster.")
		c.Sample(1, "cluster_id", c.src.ClusterID, "node_id", strconv.Itoa(int(c.src.NodeID)))
	}
	state := State(c.s.state.Load())
	c.Family(metrics.Gauge, "logbahn_node_state", "1 for the state that the node is in.")
	for i, name := range stateNames {
		c.Sample(boolean(State(i) == state), "state", name)
	}
	c.Family(metrics.Gauge, "kafka_server_kafkaserver_brokerstate", "0 not running, 1 starting, 3 running, 6 shutting down.")
	c.Sample([...]float64{Starting: 1, Ready: 3, Draining: 6, Failed: 0}[state])
	if idle, ok := c.s.idle.read(); ok {
		c.One(metrics.Gauge, "kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent",
			"Share of the processors that this process leaves idle, 0 to 1. There is no pool of handlers: every connection has its own goroutine.", idle)
		c.One(metrics.Gauge, "kafka_network_socketserver_networkprocessoravgidle_percent",
			"Share of the processors that this process leaves idle, 0 to 1. There are no network threads.", idle)
		c.One(metrics.Gauge, "kafka_network_socketserver_networkprocessoravgidlepercent",
			"Share of the processors that this process leaves idle, 0 to 1. There are no network threads.", idle)
		c.One(metrics.Counter, "kafka_server_kafkarequesthandlerpool_requesthandleravgidlepercent_total",
			"Nanoseconds for which the processors were idle, as seen by this process.", c.s.idle.idleNanos())
	}
	if read, written, ok := diskBytes(); ok {
		c.One(metrics.Counter, "kafka_server_kafkaserver_linux_disk_read_bytes", "Bytes that this process had the disk read.", read)
		c.One(metrics.Counter, "kafka_server_kafkaserver_linux_disk_write_bytes", "Bytes that this process had the disk write.", written)
	}
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
