package commitlog

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/logbahn/logbahn/internal/vfs"
)

// scrubbing is a directory with a log of several closed segments, and what its scrubber says.
type scrubbing struct {
	mem    *vfs.Mem
	dir    *Dir
	log    *Log
	paused time.Duration
	found  []error
}

func newScrubbing(t *testing.T) *scrubbing {
	s := &scrubbing{mem: vfs.NewMem()}
	var err error
	s.dir, err = OpenDir(DirConfig{FS: s.mem, Path: "data", NodeID: 1, manual: true, ScrubBytesPerSecond: 1 << 20})
	must(t, err)
	s.log, err = s.dir.Open(testTP, testID, smallSegments(4096), Hooks{Rotten: func(err error) { s.found = append(s.found, err) }})
	must(t, err)
	for len(*s.log.segments.Load()) < 4 {
		mustAppend(t, s.log, batch(10, 1, nil))
	}
	must(t, s.log.Flush())
	return s
}

func (s *scrubbing) pass() bool {
	return s.dir.scrub(func(d time.Duration) bool { s.paused += d; return true })
}

// flip changes one byte of a segment where it lies.
func (s *scrubbing) flip(t *testing.T, segment int, position int64) {
	t.Helper()
	f, err := s.mem.OpenFile((*s.log.segments.Load())[segment].file.name, os.O_RDWR)
	must(t, err)
	var b [1]byte
	_, err = f.ReadAt(b[:], position)
	must(t, err)
	b[0] ^= 1
	_, err = f.WriteAt(b[:], position)
	must(t, err)
	must(t, f.Close())
}

func TestScrubberFindsRot(t *testing.T) {
	s := newScrubbing(t)
	if !s.pass() || len(s.found) > 0 || s.log.Err() != nil {
		t.Fatalf("in a log that is whole it has found %v", s.found)
	}
	var closed int64
	segments := *s.log.segments.Load()
	for _, one := range segments[:len(segments)-1] {
		closed += one.bytes()
	}
	if want := time.Duration(closed * int64(time.Second) / (1 << 20)); s.paused < want*9/10 || s.paused > want*11/10 {
		t.Errorf("%d bytes took %v, want %v", closed, s.paused, want)
	}
	s.flip(t, 1, segments[1].bytes()/2)
	if !s.pass() || len(s.found) != 1 || !errors.Is(s.found[0], ErrCorrupt) || !strings.Contains(s.found[0].Error(), segments[1].file.name) {
		t.Fatalf("it has found %v", s.found)
	}
	if s.log.Err() != nil {
		t.Errorf("the log has failed before anybody condemned it: %v", s.log.Err())
	}
	s.log.Condemn(s.found[0])
	if err := s.log.Err(); !errors.Is(err, ErrStorage) || !errors.Is(err, ErrCorrupt) {
		t.Errorf("a condemned log: %v", err)
	}
	if s.pass(); len(s.found) != 1 {
		t.Errorf("a log that has failed is read again: %v", s.found)
	}
}

// The leader epoch of a batch lies outside of its checksum.
func TestScrubberChecksEpochs(t *testing.T) {
	s := newScrubbing(t)
	s.flip(t, 0, 15) // the last byte of the first batch's
	if !s.pass() || len(s.found) != 1 || !strings.Contains(s.found[0].Error(), "leader epoch") {
		t.Fatalf("it has found %v", s.found)
	}
}

// A scrubber that is told to end does so between two steps.
func TestScrubberEnds(t *testing.T) {
	s := newScrubbing(t)
	if s.dir.scrub(func(time.Duration) bool { return false }) {
		t.Error("it went on")
	}
}

// What a segment that has been cut or deleted meanwhile looks like says nothing of the log.
func TestScrubberPassesOverWhatIsGone(t *testing.T) {
	s := newScrubbing(t)
	former := (*s.log.segments.Load())[1]
	must(t, s.log.TruncateSuffix(former.base))
	if s.log.scrubbed(former, &CorruptionError{File: former.file.name}) || len(s.found) > 0 {
		t.Errorf("it has found %v", s.found)
	}
}

// The goroutine reads, slowly, and ends with its directory.
func TestScrubberRuns(t *testing.T) {
	d, err := OpenDir(DirConfig{FS: vfs.NewMem(), Path: "data", NodeID: 1, ScrubBytesPerSecond: 1})
	must(t, err)
	must(t, d.Close())
}

func TestSetAsideLog(t *testing.T) {
	mem, d, l := newLog(t, DefaultConfig())
	aside := func() (names []string) {
		list, err := mem.List("data")
		must(t, err)
		for _, name := range list {
			if strings.HasSuffix(name, straySuffix) {
				names = append(names, name)
			}
		}
		return names
	}
	for range 3 {
		mustAppend(t, l, batch(3, 1, nil))
		must(t, l.Flush())
		l.Condemn(&CorruptionError{File: "f"})
		must(t, d.SetAsideLog(l))
		if _, err := l.Append(batch(1, 1, nil), AppendOptions{LeaderEpoch: 1}); !errors.Is(err, ErrClosed) {
			t.Fatalf("append to a log that was set aside: %v", err)
		}
		must(t, d.removeDoomed())
		if names := aside(); len(names) != 1 {
			t.Fatalf("set aside are %q, want the latest only", names)
		}
		l = openLog(t, d, DefaultConfig())
		if l.EndOffset() != 0 || l.Err() != nil {
			t.Fatalf("the next log ends at %d, %v", l.EndOffset(), l.Err())
		}
	}
	must(t, d.Close())
}
