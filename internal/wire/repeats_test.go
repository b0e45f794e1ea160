package wire

import "testing"

func TestRepeats(t *testing.T) {
	var r Repeats[string]
	for range RepeatsMax + 1 {
		if r.TooMany("a") {
			t.Fatal("too many at once")
		}
	}
	if !r.TooMany("a") {
		t.Fatal("one more is not too many")
	}
	if r.TooMany("b") {
		t.Fatal("what is named for the first time is too many")
	}
	if !r.TooMany("b") {
		t.Fatal("the repeats of all count together")
	}
}
