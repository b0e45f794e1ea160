// Package interop runs real clients against the built binary and holds what they see of it to what they see of Apache
// Kafka.
//
// # The matrix
//
// clients/ has one driver for each client library: a program that is told a check and where the broker is, and that
// answers with facts: offsets, counts, contents, names of errors. clients/README.md is the contract of drivers, check by
// check. TestMatrix runs each driver against Logbahn and against Apache Kafka and compares the facts:
//
//   - A check that fails, or a fact that is not Kafka's, fails the test, unless differences.txt lists it with the reason.
//     It names both answers, so a third one is red again; a line that no cell needs fails TestCompatibilityDocument.
//   - A check that fails on both is red too: a driver that cannot do it on Kafka shows nothing about Logbahn.
//   - Each client is compared on the newest Kafka that it can talk to (drivers_test.go). All brokers compared have the
//     settings of targets_test.go in common.
//   - A group is committed in one process and resumed in another, after Logbahn has been restarted. Kafka is not
//     restarted; its answer is the same.
//   - Names of topics and groups are new in each run; what runs side by side shares a broker.
//
// In continuous integration one client of each family runs, compared with the answers in testdata/golden that real Kafka
// gave; make interop-golden asks it again. make interop runs all clients against the brokers themselves and writes
// testdata/matrix.json and from that docs/compatibility.md. Package kafka, beside this one, starts those brokers.
//
// With LOGBAHN_BOOTSTRAP=host:port the drivers are pointed at a broker that runs already, of a cluster or in proxy mode
// for instance, and with LOGBAHN_RESTART=command that command restarts it; nothing is written then. LOGBAHN_CLIENTS and
// LOGBAHN_CHECKS, comma-separated patterns, pick some.
//
// # Several nodes
//
// LOGBAHN_NODES=3, make interop NODES=3, points all of this at three nodes of this tree: three processes, three replicas of
// each topic, min.insync.replicas=2; a restart is one of each node, one after the other. What Kafka answers is then what
// three brokers of it answer, so make interop-golden NODES=3 asks these. testdata/golden/3-brokers holds the answers that are
// not those of one broker, testdata/tools/cluster what Kafka's tools print of three.
//
// LOGBAHN_PROXY=1, make interop PROXY=1, lets each client reach one of the three nodes only, by its listener in proxy mode. The
// listeners that nodes have for each other are behind gates (gate_test.go): a client that comes to one fails the test. What
// Kafka answers is what one broker of it answers (readGolden).
//
// The results are kept in testdata/matrix-3-nodes.json and matrix-3-nodes-proxy.json and are sections of docs/compatibility.md.
//
// # The rest
//
// The article's walk-through, a group that clients of four languages share, Kafka's own tools reading the data
// directory, the tools of Kafka 0.9, and kill -9 under load.
//
// install.sh fetches the clients that are not Go into $LOGBAHN_INTEROP. A test whose client is not there, or that runs
// without the variable, skips and says so; with LOGBAHN_REQUIRE=1 it fails instead, which is how continuous integration
// knows that every suite ran.
//
// The tests of this package start processes of their own, on loopback ports that the system chooses, and end only
// those.
package interop
