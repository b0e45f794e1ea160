// Package habit learns from one driver's records how they drive: harsh braking, acceleration and cornering, speeding,
// and driving at night, counted per day, and from the last ninety days a score of 0 to 100.
//
// What counts as harsh depends on the box that measures it, so every threshold belongs to a [Profile]. A [Driver] is
// the whole state of one driver: it is fed records in any order that a network produces ([Driver.Push]), it can be
// saved as JSON at any record and continued from there with the same results, and it belongs to one goroutine.
// Nothing here reads a clock: all time is the records' own.
package habit
