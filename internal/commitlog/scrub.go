package commitlog

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Scrubbing reads what nobody reads: the closed segments, batch by batch, with their checksums. A disk may damage what lies
// on it; while other replicas have the records that is mended, so it is better found early than by the reader who needs
// them when the others are gone. The scrubber is slow on purpose: it shares the disk with those who wait for it.

const (
	scrubPassLeast  = time.Hour   // from the beginning of one pass to that of the next
	scrubStart      = time.Minute // until the first
	scrubBytesAhead = 256 << 10   // read before each pause
)

// runScrubber is the goroutine.
func (d *Dir) runScrubber() {
	for wait := scrubStart; d.pause(wait); {
		begin := d.cfg.Monotonic()
		if !d.scrub(d.pause) {
			return
		}
		wait = max(scrubPassLeast-(d.cfg.Monotonic()-begin), 0)
	}
}

// pause returns false when the directory is closed before the time is over.
func (d *Dir) pause(t time.Duration) bool {
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-d.stop:
		return false
	}
}

// scrub reads the closed segments of all logs, and returns false when a pause says that it is to end.
func (d *Dir) scrub(pause func(time.Duration) bool) bool {
	logs := d.openLogs()
	sortLogs(logs)
	for _, l := range logs {
		segments := *l.segments.Load()
		for _, s := range segments[:len(segments)-1] {
			if l.Err() != nil || l.isClosed() {
				break
			}
			err := l.scrub(s, pause)
			if errors.Is(err, errScrubEnds) {
				return false
			}
			if err != nil && l.scrubbed(s, err) {
				break // one is enough
			}
		}
	}
	return true
}

var errScrubEnds = errors.New("the scrubber ends")

// scrub reads a segment in steps, between which the file is let go.
func (l *Log) scrub(s *segment, pause func(time.Duration) bool) error {
	rate := float64(l.dir.cfg.ScrubBytesPerSecond)
	for at := int64(0); at < s.bytes(); {
		next, err := s.checkFrom(at, scrubBytesAhead, *l.epochs.Load())
		if err != nil {
			return err
		}
		if !pause(time.Duration(float64(next-at) / rate * float64(time.Second))) {
			return errScrubEnds
		}
		at = next
	}
	return nil
}

// checkFrom checks the batches from position on, so many bytes of them and at least one batch, and returns where it has got to.
// The epochs are those of the log: a batch's own lies outside of its checksum.
func (s *segment) checkFrom(position, bytesMax int64, epochs []epochEntry) (int64, error) {
	w, err := s.walk()
	if err != nil {
		return position, err
	}
	defer w.close()
	w.checked = true
	size := s.bytes()
	for end := position + bytesMax; position < min(end, size); {
		h, err := w.header(position, size)
		if err != nil {
			return position, err
		}
		if !epochFits(epochs, &h) {
			return position, w.corrupt(position, fmt.Sprintf("leader epoch %d", h.LeaderEpoch))
		}
		position += int64(h.Size())
	}
	return position, nil
}

// scrubbed handles what checking a segment has failed with, and reports whether the log has corrupt records. A segment that
// has left the log meanwhile says nothing of it; and a disk that cannot read says so to whoever reads next.
func (l *Log) scrubbed(s *segment, err error) bool {
	switch {
	case errors.Is(err, errGone), errors.Is(err, ErrClosed), !slices.Contains(*l.segments.Load(), s):
		return false
	case !isCorruption(err):
		l.log.Warn("segment not scrubbed", "partition", l.tp.String(), "file", s.file.name, "err", err)
		return false
	}
	l.log.Error("the scrubber has found corrupt records", "partition", l.tp.String(), "err", err)
	if l.hooks.Rotten != nil {
		l.hooks.Rotten(err)
	}
	return true
}

// Condemn lets the log fail for what was found in it.
func (l *Log) Condemn(err error) { _ = l.fail(err) }
