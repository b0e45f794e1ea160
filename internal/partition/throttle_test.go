package partition

import (
	"math"
	"testing"
	"time"
)

func TestThrottleKeepsToItsRate(t *testing.T) {
	var th throttle
	now := time.Unix(1_000_000, 0)
	if th.wait(now) == 0 {
		t.Error("a rate of 0 lets something through")
	}
	th.setRate(1000)
	copied, begin := 0, now
	for now.Sub(begin) < time.Minute {
		if wait := th.wait(now); wait > 0 {
			now = now.Add(wait)
			continue
		}
		th.count(700, now)
		copied += 700
	}
	if copied < 60_000 || copied > 60_000+1000+2*700 { // a second was saved up, and the last is not over
		t.Errorf("%d bytes in a minute at 1000 a second", copied)
	}
	now = now.Add(time.Hour)
	th.count(3000, now) // of which a second is saved
	if wait := th.wait(now); wait != 2*time.Second {
		t.Errorf("after an hour of rest and 3000 bytes it waits %v", wait)
	}
	th.setRate(1000)
	if th.wait(now) == 0 {
		t.Error("the same rate again forgets what was counted")
	}
	th.setRate(unlimited)
	th.count(math.MaxInt32, now)
	if th.wait(now) != 0 {
		t.Error("without a limit it waits")
	}
}

func TestReplicaList(t *testing.T) {
	for _, c := range []struct {
		pairs []string
		has   bool
	}{
		{nil, false}, {[]string{"*"}, true}, {[]string{"3:1", " 2:7 "}, true}, {[]string{"7:2", "2:8"}, false}, {[]string{"*", "7:2"}, false}, {[]string{""}, false},
	} {
		if got := replicaList(c.pairs).Has(2, 7); got != c.has {
			t.Errorf("%q has partition 2 of broker 7: %v", c.pairs, got)
		}
	}
}
