// Package premium turns a driver's score and kilometres into a premium of which every factor can be printed.
//
//	frequency = base frequency x mileage factor x behaviour factor per part of the score
//	premium   = frequency x severity x (1 + expenses), kept within a discount and a surcharge of the base premium
//
// The values are in values.go and nowhere else, each saying whether it was measured, published or is illustrative.
// A quote is a pure function of a [habit.Summary]; nothing here keeps state or reads a clock.
package premium
