// Package proxy shows a client the whole cluster behind one address: the other handler of a listener, beside
// broker.Broker. A listener of mode proxy has it.
//
// # What it promises
//
// The client sees a cluster of one node, this one, at the address that it has reached: leader of every partition that has a
// leader, its only replica, coordinator of every group, controller. Everything else is the cluster's own truth: leader
// epochs, offsets, group generations, errors. Whatever the client asks is asked of the node where it belongs: partitions of
// their leaders, groups of their coordinators, resources of brokers of the broker that they name, all else of this node,
// which passes changes on to the controller as it does for everybody. Answers of several nodes are put together in the
// request's order.
//
// A request is sent to a node once, and never a second time: idempotence stays the client's. Only a node that cannot be
// connected to is replaced, by this node: it answers for partitions and groups that are not here with the code that makes
// the client ask again (NOT_LEADER_OR_FOLLOWER, NOT_COORDINATOR), in the form of the request's version. When an answer is
// lost, nobody knows whether the request was carried out: the client's connection is closed, as that node would have done.
//
// # Order
//
// For each client connection there is one stream ([peer.Stream]) to each node that it needs, on which requests keep the
// order in which the client has sent them. Only Produce is sent ahead of answers. While produces of a partition are under
// way all further ones follow them to the same node, even when the partition has another leader meanwhile, until the client
// has been told: none overtakes another.
//
// What a client has sent before it went is sent, as if it had been connected to the nodes themselves: its streams end when
// their nodes have read it, or after [lingerPatience].
//
// # Fetch
//
// A session (KIP-227) is one between the client and this node; what is behind are fetches without sessions, of the
// partitions' leaders. They wait at the leaders. The first that has enough ends the wait of all: the others are asked by a
// further request to answer with what they have. Of several leaders each is asked for its share of the least and of the most
// bytes. Clients are not sent to followers (KIP-392), which they could not reach.
//
// # Errors
//
// Start returns an error, and a reply's encoding fails, when the connection is to be closed. Such errors say why and name
// the node; the listener logs them.
//
// # Memory and back-pressure
//
// A request is written to its nodes before the next one of the connection is read, so that what waits, waits at the client.
// Answers are in memory once; those to fetches are as large as the client allows and, when all clients together take much,
// smaller, as at the nodes themselves.
//
// # Concurrency
//
// A [Proxy] is called by any goroutine. A [Conn] is one client's connection, and called as listener.Handler says. The package
// starts no goroutine but the one that context.AfterFunc starts at the end of a client's connection; the streams' belong to the
// peers. A Conn ends with the context that it was made with. One lock per Conn guards its streams and the routes of its
// produces, and is not held during I/O.
package proxy
