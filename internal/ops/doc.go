// Package ops is the operations endpoint of a node: one HTTP server that says how the node is.
//
//	/metrics          Prometheus text format, under the names that dashboards for Kafka use (docs/operations.md)
//	/livez            200 while the process works, 503 when it cannot go on
//	/readyz           200 while clients may be sent here: started, registered, not draining
//	/healthz?verbose  every check by name; 503 when one fails
//	/clients          JSON: who sends what: software, API versions, errors, refusals; for callers that ask by an address, by
//	                  localhost or by one of Config.Hosts
//	/debug/pprof/     profiles, for callers on this machine only
//
// # What it promises
//
// A scrape takes no lock while it writes, so a slow reader holds up nobody; at most scrapesMax run at once, the others are
// told to come back. Series per partition and per group are bounded by Config.SeriesMax, the clients that are remembered
// by clientsMax, whatever clients send. A topic that is deleted during a scrape is there or is not there. What costs the
// path of a request anything is Requests and Clients: a few additions to memory of their own, without a lock.
//
// # States
//
// A Server answers from New on. Until Attach it knows of nothing but its state, which SetState moves from Starting to
// Ready to Draining. /metrics is empty but for the process before Attach.
//
// # Concurrency
//
// All methods may be called by any goroutine. The package owns the goroutine that accepts and one for each HTTP
// connection, at most connectionsMax; all end with Close.
package ops
