package commitlog

import (
	"errors"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/logbahn/logbahn/internal/vfs"
)

// damages are what may happen to a file.
var damages = map[string]func(t *testing.T, mem *vfs.Mem, name string, rng *rand.Rand){
	"well":    func(*testing.T, *vfs.Mem, string, *rand.Rand) {},
	"removed": func(t *testing.T, mem *vfs.Mem, name string, _ *rand.Rand) { must(t, mem.Remove(name)) },
	"emptied": func(t *testing.T, mem *vfs.Mem, name string, _ *rand.Rand) {
		must(t, vfs.WriteFileAtomic(mem, name, nil))
	},
	"flipped": func(t *testing.T, mem *vfs.Mem, name string, rng *rand.Rand) { must(t, flipBit(mem, name, rng)) },
	"zeroed": func(t *testing.T, mem *vfs.Mem, name string, _ *rand.Rand) {
		b, err := vfs.ReadFile(mem, name, 1<<20)
		must(t, err)
		must(t, vfs.WriteFileAtomic(mem, name, make([]byte, len(b))))
	},
}

// checkpointedLog returns a directory after a kill: a log of two segments, checkpointed to its end, and another one.
func checkpointedLog(t *testing.T) *vfs.Mem {
	t.Helper()
	mem := vfs.NewMem()
	d := openDir(t, mem)
	l := openLog(t, d, smallSegments(1000))
	for range 10 {
		mustAppend(t, l, batch(3, 1, nil))
		must(t, l.Flush())
	}
	other, err := d.Open(TopicPartition{"zone", 0}, testID, DefaultConfig(), Hooks{})
	must(t, err)
	mustAppend(t, other, batch(1, 1, nil))
	must(t, other.Flush())
	must(t, d.checkpoint(true))
	return mem.Kill()
}

// TestDamagedRecoveryPoints damages one of the two files that hold the recovery points, or both, and a batch in the middle
// of a log. What was acknowledged must never be cut off.
func TestDamagedRecoveryPoints(t *testing.T) {
	for kafkas, damageKafkas := range damages {
		for witness, damageWitness := range damages {
			for seed := range uint64(20) {
				rng := rand.New(rand.NewPCG(seed, 1))
				mem := checkpointedLog(t)
				damageKafkas(t, mem, path.Join("data", recoveryFile), rng)
				damageWitness(t, mem, path.Join("data", witnessFile), rng)
				// Kafka's file has no checksum: alone it is believed.
				rotten := seed%2 == 0 && (kafkas != "flipped" || witness == "well")
				if rotten {
					must(t, flipBit(mem, segmentFile(path.Join("data", testTP.String()), 0, logSuffix), rng))
				}
				for range 3 {
					d := openDir(t, mem)
					l, err := d.Open(testTP, testID, smallSegments(1000), Hooks{})
					if err == nil && l.EndOffset() != 30 {
						t.Fatalf("%s, witness %s, seed %d: the log ends at %d of 30", kafkas, witness, seed, l.EndOffset())
					}
					if err != nil {
						refusedAs(t, err, ErrCorrupt)
					}
					if !rotten && witness == "well" && kafkas != "flipped" {
						must(t, err)
					}
					must(t, d.checkpoint(true))
					mem = mem.Kill()
				}
			}
		}
	}
}

// TestDoubt loses both files. A torn end is not cut off then, not even after another start, until the log is given up.
func TestDoubt(t *testing.T) {
	mem := checkpointedLog(t)
	must(t, mem.Remove(path.Join("data", recoveryFile)))
	must(t, mem.Remove(path.Join("data", witnessFile)))
	folder := path.Join("data", testTP.String())
	names, err := mem.List(folder)
	must(t, err)
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, logSuffix) })
	tail := path.Join(folder, names[len(names)-1])
	b, err := vfs.ReadFile(mem, tail, 1<<20)
	must(t, err)
	must(t, vfs.WriteFileAtomic(mem, tail, append(slices.Clone(b), b[:70]...)))

	for range 3 {
		d := openDir(t, mem)
		if _, err := d.Open(testTP, testID, smallSegments(1000), Hooks{}); !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
		other, err := d.Open(TopicPartition{"zone", 0}, testID, DefaultConfig(), Hooks{})
		must(t, err)
		mustAppend(t, other, batch(1, 1, nil))
		must(t, other.Flush())
		must(t, d.checkpoint(true))
		mem = mem.Kill()
	}
	accepted := vfs.NewMem() // somebody takes the loss upon himself
	must(t, copyTree(accepted, mem, "data", new([]string)))
	must(t, accepted.Remove(path.Join("data", witnessFile)))
	if l := openLog(t, openDir(t, accepted), smallSegments(1000)); l.EndOffset() != 30 {
		t.Fatalf("the log ends at %d", l.EndOffset())
	}

	d := openDir(t, mem)
	must(t, d.SetAside(testTP))
	l := openLog(t, d, DefaultConfig())
	mustAppend(t, l, batch(3, 1, nil))
	must(t, l.Flush())
	if len(d.recovery.doubt) > 1 { // "zone" has not been opened this time
		t.Fatal(d.recovery.doubt)
	}
	l = openLog(t, openDir(t, mem.Crash(1)), DefaultConfig())
	if l.EndOffset() != 3 {
		t.Fatalf("the log ends at %d", l.EndOffset())
	}
}

func FuzzWitness(f *testing.F) {
	f.Add(encodeWitness(checkpoint{testTP: 7, {"zone", 1}: doubtful}))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeWitness(b)
		if err != nil {
			refusedAs(t, err, ErrCorrupt)
			return
		}
		if again, err := decodeWitness(encodeWitness(c)); err != nil || len(again) != len(c) {
			t.Fatalf("%q became %q, %v", b, encodeWitness(c), err)
		}
	})
}
