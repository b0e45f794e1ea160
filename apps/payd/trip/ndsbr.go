package trip

import (
	"strings"
	"time"
)

// NDSBRHeader is the header of the Brazilian naturalistic driving study's rows (pabsantos/ndsbr): 1 Hz, semicolons,
// decimal commas, the posted limit in km/h, and NPI where nothing is known.
const NDSBRHeader = "DRIVER;LONG;LAT;DAY;DAY_CORRIGIDO;03:00:00;TRIP;ID;PR;H;M;S;TIME_ACUM;SPD_MPH;SPD_KMH;ACEL_MS2;" +
	"HEADING;ALTITUDE_FT;VALID_TIME;TIMESTAMP_GPS;CPOOL;CPOOLING_CHECKED;WSB;UMP_YN;UMP;PICK_UP;ACTION;GPS_FILE;" +
	"CIDADE;BAIRRO;NOME_RUA;HIERARQUIA_CWB;HIERARQUIA_CTB;LIMITE_VEL"

var ndsbrColumns = columnsOf(strings.Split(NDSBRHeader, ";"))

// ParseNDSBR reads one row. The column named 03:00:00 is the clock in UTC, DAY_CORRIGIDO the day in Brazil (UTC-3), so
// that a clock before three belongs to the evening before. Rows whose VALID_TIME is not Yes are refused with
// [ReasonInvalidTime]. ALTITUDE_FT has lost its decimal point in the published file and is not read.
func ParseNDSBR(raw []byte) (Record, error) {
	row, err := splitRow(raw, ";", ndsbrColumns)
	if err != nil {
		return Record{}, err
	}
	row.decimal = func(s string) string { return strings.Replace(s, ",", ".", 1) }
	if row.text("VALID_TIME") != "Yes" {
		return Record{}, reject(ReasonInvalidTime, "VALID_TIME is %.20q", row.text("VALID_TIME"))
	}
	at, err := ndsbrTime(row.text("DAY_CORRIGIDO"), row.text("03:00:00"))
	if err != nil {
		return Record{}, err
	}
	speed := row.number("SPD_KMH")
	r := Record{
		Version: Version, Device: ndsbrDevice(row.text("DRIVER")), TimeMs: at.UnixMilli(),
		Lat: row.number("LAT"), Lon: row.number("LONG"), HeadingDeg: row.number("HEADING"),
		LimitMps: scaled(row.number("LIMITE_VEL"), Kmh),
		Drive:    row.text("TRIP"), Source: string(FormatNDSBR),
	}
	return finish(r, row, scaled(speed, Kmh))
}

// finish adds the speed, forgets half a position, and validates.
func finish(r Record, row *row, speed *float64) (Record, error) {
	if row.err != nil {
		return Record{}, row.err
	}
	if speed == nil {
		return Record{}, reject(ReasonSpeed, "no speed")
	}
	r.SpeedMps = *speed
	if r.Lat == nil || r.Lon == nil {
		r.Lat, r.Lon = nil, nil
	}
	if err := r.Validate(); err != nil {
		return Record{}, err
	}
	return r, nil
}

func ndsbrDevice(driver string) string { return "nds-br-" + driver }

func ndsbrTime(day, clock string) (time.Time, error) {
	at, err := time.Parse("2/1/2006 15:04:05", day+" "+clock)
	if err != nil {
		return time.Time{}, reject(ReasonTime, "%.40q %.40q", day, clock)
	}
	if at.Hour() < 3 {
		at = at.AddDate(0, 0, 1)
	}
	return at, nil
}

func splitRow(raw []byte, separator string, columns columns) (*row, error) {
	if len(raw) > MessageBytesMax {
		return nil, reject(ReasonTooLarge, "%d bytes", len(raw))
	}
	fields := strings.Split(strings.TrimRight(string(raw), "\r\n"), separator)
	if len(fields) != len(columns) {
		return nil, reject(ReasonMalformed, "%d columns instead of %d", len(fields), len(columns))
	}
	return &row{columns: columns, fields: fields, decimal: func(s string) string { return s }}, nil
}
