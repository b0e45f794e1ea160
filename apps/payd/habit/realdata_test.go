package habit

import (
	"bufio"
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/logbahn/logbahn/apps/payd/trip"
)

// replay feeds a data set that is kept beside the repository to one driver, or skips saying so.
func replay(t *testing.T, name string, format trip.Format) (d *Driver, events []Event, refused map[trip.Reason]int) {
	t.Helper()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(root, "..", "shared", "data", name))
	if err != nil {
		t.Skipf("skipped: the data set %s is not beside the repository", name)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	rows := bufio.NewScanner(z)
	rows.Scan() // the header
	profile := Standard(time.UTC).For(string(format))
	cleaner := trip.NewCleaner()
	refused = make(map[trip.Reason]int)
	for rows.Scan() {
		r, err := trip.Parse(format, rows.Bytes(), trip.LineFormat{})
		if err == nil {
			_, err = cleaner.Check(&r, r.TimeMs)
		}
		if err != nil {
			refused[err.(*trip.Rejection).Reason]++
			continue
		}
		if d == nil {
			d = NewDriver(r.Device)
		}
		_, over := d.Push(r, profile)
		events = append(events, over...)
	}
	return d, append(events, d.Finish(profile)...), refused
}

func TestDrivePlotRHarshRows(t *testing.T) {
	d, events, refused := replay(t, "driveplotr-nds/nds_data.csv.gz", trip.FormatDrivePlotR)
	if d.Detect.Harsh != 128 {
		t.Errorf("%d harsh rows instead of 128", d.Detect.Harsh)
	}
	if d.Counters.Drives != 28 {
		t.Errorf("%d drives instead of 28", d.Counters.Drives)
	}
	if len(refused) != 0 || d.Counters.Records != 23187 {
		t.Errorf("%d records, refused %v", d.Counters.Records, refused)
	}
	kinds := map[Kind]int{}
	for _, e := range events {
		kinds[e.Kind]++
	}
	t.Logf("%d harsh rows are %v events", d.Detect.Harsh, kinds)
}

// The rows found must be those that the box itself flagged, which are not read when finding them.
func TestDrivePlotRHarshRowsAreTheFlaggedOnes(t *testing.T) {
	f, err := os.Open("../../../../shared/data/driveplotr-nds/nds_data.csv.gz")
	if err != nil {
		t.Skip("skipped: the data set driveplotr-nds is not beside the repository")
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	profile := Standard(time.UTC).For(string(trip.FormatDrivePlotR))
	var detector Detector
	rows := bufio.NewScanner(z)
	rows.Scan()
	for rows.Scan() {
		r, err := trip.ParseDrivePlotR(rows.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		before := detector.Harsh
		detector.Next(&r, 1, &profile)
		if found, flagged := detector.Harsh > before, accelEvent(rows.Text()) != "NA"; found != flagged {
			t.Errorf("found %v, flagged %v: %s", found, flagged, rows.Text())
		}
	}
}

// accelEvent returns the 19th column.
func accelEvent(row string) string {
	start, column := 0, 1
	for i := range row {
		if row[i] != ',' {
			continue
		}
		if column == 19 {
			return row[start:i]
		}
		start, column = i+1, column+1
	}
	return ""
}

func TestNDSBRSpeeding(t *testing.T) {
	for _, c := range []struct {
		file                 string
		over, limit, invalid int
	}{
		{"nds-br/driver_A.csv.gz", 470, 3282, 0},
		{"nds-br/driver_B.csv.gz", 577, 5386, 3351},
	} {
		d, _, refused := replay(t, c.file, trip.FormatNDSBR)
		if int(d.Detect.OverRows) != c.over || int(d.Detect.Limited) != c.limit || refused[trip.ReasonInvalidTime] != c.invalid {
			t.Errorf("%s: %d over of %d, refused %v; want %d of %d, %d with an invalid time",
				c.file, d.Detect.OverRows, d.Detect.Limited, refused, c.over, c.limit, c.invalid)
		}
		sum, days, _ := d.Window(Standard(time.UTC).For("nds-br"))
		t.Logf("%s: %+v over %d days", c.file, sum, days)
	}
}
