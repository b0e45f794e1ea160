package partition

import (
	"errors"
	"fmt"
)

var (
	// ErrNotLeader: this broker does not lead the partition, no longer leads it, or not in the epoch that was asked for.
	ErrNotLeader = errors.New("not the leader of the partition")
	// ErrFencedLeaderEpoch: the caller knows an older leader epoch than this replica (KIP-320).
	ErrFencedLeaderEpoch = errors.New("the leader epoch is older than the partition's")
	// ErrUnknownLeaderEpoch: the caller knows a newer leader epoch than this replica (KIP-320).
	ErrUnknownLeaderEpoch = errors.New("the leader epoch is newer than the partition's")
	// ErrNotEnoughReplicas: fewer replicas are in sync than min.insync.replicas asks for; nothing was appended.
	ErrNotEnoughReplicas = errors.New("too few replicas are in sync")
	// ErrNotEnoughReplicasAfterAppend: the records were appended, and too few replicas are in sync to make them safe.
	ErrNotEnoughReplicasAfterAppend = errors.New("too few replicas are in sync since the records were appended")
	// ErrOffsetOutOfRange: there is no such offset between the log's start and its end.
	ErrOffsetOutOfRange = errors.New("the offset is out of the log's range")
	// ErrOffsetNotAvailable: a new leader does not know yet how far its log is committed (KIP-207), or a follower does not
	// have what the leader may have (KIP-392).
	ErrOffsetNotAvailable = errors.New("the leader does not know its high watermark yet")
	// ErrTimeout: the records were appended, and not safe in the time that was given.
	ErrTimeout = errors.New("the records are not yet as safe as asked for")
	// ErrNotForgotten: the records that a replica has lost are still counted on.
	ErrNotForgotten = errors.New("the replica is still counted on")
	// ErrUnknownReplica: a fetch says that it comes from a replica which is not assigned to the partition.
	ErrUnknownReplica = errors.New("the fetching replica is not assigned to the partition")
)

// OfflineError says that the replica's log failed, or could not be opened, and why.
type OfflineError struct{ Reason error }

func (e *OfflineError) Error() string { return fmt.Sprintf("the replica is offline: %v", e.Reason) }

// Unwrap returns the reason.
func (e *OfflineError) Unwrap() error { return e.Reason }
