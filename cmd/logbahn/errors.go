package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Exit codes of every command. They are part of the interface: scripts rely on them.
const (
	exitOK          = 0
	exitError       = 1   // anything that has no code of its own
	exitUsage       = 2   // the command line itself is wrong
	exitNotFound    = 3   // the topic or group that was named does not exist
	exitRefused     = 4   // the broker refuses: it exists already, is in use, is not allowed
	exitUnreachable = 5   // no broker answers, or not in time
	exitAuth        = 6   // the broker knows who asks, or not, and does not allow it
	exitPartial     = 7   // of several things that were asked for, some were done and some failed
	exitInterrupted = 130 // Ctrl-C
)

// cliError is an error with an exit code and, where there is one, the way out.
type cliError struct {
	code int
	err  error
	hint string
}

func (e *cliError) Error() string { return e.err.Error() }
func (e *cliError) Unwrap() error { return e.err }

func usageErrorf(format string, args ...any) error {
	return &cliError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

// exactArgs and minArgs are cobra's checks with the command's usage in the error and exit code 2.
func exactArgs(n int) cobra.PositionalArgs { return checkArgs(func(got int) bool { return got == n }) }
func minArgs(n int) cobra.PositionalArgs   { return checkArgs(func(got int) bool { return got >= n }) }

func checkArgs(ok func(got int) bool) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if ok(len(args)) {
			return nil
		}
		return &cliError{code: exitUsage, err: fmt.Errorf("wrong number of arguments (%d)", len(args)), hint: "usage: " + c.UseLine()}
	}
}

// outcome is the error of a command that was asked for several things: of done some came to pass, and failed are the
// errors of the others, nil ones left out.
func outcome(done int, failed ...error) error {
	err := errors.Join(failed...)
	if err == nil || done == 0 {
		return err
	}
	return &cliError{code: exitPartial, err: err, hint: hintOf(err)}
}

func exitCode(err error) int {
	var cli *cliError
	switch {
	case errors.As(err, &cli):
		return cli.code
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case isUnreachable(err):
		return exitUnreachable
	case isDenied(err):
		return exitAuth
	case isNotFound(err):
		return exitNotFound
	case isRefused(err):
		return exitRefused
	}
	return exitError
}

func hintOf(err error) string {
	var cli *cliError
	var partition *missingPartition
	switch {
	case errors.As(err, &cli):
		return cli.hint
	case errors.As(err, &partition):
		return "`logbahn topic describe " + partition.topic + "` shows its partitions"
	case isUnreachable(err):
		return "is a broker running there? `logbahn start` starts one; --brokers or LOGBAHN_BROKERS names another address"
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return "`logbahn topic list` shows the topics"
	case errors.Is(err, kerr.GroupIDNotFound):
		return "`logbahn group list` shows the groups"
	case errors.Is(err, kerr.NonEmptyGroup):
		return "stop the group's members first; `logbahn group describe` names them"
	}
	return ""
}

func isUnreachable(err error) bool {
	var network net.Error
	var dial *net.OpError
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, kgo.ErrRecordTimeout) ||
		errors.As(err, &dial) || errors.As(err, &network) && network.Timeout()
}

func isNotFound(err error) bool {
	return errors.Is(err, kerr.UnknownTopicOrPartition) || errors.Is(err, kerr.UnknownTopicID) || errors.Is(err, kerr.GroupIDNotFound)
}

func isRefused(err error) bool {
	for _, refusal := range []error{kerr.TopicAlreadyExists, kerr.NonEmptyGroup, kerr.InvalidTopicException, kerr.InvalidConfig,
		kerr.InvalidPartitions, kerr.InvalidReplicationFactor, kerr.PolicyViolation, kerr.TopicDeletionDisabled, kerr.MessageTooLarge,
		kerr.GroupSubscribedToTopic, kerr.UnknownMemberID, kerr.InvalidRequest, kerr.OffsetOutOfRange, kerr.RebalanceInProgress} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

func isDenied(err error) bool {
	for _, denial := range []error{kerr.SaslAuthenticationFailed, kerr.UnsupportedSaslMechanism, kerr.IllegalSaslState,
		kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed,
		kerr.TransactionalIDAuthorizationFailed, kerr.DelegationTokenAuthorizationFailed} {
		if errors.Is(err, denial) {
			return true
		}
	}
	return false
}
