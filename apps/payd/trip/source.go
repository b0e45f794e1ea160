package trip

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// Format names how a source writes its messages.
type Format string

// The formats. FormatAuto tells a JSON record from a text line by its first byte.
const (
	FormatAuto       Format = ""
	FormatNDSBR      Format = "nds-br"
	FormatDrivePlotR Format = "driveplotr"
)

// Parse reads one message of the format. lines is used for text lines only.
func Parse(f Format, raw []byte, lines LineFormat) (Record, error) {
	switch f {
	case FormatNDSBR:
		return ParseNDSBR(raw)
	case FormatDrivePlotR:
		return ParseDrivePlotR(raw)
	case FormatAuto:
	default:
		return Record{}, reject(ReasonMalformed, "format %.40q is not known", f)
	}
	if raw = bytes.TrimSpace(raw); len(raw) > 0 && raw[0] == '{' {
		return ParseJSON(raw)
	}
	return ParseLine(raw, lines)
}

// columns gives the fields of a row by the names of its header.
type columns map[string]int

func columnsOf(header []string) columns {
	c := make(columns, len(header))
	for i, name := range header {
		c[name] = i
	}
	return c
}

// row is one line of a table whose columns are known. The first value that cannot be read is kept in err.
type row struct {
	columns columns
	fields  []string
	decimal func(string) string
	err     error
}

func (r *row) text(name string) string { return r.fields[r.columns[name]] }

// number reads a field; absent values (empty, NA, NPI) are nil.
func (r *row) number(name string) *float64 {
	s := r.text(name)
	if s == "" || s == "NA" || s == "NPI" {
		return nil
	}
	v, err := strconv.ParseFloat(r.decimal(s), 64)
	if err != nil || !finite(v) {
		if r.err == nil {
			r.err = reject(ReasonValue, "%s %.40q", name, s)
		}
		return nil
	}
	return &v
}

func scaled(v *float64, scale func(float64) float64) *float64 {
	if v == nil {
		return nil
	}
	return new(scale(*v))
}

// DeviceOf returns the device of a message that may be unfit otherwise, or "" where even that is not legible.
func DeviceOf(f Format, raw []byte) string {
	var id string
	switch f {
	case FormatNDSBR:
		driver, _, _ := strings.Cut(string(raw), ";")
		id = ndsbrDevice(driver)
	case FormatDrivePlotR:
		id = drivePlotRDevice
	default:
		id = legibleDevice(bytes.TrimSpace(raw))
	}
	if !validDevice(id) {
		return ""
	}
	return id
}

func legibleDevice(raw []byte) string {
	if len(raw) == 0 || len(raw) > MessageBytesMax {
		return ""
	}
	if raw[0] != '{' {
		first, _, _ := strings.Cut(string(raw), " ")
		return first
	}
	var in struct {
		Device string `json:"device_id"`
	}
	if json.Unmarshal(raw, &in) != nil {
		return ""
	}
	return in.Device
}
