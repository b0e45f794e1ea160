// Package fleet simulates cars that send telematics: calm, normal and aggressive drivers on the roads of an invented
// town, one record a second each while they drive, with the faults that real devices have (lost, doubled and late
// messages, positions that wander).
//
// A [Fleet] is a pure function of its seed and the times it is stepped at: the same seed gives the same stream. It
// starts no goroutine and reads no clock, and belongs to one goroutine. After a restart, [Fleet.Resume] puts each car
// where its last record left it: sequence, odometer and place go on.
package fleet
