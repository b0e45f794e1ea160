package logdump

import (
	"strings"
	"testing"
)

// TestMalformedTextIsJavas has what new String(bytes, UTF_8) of Java 17 makes of it.
func TestMalformedTextIsJavas(t *testing.T) {
	for bytes, want := range map[string]string{
		"a\xff\xffb":           "a??b",
		"\xc3":                 "?",
		"\xc3(":                "?(",
		"\xc0\x80":             "??",
		"\xe2\x82(":            "?(",
		"\xe0\x80\x80":         "???",
		"\xed\xa0\x80x":        "?x", // a surrogate
		"\xf0\x9f\x98":         "?",
		"\xf0\x80\x80\x80":     "????",
		"\xf4\x90\x80\x80":     "????",
		"\xf8\x88\x80\x80\x80": "?????",
		"ünïcödé €😀":           "ünïcödé €😀",
	} {
		if got := strings.ReplaceAll(validText([]byte(bytes)), "\uFFFD", "?"); got != want {
			t.Errorf("%q becomes %q, want %q", bytes, got, want)
		}
	}
}
