// Package metrics writes measurements in the text format of Prometheus (version 0.0.4), and has the one kind of
// instrument that a counter in its owner's struct cannot replace: a histogram.
//
// # What it promises
//
// A Writer's output is valid whatever the label values are: they may come from clients. A Histogram may be observed by
// any goroutine, takes no lock and allocates nothing.
//
// # Names
//
// There is no registry. Whoever owns a number keeps it, and whoever is scraped asks the owners: names, help and labels
// stand where the numbers are read.
package metrics
