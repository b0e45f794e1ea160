package config

import "fmt"

// Kafka's codes of the errors that this package makes.
const (
	CodeInvalidConfig  int16 = 40
	CodeInvalidRequest int16 = 42
)

// Error is the answer to a client that asked for what cannot be.
type Error struct {
	Code    int16
	Message string
}

func (e *Error) Error() string { return e.Message }

func refuse(format string, args ...any) *Error {
	return &Error{Code: CodeInvalidConfig, Message: fmt.Sprintf(format, args...)}
}

func badRequest(format string, args ...any) *Error {
	return &Error{Code: CodeInvalidRequest, Message: fmt.Sprintf(format, args...)}
}

// invalid is what Kafka's ConfigException says.
func invalid(name, part, why string) *Error {
	return refuse("Invalid value %s for configuration %s: %s", part, name, why)
}
