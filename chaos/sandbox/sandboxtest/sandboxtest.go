//go:build linux

// Package sandboxtest runs a package's tests inside a sandbox.
package sandboxtest

import (
	"os"
	"testing"

	"github.com/logbahn/logbahn/chaos/sandbox"
)

// lacking is why the tests run outside.
var lacking error

// Main is a TestMain whose tests run inside, or outside when this machine lacks something: then Need says what.
func Main(m *testing.M, tools ...string) {
	if lacking = sandbox.Missing(tools...); lacking == nil {
		within, code, err := sandbox.Enter()
		if err == nil && !within {
			os.Exit(code)
		}
		lacking = err
	}
	os.Exit(m.Run())
}

// Need skips a test of a package whose TestMain is Main when it is not inside, and names what the machine lacks.
func Need(t testing.TB) {
	t.Helper()
	Skip(t, lacking)
}

// Skip skips a test for what the machine lacks, if that is not nil. Under LOGBAHN_REQUIRE it fails when only packages or
// settings of the machine are in the way, which is when the test is run by root.
func Skip(t testing.TB, lacking error) {
	t.Helper()
	switch {
	case lacking == nil:
	case os.Getenv("LOGBAHN_REQUIRE") != "" && os.Geteuid() == 0:
		t.Fatalf("LOGBAHN_REQUIRE is set, and %v", lacking)
	default:
		t.Skip(lacking)
	}
}
