package logdump

import (
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/logbahn/logbahn/internal/record"
)

const testdata = "../../interop/testdata/tools/dump"

// FuzzFile takes any bytes for each kind of file.
func FuzzFile(f *testing.F) {
	kinds := []string{"00000000000000000000.log", "00000000000000000000.index", "00000000000000000000.timeindex",
		"00000000000000000000.txnindex", "00000000000000000021.snapshot", "leader-epoch-checkpoint"}
	files, err := filepath.Glob(filepath.Join(testdata, "*", "*"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no files in %s: %v", testdata, err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for i := range kinds {
			f.Add(data, byte(i))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, kind byte) {
		dir := t.TempDir()
		for _, name := range []string{kinds[0], kinds[int(kind)%len(kinds)]} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, json := range []JSON{OffsetsJSON, GroupsJSON, TransactionsJSON} {
			_, _ = json(data, data)
		}
		for _, decode := range []Decoder{nil, Offsets, Transactions} {
			d := &Dumper{Out: io.Discard, Err: io.Discard, Options: Options{Contents: true, Decode: decode}}
			_ = d.File(filepath.Join(dir, kinds[int(kind)%len(kinds)]))
			d.Problems()
		}
	})
}

// TestDamage names what is wrong: a log that ends within a batch, an index that points elsewhere.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(testdata, "rides-0", name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	log, index := read("00000000000000000000.log"), read("00000000000000000000.index")
	index[3]++
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var out, problems strings.Builder
	d := &Dumper{Out: &out, Err: &problems}
	for _, name := range []string{write("00000000000000000000.log", log[:len(log)-10]), write("00000000000000000000.index", index)} {
		if err := d.File(name); err != nil {
			t.Fatal(err)
		}
	}
	d.Problems()
	if want := "Found 68 invalid bytes at the end of 00000000000000000000.log"; !strings.Contains(out.String(), want) {
		t.Errorf("no %q in\n%s", want, out.String())
	}
	if want := "Index offset: 10, log offset: 9"; !strings.Contains(problems.String(), want) {
		t.Errorf("no %q in\n%s", want, problems.String())
	}
}

// TestTimeIndexBesideItsLog names what does not fit: a time that is not the batch's, an offset that no batch ends with, one
// behind the end, times that fall.
func TestTimeIndexBesideItsLog(t *testing.T) {
	dir := t.TempDir()
	var log []byte
	for i := range 4 {
		b := record.NewBuilder(record.BuilderOptions{BaseOffset: int64(10 * i)})
		for range 10 {
			b.Append(record.Record{Timestamp: int64(1000 - 10*i), Value: []byte("v")})
		}
		log = append(log, b.Bytes()...)
	}
	var index []byte
	for _, e := range []struct{ timestamp, offset int64 }{{1000, 9}, {990, 19}, {7, 29}, {970, 38}, {970, 40}} {
		index = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(index, uint64(e.timestamp)), uint32(e.offset))
	}
	name := filepath.Join(dir, "00000000000000000000")
	for suffix, data := range map[string][]byte{".log": log, ".timeindex": index} {
		if err := os.WriteFile(name+suffix, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var problems strings.Builder
	d := &Dumper{Out: io.Discard, Err: &problems}
	if err := d.File(name + ".timeindex"); err != nil {
		t.Fatal(err)
	}
	d.Problems()
	want := "Found timestamp mismatch in :" + name + ".timeindex\n  Index timestamp: 7, log timestamp: 980\n" +
		"Found out of order timestamp in :" + name + ".timeindex\n  Index timestamp: 990, Previously indexed timestamp: 1000\n" +
		"The following indexed offsets are not found in the log.\nIndexed offset: 38, found log offset: 39\nIndexed offset: 40, found log offset: -1\n"
	if problems.String() != want {
		t.Errorf("got\n%swant\n%s", problems.String(), want)
	}
}
