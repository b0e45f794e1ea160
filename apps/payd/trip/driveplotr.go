package trip

import (
	"strconv"
	"strings"
)

// DrivePlotRHeader is the header of the black-box rows of hardtme/DrivePlotR: 1 Hz, one car, peak accelerations in g.
const DrivePlotRHeader = "drive,time_utc,time_cst,gps_long,gps_lat,gps_elevation,gps_heading,gps_fix,gps_sats,gps_pdop," +
	"gps_hdop,gps_vdop,speed_mph,speed_source,distance_miles,accel_x,accel_y,accel_z,accel_event,accel_event_cat," +
	"gyro_x,gyro_y,gyro_z,gyro_heading,grav_x,grav_y,grav_z,roll,pitch,engine_rpm,engine_throttle," +
	"cumulative_drive_dist_mi,gps_minute,gps_heading_raw,gyro_heading_raw"

// drivePlotRDevice is the one car of the data set.
const drivePlotRDevice = "driveplotr-1"

var drivePlotRColumns = columnsOf(strings.Split(DrivePlotRHeader, ","))

// ParseDrivePlotR reads one row. accel_x is along the car and accel_y across it (their correlation with the change of
// speed and of heading says so). Headings may be negative. The odometer starts at each drive. accel_event, the box's own flag, is not read.
func ParseDrivePlotR(raw []byte) (Record, error) {
	row, err := splitRow(raw, ",", drivePlotRColumns)
	if err != nil {
		return Record{}, err
	}
	seconds, err := strconv.ParseInt(row.text("time_utc"), 10, 64)
	if err != nil || seconds < 0 || seconds > yearMsMax/1000 {
		return Record{}, reject(ReasonTime, "time_utc %.40q", row.text("time_utc"))
	}
	miles := func(v float64) float64 { return v * metresPerMile }
	r := Record{
		Version: Version, Device: drivePlotRDevice, TimeMs: seconds * 1000,
		Lat: row.number("gps_lat"), Lon: row.number("gps_long"), AltM: row.number("gps_elevation"),
		HeadingDeg: scaled(row.number("gps_heading"), turn), HDOP: row.number("gps_hdop"),
		AccLong: scaled(row.number("accel_x"), G), AccLat: scaled(row.number("accel_y"), G),
		OdometerM: scaled(row.number("cumulative_drive_dist_mi"), miles),
		Drive:     row.text("drive"), Source: string(FormatDrivePlotR),
	}
	if sats := row.number("gps_sats"); sats != nil && within(*sats, 0, 1000) {
		r.Sats = new(int(*sats))
	}
	return finish(r, row, scaled(row.number("speed_mph"), Mph))
}
