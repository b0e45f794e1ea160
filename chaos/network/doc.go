// Package network gives every node a network namespace of its own, joined by a bridge, and cuts them from each other.
//
// Node i has the address of Address(i); whoever runs outside the nodes' namespaces has the address Outside, and is the
// clients' side. What is cut is dropped by nftables where it arrives, by its source address: connections see silence
// as behind a broken cable, not resets.
//
// A Network belongs to a sandbox: its namespaces end with that.
package network
