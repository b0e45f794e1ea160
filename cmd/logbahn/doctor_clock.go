package main

import (
	"context"
	"fmt"
	"time"
)

// clockOffMax is how far the clocks may be apart before it is worth telling.
const clockOffMax = 2 * time.Second

// clock compares the broker's clock with this machine's: the leader of the quorum says what time it is when it is asked
// how far it is.
func (d *doctor) clock(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, doctorPatience)
	defer cancel()
	asked := time.Now()
	q, err := quorumOf(ctx, d.atSeed())
	took := time.Since(asked)
	if err != nil {
		d.skip("clock", "the broker does not tell: %v", plainly(err))
		return
	}
	for _, m := range q.Nodes {
		if m.Role == "leader" && m.CaughtUp > 0 {
			d.compare(time.UnixMilli(m.CaughtUp).Sub(asked.Add(took/2)), took)
			return
		}
	}
	d.skip("clock", "the broker does not tell its time")
}

// compare judges how far the broker's clock is ahead, give or take the time that the question took.
func (d *doctor) compare(ahead, took time.Duration) {
	if ahead.Abs() <= clockOffMax+took {
		d.ok("clock", "within %v of this machine's", max(ahead.Abs(), took, time.Millisecond).Round(time.Millisecond))
		return
	}
	which := "ahead of"
	if ahead < 0 {
		which = "behind"
	}
	d.wrong("clock", fmt.Sprintf("the broker's clock is %v %s this machine's", ahead.Abs().Round(100*time.Millisecond), which),
		"retention, lag in time and reading from a time compare timestamps that clients have set with the broker's clock",
		"let both machines keep time: timedatectl set-ntp true, or chronyd")
}
