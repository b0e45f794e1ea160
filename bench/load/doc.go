// Package load makes the load that systems are measured under, and counts what comes of it.
//
// Raw clients send frames that were encoded before the clock starts, so that the client costs little beside the broker:
// [Produce] and [Fetch] keep a number of requests in flight (a closed loop, for throughput), [Paced] sends at fixed times
// whatever the replies do (an open loop, for latency, which is counted from the time that a request was due). The same
// connections measure the bare loops. [Records] and [Stream] are the libraries that people use: franz-go for whatever
// speaks Kafka's protocol, nats.go for JetStream.
package load
