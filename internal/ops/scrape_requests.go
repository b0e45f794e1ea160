package ops

import (
	"strconv"

	"github.com/logbahn/logbahn/internal/metrics"
	"github.com/logbahn/logbahn/internal/wire"
)

func (c *scrape) requests() {
	all := c.s.cfg.Requests
	c.Family(metrics.Counter, "kafka_network_requestmetrics_requests_total", "Requests answered, by API and version.")
	all.each(func(_ int16, api string, a *apiRequests) {
		for v := range a.versions {
			if n := a.versions[v].Load(); n > 0 {
				c.Sample(float64(n), "request", api, "version", strconv.Itoa(v))
			}
		}
	})
	c.Family(metrics.Counter, "kafka_network_requestmetrics_errors_total", "Error codes in replies, by API. A reply has one for each partition, topic or group that failed.")
	all.each(func(_ int16, api string, a *apiRequests) {
		for i := range a.errors {
			if n := a.errors[i].Load(); n > 0 {
				c.Sample(float64(n), "request", api, "error", wire.Error(i-1).Name())
			}
		}
	})
	c.Family(metrics.HistogramKind, "logbahn_request_duration_seconds", "From a request's last byte to its reply's last byte handed to the system, by API; long polls and waits for a flush or a rebalance included.")
	all.each(func(_ int16, api string, a *apiRequests) { c.Histogram(&a.took, "request", api) })
	c.Family(metrics.Counter, "logbahn_request_bytes_total", "Bytes of requests, by API.")
	all.each(func(_ int16, api string, a *apiRequests) { c.Sample(float64(a.requestBytes.Load()), "request", api) })
	c.Family(metrics.Counter, "logbahn_reply_bytes_total", "Bytes of replies, by API.")
	all.each(func(_ int16, api string, a *apiRequests) { c.Sample(float64(a.replyBytes.Load()), "request", api) })
	clients, forgotten := c.s.cfg.Clients.all()
	c.One(metrics.Gauge, "logbahn_clients", "Clients that /clients tells of.", float64(len(clients)))
	c.One(metrics.Counter, "logbahn_clients_forgotten_total", "Clients that made room for others.", float64(forgotten))
}

// listenerCounter is a counter of every listener.
type listenerCounter struct {
	kind       metrics.Kind
	name, help string
	value      func(*ListenerStats) int64
}

var listenerCounters = []listenerCounter{
	{metrics.Gauge, "kafka_server_socket_server_metrics_connection_count", "Open connections.", func(l *ListenerStats) int64 { return l.ConnectionsOpen }},
	{metrics.Counter, "kafka_server_socket_server_metrics_connection_creation_total", "Connections accepted.", func(l *ListenerStats) int64 { return l.ConnectionsAccepted }},
	{metrics.Counter, "kafka_server_socket_server_metrics_connection_close_total", "Connections that have ended.", func(l *ListenerStats) int64 { return l.ConnectionsAccepted - l.ConnectionsOpen }},
	{metrics.Counter, "kafka_server_socket_server_metrics_request_total", "Requests read.", func(l *ListenerStats) int64 { return l.Requests }},
	{metrics.Counter, "kafka_server_socket_server_metrics_incoming_byte_total", "Bytes read from clients.", func(l *ListenerStats) int64 { return l.RequestBytes }},
	{metrics.Counter, "kafka_server_socket_server_metrics_outgoing_byte_total", "Bytes sent to clients.", func(l *ListenerStats) int64 { return l.ReplyBytes }},
	{metrics.Gauge, "logbahn_listener_budget_used_bytes", "Memory of requests that are being read or handled.", func(l *ListenerStats) int64 { return l.BudgetUsedBytes }},
	{metrics.Counter, "logbahn_listener_budget_waits_total", "Requests that had to wait for memory of others.", func(l *ListenerStats) int64 { return l.BudgetWaits }},
}

// closings are the reasons for which a listener refuses or closes connections.
var closings = []struct {
	reason string
	value  func(*ListenerStats) int64
}{
	{"max.connections", func(l *ListenerStats) int64 { return l.ConnectionsRefused }},
	{"max.connections.per.ip", func(l *ListenerStats) int64 { return l.ConnectionsRefusedOfPeer }},
	{"idle", func(l *ListenerStats) int64 { return l.ClosedIdle }},
	{"too large", func(l *ListenerStats) int64 { return l.ClosedTooLarge }},
	{"not Kafka", func(l *ListenerStats) int64 { return l.ClosedForeign }},
	{"slow request", func(l *ListenerStats) int64 { return l.ClosedSlowFrame }},
	{"malformed request", func(l *ListenerStats) int64 { return l.ClosedMalformed }},
	{"API or version not served", func(l *ListenerStats) int64 { return l.ClosedNotServed }},
	{"reply not read", func(l *ListenerStats) int64 { return l.ClosedNotReading }},
	{"instead of a reply", func(l *ListenerStats) int64 { return l.ClosedByHandler }},
	{"defect", func(l *ListenerStats) int64 { return l.ClosedByPanic }},
}

func (c *scrape) listeners() {
	stats := c.src.Listeners()
	for _, counter := range listenerCounters {
		c.Family(counter.kind, counter.name, counter.help)
		for i := range stats {
			c.SampleInt(counter.value(&stats[i]), "listener", stats[i].Name)
		}
	}
	c.Family(metrics.Counter, "logbahn_listener_closed_total", "Connections that were refused or closed, by reason.")
	for i := range stats {
		for _, closing := range closings {
			c.SampleInt(closing.value(&stats[i]), "listener", stats[i].Name, "reason", closing.reason)
		}
	}
}
