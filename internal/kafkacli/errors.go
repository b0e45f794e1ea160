package kafkacli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
)

// brokerError is a refusal by the broker: its code, and its own words or else Kafka's for the code.
type brokerError struct {
	code    int16
	message string
}

func (e *brokerError) Error() string { return e.message }

// Unwrap returns the code as franz-go has it.
func (e *brokerError) Unwrap() error { return kerr.ErrorForCode(e.code) }

// refusal returns a brokerError, nil for code 0.
func refusal(code int16, message *string) error {
	if code == 0 {
		return nil
	}
	if message != nil && *message != "" {
		return &brokerError{code, *message}
	}
	return &brokerError{code, describe(code)}
}

// describe returns Kafka's words for a code.
func describe(code int16) string {
	var known *kerr.Error
	if errors.As(kerr.ErrorForCode(code), &known) {
		return known.Description
	}
	return "The server experienced an unexpected error when processing the request."
}

// isRefusal tells whether err is the broker's, with that code.
func isRefusal(err error, code *kerr.Error) bool {
	var refused *brokerError
	return errors.As(err, &refused) && refused.code == code.Code || errors.Is(err, code)
}

// exceptions are the classes whose names do not follow from the code's.
var exceptions = map[int16]string{
	kerr.UnknownServerError.Code:    "UnknownServerException",
	kerr.CorruptMessage.Code:        "CorruptRecordException",
	kerr.MessageTooLarge.Code:       "RecordTooLargeException",
	kerr.RequestTimedOut.Code:       "TimeoutException",
	kerr.InvalidTopicException.Code: "InvalidTopicException",
	kerr.TopicAlreadyExists.Code:    "TopicExistsException",
	kerr.InvalidConfig.Code:         "InvalidConfigurationException",
	kerr.NonEmptyGroup.Code:         "GroupNotEmptyException",
	kerr.UnknownMemberID.Code:       "UnknownMemberIdException",
	kerr.InvalidTimestamp.Code:      "InvalidTimestampException",
}

// class returns the name of the Java exception that Kafka's clients make of an error; a few outputs show it.
func class(err error) string {
	var refused *brokerError
	if !errors.As(err, &refused) {
		return "org.apache.kafka.common.KafkaException"
	}
	if name, ok := exceptions[refused.code]; ok {
		return "org.apache.kafka.common.errors." + name
	}
	var known *kerr.Error
	if !errors.As(kerr.ErrorForCode(refused.code), &known) {
		return "org.apache.kafka.common.errors.UnknownServerException"
	}
	name := ""
	for _, word := range strings.Split(known.Message, "_") {
		name += word[:1] + strings.ToLower(word[1:])
	}
	return "org.apache.kafka.common.errors." + name + "Exception"
}

// ended tells whether a command was told to stop.
func ended(ctx context.Context) bool { return ctx.Err() != nil }

// failed is an error in the words of Kafka's tools, which begin with a capital and may end in a full stop.
type failed struct{ text string }

func (e *failed) Error() string { return e.text }

func failf(format string, args ...any) error {
	return &failed{fmt.Sprintf(format, args...)}
}
