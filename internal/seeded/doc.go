// Package seeded holds faults that are put into the code on purpose, to show that the tests catch them: a simulation or a
// checker that lets one pass proves nothing.
//
// The code asks Is where a rule could be broken. In a build without the tag "seeded" that is false as the compiler knows,
// and the question costs nothing. With the tag, LOGBAHN_BUG names the one bug that the process has. No release has it.
//
// A bug names the test that has to fail. `make seeded` runs each, with the bug and, for comparison, without any.
package seeded
