package trip

import (
	"bufio"
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"
)

// openData opens a data set that is kept beside the repository, or skips saying so.
func openData(t *testing.T, name string) *bufio.Scanner {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for dir != filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	path := filepath.Join(dir, "..", "shared", "data", name)
	f, err := os.Open(path)
	if err != nil {
		t.Skipf("skipped: the data set %s is not beside the repository", name)
	}
	t.Cleanup(func() { f.Close() })
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return bufio.NewScanner(z)
}

func TestDrivePlotRDistance(t *testing.T) {
	rows := openData(t, "driveplotr-nds/nds_data.csv.gz")
	rows.Scan()
	if rows.Text() != DrivePlotRHeader {
		t.Fatalf("header %q", rows.Text())
	}
	var withheld, full Tracker
	var trips []*Trip
	var odometerKm float64
	last := map[string]float64{}
	for rows.Scan() {
		r, err := ParseDrivePlotR(rows.Bytes())
		if err != nil {
			t.Fatalf("%v: %s", err, rows.Text())
		}
		last[r.Drive] = *r.OdometerM
		markPosition(&r)
		full.Next(&r)
		r.OdometerM = nil
		if step := withheld.Next(&r); step.Ended != nil && !step.Dropped {
			trips = append(trips, step.Ended)
		}
	}
	if ended, dropped := withheld.Finish(); !dropped {
		trips = append(trips, ended)
	}
	var km float64
	for _, trip := range trips {
		km += trip.Metres / 1000
	}
	for _, m := range last {
		odometerKm += m / 1000
	}
	t.Logf("%d drives, %.1f km from positions alone, %.1f km by the odometer (%+.2f %%)",
		len(trips), km, odometerKm, 100*(km/odometerKm-1))
	if len(trips) != 28 {
		t.Errorf("%d drives instead of 28", len(trips))
	}
	if odometerKm < 374.75 || odometerKm > 374.85 {
		t.Errorf("the odometer sums to %.2f km instead of 374.8", odometerKm)
	}
	if km < odometerKm*0.97 || km > odometerKm*1.03 {
		t.Errorf("%.1f km from positions is more than 3 %% from %.1f", km, odometerKm)
	}
}

func TestNDSBRRows(t *testing.T) {
	for _, c := range []struct {
		file                        string
		valid, invalid, limit, over int
	}{
		{"nds-br/driver_A.csv.gz", 3623, 0, 3282, 470},
		{"nds-br/driver_B.csv.gz", 6425, 3351, 5386, 577},
	} {
		rows := openData(t, c.file)
		rows.Scan()
		if rows.Text() != NDSBRHeader {
			t.Fatalf("header %q", rows.Text())
		}
		var valid, invalid, limit, over int
		for rows.Scan() {
			r, err := ParseNDSBR(rows.Bytes())
			if err != nil {
				if reject, ok := err.(*Rejection); !ok || reject.Reason != ReasonInvalidTime {
					t.Fatalf("%v: %s", err, rows.Text())
				}
				invalid++
				continue
			}
			valid++
			if r.LimitMps != nil {
				limit++
				if r.SpeedMps > *r.LimitMps {
					over++
				}
			}
		}
		if valid != c.valid || invalid != c.invalid || limit != c.limit || over != c.over {
			t.Errorf("%s: %d valid, %d invalid, %d over of %d; want %d, %d, %d of %d",
				c.file, valid, invalid, over, limit, c.valid, c.invalid, c.over, c.limit)
		}
	}
}
