// Package trip turns what a car's device sends into drives with a distance.
//
// A message is parsed into a [Record] ([Parse], [ParseJSON], [ParseLine], [ParseNDSBR], [ParseDrivePlotR]), checked
// against its neighbours by a [Cleaner], put into the order of its own time by a [Sequencer], and cut into trips whose
// metres are counted by a [Tracker]. What cannot be used is never dropped silently: it comes back as a [*Rejection]
// with a [Reason] that a program can count.
//
// Inside, all quantities are SI: metres, seconds, metres per second, metres per second squared, degrees for angles,
// and milliseconds since 1970 UTC for time. Every type here belongs to one goroutine at a time; nothing reads a clock.
package trip
