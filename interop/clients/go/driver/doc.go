// Package driver is what the drivers of Go's client libraries have in common: the arguments, the answer, the records, and
// the checks themselves. ../../README.md is the contract; a library brings the calls of Library, and of the smaller
// interfaces beside it whatever it offers.
//
// A call returns an error that wraps ErrUnsupported where the library cannot do what it is asked, and what the broker
// answered otherwise. Calls may be made from one goroutine at a time.
package driver
