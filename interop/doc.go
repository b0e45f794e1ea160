// Package interop runs real clients against the built binary: the article's kafka-python of 2015, today's
// kafka-python, librdkafka (kcat), kafkajs, Apache Kafka's own tools, and franz-go.
//
// install.sh fetches the clients that are not Go into $LOGBAHN_INTEROP (make interop does both). A test whose client is
// not there, or that runs without the variable, skips and says so; with LOGBAHN_REQUIRE=1 it fails instead, which is how
// continuous integration knows that every suite ran.
//
// The tests of this package start processes of their own, on loopback ports that the system chooses, and end only
// those.
package interop
