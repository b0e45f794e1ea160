// Package load makes the load that systems are measured under, and counts what comes of it.
//
// Raw clients send frames that were encoded before the clock starts, so that the client costs little beside the broker:
// [ProduceLoad] and [FetchLoad] keep a number of requests in flight (a closed loop, for throughput), [PacedLoad] sends at
// fixed times whatever the replies do (an open loop, for latency, which is counted from the time that a request was due). The
// same connections measure the bare loops. A [Client] is a library that people use: franz-go for whatever speaks Kafka's
// protocol, nats.go for JetStream; [Tail] has consumers of it read what is being produced.
package load
