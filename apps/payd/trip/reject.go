package trip

import "fmt"

// Reason is a stable code for why a message was refused; it is counted, shown, and written into dead letters.
type Reason string

// The reasons, in the order in which the checks run.
const (
	ReasonTooLarge    Reason = "too-large"
	ReasonMalformed   Reason = "malformed"
	ReasonVersion     Reason = "unknown-version"
	ReasonUnset       Reason = "unit-or-zone-unset" // a text line, and nobody said its unit and zone
	ReasonDevice      Reason = "bad-device-id"
	ReasonTime        Reason = "bad-time"
	ReasonInvalidTime Reason = "time-marked-invalid" // the device itself says that its clock was not set
	ReasonSpeed       Reason = "bad-speed"
	ReasonPosition    Reason = "bad-position"
	ReasonValue       Reason = "bad-value"
	ReasonFuture      Reason = "future"
	ReasonConflict    Reason = "conflict" // same device and time, other content
	ReasonLate        Reason = "late"
)

// Reasons lists every reason and what it tells a person.
var Reasons = []struct {
	Reason Reason
	Text   string
}{
	{ReasonTooLarge, "longer than 64 KiB"},
	{ReasonMalformed, "neither a record nor a line"},
	{ReasonVersion, "record version not known"},
	{ReasonUnset, "text line, but its speed unit and time zone are not configured"},
	{ReasonDevice, "no usable device id"},
	{ReasonTime, "no usable time"},
	{ReasonInvalidTime, "device marks its own clock as not valid"},
	{ReasonSpeed, "speed missing or impossible"},
	{ReasonPosition, "position impossible"},
	{ReasonValue, "a sensor value is impossible"},
	{ReasonFuture, "more than 24 hours ahead"},
	{ReasonConflict, "same device and time, other content"},
	{ReasonLate, "came after its place in the drive was closed"},
}

// Rejection is the error of a message that cannot be used.
type Rejection struct {
	Reason Reason
	Detail string
}

func (r *Rejection) Error() string { return fmt.Sprintf("%s: %s", r.Reason, r.Detail) }

func reject(reason Reason, format string, args ...any) error {
	return &Rejection{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}
