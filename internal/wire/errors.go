package wire

import "strconv"

// Error is a Kafka error code. As a Go error it carries its name and what it means; [None] is not to be returned as one.
type Error int16

// The codes of Kafka 4.4. Names are Kafka's.
const (
	UnknownServerError                     Error = -1
	None                                   Error = 0
	OffsetOutOfRange                       Error = 1
	CorruptMessage                         Error = 2
	UnknownTopicOrPartition                Error = 3
	InvalidFetchSize                       Error = 4
	LeaderNotAvailable                     Error = 5
	NotLeaderOrFollower                    Error = 6
	RequestTimedOut                        Error = 7
	BrokerNotAvailable                     Error = 8
	ReplicaNotAvailable                    Error = 9
	MessageTooLarge                        Error = 10
	StaleControllerEpoch                   Error = 11
	OffsetMetadataTooLarge                 Error = 12
	NetworkException                       Error = 13
	CoordinatorLoadInProgress              Error = 14
	CoordinatorNotAvailable                Error = 15
	NotCoordinator                         Error = 16
	InvalidTopicException                  Error = 17
	RecordListTooLarge                     Error = 18
	NotEnoughReplicas                      Error = 19
	NotEnoughReplicasAfterAppend           Error = 20
	InvalidRequiredAcks                    Error = 21
	IllegalGeneration                      Error = 22
	InconsistentGroupProtocol              Error = 23
	InvalidGroupID                         Error = 24
	UnknownMemberID                        Error = 25
	InvalidSessionTimeout                  Error = 26
	RebalanceInProgress                    Error = 27
	InvalidCommitOffsetSize                Error = 28
	TopicAuthorizationFailed               Error = 29
	GroupAuthorizationFailed               Error = 30
	ClusterAuthorizationFailed             Error = 31
	InvalidTimestamp                       Error = 32
	UnsupportedSASLMechanism               Error = 33
	IllegalSASLState                       Error = 34
	UnsupportedVersion                     Error = 35
	TopicAlreadyExists                     Error = 36
	InvalidPartitions                      Error = 37
	InvalidReplicationFactor               Error = 38
	InvalidReplicaAssignment               Error = 39
	InvalidConfig                          Error = 40
	NotController                          Error = 41
	InvalidRequest                         Error = 42
	UnsupportedForMessageFormat            Error = 43
	PolicyViolation                        Error = 44
	OutOfOrderSequenceNumber               Error = 45
	DuplicateSequenceNumber                Error = 46
	InvalidProducerEpoch                   Error = 47
	InvalidTxnState                        Error = 48
	InvalidProducerIDMapping               Error = 49
	InvalidTransactionTimeout              Error = 50
	ConcurrentTransactions                 Error = 51
	TransactionCoordinatorFenced           Error = 52
	TransactionalIDAuthorizationFailed     Error = 53
	SecurityDisabled                       Error = 54
	OperationNotAttempted                  Error = 55
	KafkaStorageError                      Error = 56
	LogDirNotFound                         Error = 57
	SASLAuthenticationFailed               Error = 58
	UnknownProducerID                      Error = 59
	ReassignmentInProgress                 Error = 60
	DelegationTokenAuthDisabled            Error = 61
	DelegationTokenNotFound                Error = 62
	DelegationTokenOwnerMismatch           Error = 63
	DelegationTokenRequestNotAllowed       Error = 64
	DelegationTokenAuthorizationFailed     Error = 65
	DelegationTokenExpired                 Error = 66
	InvalidPrincipalType                   Error = 67
	NonEmptyGroup                          Error = 68
	GroupIDNotFound                        Error = 69
	FetchSessionIDNotFound                 Error = 70
	InvalidFetchSessionEpoch               Error = 71
	ListenerNotFound                       Error = 72
	TopicDeletionDisabled                  Error = 73
	FencedLeaderEpoch                      Error = 74
	UnknownLeaderEpoch                     Error = 75
	UnsupportedCompressionType             Error = 76
	StaleBrokerEpoch                       Error = 77
	OffsetNotAvailable                     Error = 78
	MemberIDRequired                       Error = 79
	PreferredLeaderNotAvailable            Error = 80
	GroupMaxSizeReached                    Error = 81
	FencedInstanceID                       Error = 82
	EligibleLeadersNotAvailable            Error = 83
	ElectionNotNeeded                      Error = 84
	NoReassignmentInProgress               Error = 85
	GroupSubscribedToTopic                 Error = 86
	InvalidRecord                          Error = 87
	UnstableOffsetCommit                   Error = 88
	ThrottlingQuotaExceeded                Error = 89
	ProducerFenced                         Error = 90
	ResourceNotFound                       Error = 91
	DuplicateResource                      Error = 92
	UnacceptableCredential                 Error = 93
	InconsistentVoterSet                   Error = 94
	InvalidUpdateVersion                   Error = 95
	FeatureUpdateFailed                    Error = 96
	PrincipalDeserializationFailure        Error = 97
	SnapshotNotFound                       Error = 98
	PositionOutOfRange                     Error = 99
	UnknownTopicID                         Error = 100
	DuplicateBrokerRegistration            Error = 101
	BrokerIDNotRegistered                  Error = 102
	InconsistentTopicID                    Error = 103
	InconsistentClusterID                  Error = 104
	TransactionalIDNotFound                Error = 105
	FetchSessionTopicIDError               Error = 106
	IneligibleReplica                      Error = 107
	NewLeaderElected                       Error = 108
	OffsetMovedToTieredStorage             Error = 109
	FencedMemberEpoch                      Error = 110
	UnreleasedInstanceID                   Error = 111
	UnsupportedAssignor                    Error = 112
	StaleMemberEpoch                       Error = 113
	MismatchedEndpointType                 Error = 114
	UnsupportedEndpointType                Error = 115
	UnknownControllerID                    Error = 116
	UnknownSubscriptionID                  Error = 117
	TelemetryTooLarge                      Error = 118
	InvalidRegistration                    Error = 119
	TransactionAbortable                   Error = 120
	InvalidRecordState                     Error = 121
	ShareSessionNotFound                   Error = 122
	InvalidShareSessionEpoch               Error = 123
	FencedStateEpoch                       Error = 124
	InvalidVoterKey                        Error = 125
	DuplicateVoter                         Error = 126
	VoterNotFound                          Error = 127
	InvalidRegularExpression               Error = 128
	RebootstrapRequired                    Error = 129
	StreamsInvalidTopology                 Error = 130
	StreamsInvalidTopologyEpoch            Error = 131
	StreamsTopologyFenced                  Error = 132
	ShareSessionLimitReached               Error = 133
	GroupDeletionFailed                    Error = 134
	StreamsTopologyDescriptionUpdateFailed Error = 135
	ControllerIDNotRegistered              Error = 136
)

// Name returns Kafka's name of the code, such as NOT_LEADER_OR_FOLLOWER, or UNKNOWN(n).
func (e Error) Name() string {
	if t, ok := e.entry(); ok {
		return t.name
	}
	return "UNKNOWN(" + strconv.Itoa(int(e)) + ")"
}

// Message says in a sentence what the code means.
func (e Error) Message() string {
	t, _ := e.entry()
	return t.message
}

// Retriable tells whether clients repeat a request that failed so, as Kafka's own do.
func (e Error) Retriable() bool {
	t, _ := e.entry()
	return t.retriable
}

// Error implements error.
func (e Error) Error() string {
	if m := e.Message(); m != "" {
		return e.Name() + ": " + m
	}
	return e.Name()
}

// Code returns the number on the wire. Callers who fill kmsg structs need it as an int16.
func (e Error) Code() int16 { return int16(e) }

// Errors returns every code there is, in ascending order.
func Errors() []Error {
	all := make([]Error, len(errorTable))
	for i := range all {
		all[i] = Error(i) - 1
	}
	return all
}

func (e Error) entry() (errorEntry, bool) {
	if i := int(e) + 1; i >= 0 && i < len(errorTable) {
		return errorTable[i], true
	}
	return errorEntry{}, false
}

type errorEntry struct {
	name      string
	retriable bool
	message   string
}

// errorTable has code n at index n+1.
var errorTable = [...]errorEntry{
	UnknownServerError + 1:                     {"UNKNOWN_SERVER_ERROR", false, "the broker failed in a way it did not foresee; its log says more"},
	None + 1:                                   {"NONE", false, "no error"},
	OffsetOutOfRange + 1:                       {"OFFSET_OUT_OF_RANGE", false, "the offset lies outside what the log holds"},
	CorruptMessage + 1:                         {"CORRUPT_MESSAGE", true, "the record set is damaged: its checksum or its length is wrong"},
	UnknownTopicOrPartition + 1:                {"UNKNOWN_TOPIC_OR_PARTITION", true, "this broker knows no such topic or partition"},
	InvalidFetchSize + 1:                       {"INVALID_FETCH_SIZE", false, "the fetch size is invalid"},
	LeaderNotAvailable + 1:                     {"LEADER_NOT_AVAILABLE", true, "the partition has no leader at present"},
	NotLeaderOrFollower + 1:                    {"NOT_LEADER_OR_FOLLOWER", true, "this broker is not the partition's leader, nor a replica that could answer"},
	RequestTimedOut + 1:                        {"REQUEST_TIMED_OUT", true, "the request was not done in the time it allowed"},
	BrokerNotAvailable + 1:                     {"BROKER_NOT_AVAILABLE", false, "the broker is not available"},
	ReplicaNotAvailable + 1:                    {"REPLICA_NOT_AVAILABLE", true, "the replica is not available on this broker"},
	MessageTooLarge + 1:                        {"MESSAGE_TOO_LARGE", false, "the record batch is larger than the topic allows (max.message.bytes)"},
	StaleControllerEpoch + 1:                   {"STALE_CONTROLLER_EPOCH", false, "the controller has moved to another node"},
	OffsetMetadataTooLarge + 1:                 {"OFFSET_METADATA_TOO_LARGE", false, "the metadata beside the offset is larger than the broker allows"},
	NetworkException + 1:                       {"NETWORK_EXCEPTION", true, "the connection ended before the answer arrived"},
	CoordinatorLoadInProgress + 1:              {"COORDINATOR_LOAD_IN_PROGRESS", true, "the coordinator is still loading its state"},
	CoordinatorNotAvailable + 1:                {"COORDINATOR_NOT_AVAILABLE", true, "there is no coordinator at present"},
	NotCoordinator + 1:                         {"NOT_COORDINATOR", true, "this broker is not the coordinator of that group or transaction"},
	InvalidTopicException + 1:                  {"INVALID_TOPIC_EXCEPTION", false, "the topic name is invalid: 1 to 249 letters, digits, dots, underscores and hyphens, not \".\" or \"..\""},
	RecordListTooLarge + 1:                     {"RECORD_LIST_TOO_LARGE", false, "the record set is larger than a log segment"},
	NotEnoughReplicas + 1:                      {"NOT_ENOUGH_REPLICAS", true, "fewer replicas are in sync than the topic requires (min.insync.replicas); nothing was written"},
	NotEnoughReplicasAfterAppend + 1:           {"NOT_ENOUGH_REPLICAS_AFTER_APPEND", true, "the records were written, but to fewer in-sync replicas than the topic requires"},
	InvalidRequiredAcks + 1:                    {"INVALID_REQUIRED_ACKS", false, "acks must be -1, 0 or 1"},
	IllegalGeneration + 1:                      {"ILLEGAL_GENERATION", false, "the group has moved on to another generation"},
	InconsistentGroupProtocol + 1:              {"INCONSISTENT_GROUP_PROTOCOL", false, "the member shares no protocol with the group, or has another protocol type"},
	InvalidGroupID + 1:                         {"INVALID_GROUP_ID", false, "the group id is invalid"},
	UnknownMemberID + 1:                        {"UNKNOWN_MEMBER_ID", false, "the group has no such member"},
	InvalidSessionTimeout + 1:                  {"INVALID_SESSION_TIMEOUT", false, "the session timeout lies outside the broker's bounds (group.min.session.timeout.ms, group.max.session.timeout.ms)"},
	RebalanceInProgress + 1:                    {"REBALANCE_IN_PROGRESS", false, "the group is rebalancing: join again"},
	InvalidCommitOffsetSize + 1:                {"INVALID_COMMIT_OFFSET_SIZE", false, "the offset commit is too large"},
	TopicAuthorizationFailed + 1:               {"TOPIC_AUTHORIZATION_FAILED", false, "not allowed on this topic"},
	GroupAuthorizationFailed + 1:               {"GROUP_AUTHORIZATION_FAILED", false, "not allowed on this group"},
	ClusterAuthorizationFailed + 1:             {"CLUSTER_AUTHORIZATION_FAILED", false, "not allowed on this cluster"},
	InvalidTimestamp + 1:                       {"INVALID_TIMESTAMP", false, "a record's timestamp lies outside the range the topic accepts"},
	UnsupportedSASLMechanism + 1:               {"UNSUPPORTED_SASL_MECHANISM", false, "the broker does not offer this SASL mechanism"},
	IllegalSASLState + 1:                       {"ILLEGAL_SASL_STATE", false, "the request does not fit the state of the SASL handshake"},
	UnsupportedVersion + 1:                     {"UNSUPPORTED_VERSION", false, "the broker does not serve this version of the API"},
	TopicAlreadyExists + 1:                     {"TOPIC_ALREADY_EXISTS", false, "a topic of this name exists"},
	InvalidPartitions + 1:                      {"INVALID_PARTITIONS", false, "the number of partitions is invalid"},
	InvalidReplicationFactor + 1:               {"INVALID_REPLICATION_FACTOR", false, "the replication factor is below 1 or above the number of available brokers"},
	InvalidReplicaAssignment + 1:               {"INVALID_REPLICA_ASSIGNMENT", false, "the replica assignment is invalid"},
	InvalidConfig + 1:                          {"INVALID_CONFIG", false, "the configuration is invalid"},
	NotController + 1:                          {"NOT_CONTROLLER", true, "this node is not the controller"},
	InvalidRequest + 1:                         {"INVALID_REQUEST", false, "the request contradicts itself or the protocol"},
	UnsupportedForMessageFormat + 1:            {"UNSUPPORTED_FOR_MESSAGE_FORMAT", false, "the topic's message format cannot do this"},
	PolicyViolation + 1:                        {"POLICY_VIOLATION", false, "a policy of the cluster forbids this"},
	OutOfOrderSequenceNumber + 1:               {"OUT_OF_ORDER_SEQUENCE_NUMBER", false, "the producer's sequence number does not follow the one before"},
	DuplicateSequenceNumber + 1:                {"DUPLICATE_SEQUENCE_NUMBER", false, "the producer's sequence number was written before, longer ago than is remembered"},
	InvalidProducerEpoch + 1:                   {"INVALID_PRODUCER_EPOCH", false, "the producer's epoch is older than the one in use"},
	InvalidTxnState + 1:                        {"INVALID_TXN_STATE", false, "the transaction's state does not allow this"},
	InvalidProducerIDMapping + 1:               {"INVALID_PRODUCER_ID_MAPPING", false, "the producer id does not belong to this transactional id"},
	InvalidTransactionTimeout + 1:              {"INVALID_TRANSACTION_TIMEOUT", false, "the transaction timeout is larger than the broker allows (transaction.max.timeout.ms)"},
	ConcurrentTransactions + 1:                 {"CONCURRENT_TRANSACTIONS", true, "another operation on the same transaction is under way"},
	TransactionCoordinatorFenced + 1:           {"TRANSACTION_COORDINATOR_FENCED", false, "the sender of the transaction marker no longer coordinates that transaction"},
	TransactionalIDAuthorizationFailed + 1:     {"TRANSACTIONAL_ID_AUTHORIZATION_FAILED", false, "not allowed on this transactional id"},
	SecurityDisabled + 1:                       {"SECURITY_DISABLED", false, "security is switched off on this cluster"},
	OperationNotAttempted + 1:                  {"OPERATION_NOT_ATTEMPTED", false, "not attempted, since another part of the request failed"},
	KafkaStorageError + 1:                      {"KAFKA_STORAGE_ERROR", true, "the broker's disk failed or is full"},
	LogDirNotFound + 1:                         {"LOG_DIR_NOT_FOUND", false, "the broker has no such log directory"},
	SASLAuthenticationFailed + 1:               {"SASL_AUTHENTICATION_FAILED", false, "authentication failed"},
	UnknownProducerID + 1:                      {"UNKNOWN_PRODUCER_ID", false, "the broker remembers nothing of this producer id"},
	ReassignmentInProgress + 1:                 {"REASSIGNMENT_IN_PROGRESS", false, "a reassignment of the partition is under way"},
	DelegationTokenAuthDisabled + 1:            {"DELEGATION_TOKEN_AUTH_DISABLED", false, "delegation tokens are switched off"},
	DelegationTokenNotFound + 1:                {"DELEGATION_TOKEN_NOT_FOUND", false, "there is no such delegation token"},
	DelegationTokenOwnerMismatch + 1:           {"DELEGATION_TOKEN_OWNER_MISMATCH", false, "the principal neither owns nor may renew the delegation token"},
	DelegationTokenRequestNotAllowed + 1:       {"DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", false, "delegation tokens need a connection that is encrypted and authenticated otherwise"},
	DelegationTokenAuthorizationFailed + 1:     {"DELEGATION_TOKEN_AUTHORIZATION_FAILED", false, "not allowed on this delegation token"},
	DelegationTokenExpired + 1:                 {"DELEGATION_TOKEN_EXPIRED", false, "the delegation token has expired"},
	InvalidPrincipalType + 1:                   {"INVALID_PRINCIPAL_TYPE", false, "the principal type is not supported"},
	NonEmptyGroup + 1:                          {"NON_EMPTY_GROUP", false, "the group has members"},
	GroupIDNotFound + 1:                        {"GROUP_ID_NOT_FOUND", false, "there is no such group"},
	FetchSessionIDNotFound + 1:                 {"FETCH_SESSION_ID_NOT_FOUND", true, "the fetch session is gone"},
	InvalidFetchSessionEpoch + 1:               {"INVALID_FETCH_SESSION_EPOCH", true, "the fetch session expected another epoch"},
	ListenerNotFound + 1:                       {"LISTENER_NOT_FOUND", true, "the leader has no listener of the name this request came in by"},
	TopicDeletionDisabled + 1:                  {"TOPIC_DELETION_DISABLED", false, "deletion of topics is switched off"},
	FencedLeaderEpoch + 1:                      {"FENCED_LEADER_EPOCH", true, "the leader epoch in the request is older than the broker's"},
	UnknownLeaderEpoch + 1:                     {"UNKNOWN_LEADER_EPOCH", true, "the leader epoch in the request is newer than the broker's"},
	UnsupportedCompressionType + 1:             {"UNSUPPORTED_COMPRESSION_TYPE", false, "this version of the request cannot carry the compression of the records"},
	StaleBrokerEpoch + 1:                       {"STALE_BROKER_EPOCH", false, "the broker has registered again since"},
	OffsetNotAvailable + 1:                     {"OFFSET_NOT_AVAILABLE", true, "a new leader cannot vouch for this offset yet"},
	MemberIDRequired + 1:                       {"MEMBER_ID_REQUIRED", false, "join again with the member id in this answer"},
	PreferredLeaderNotAvailable + 1:            {"PREFERRED_LEADER_NOT_AVAILABLE", true, "the preferred leader is not available"},
	GroupMaxSizeReached + 1:                    {"GROUP_MAX_SIZE_REACHED", false, "the group is full"},
	FencedInstanceID + 1:                       {"FENCED_INSTANCE_ID", false, "another member has taken over this group.instance.id"},
	EligibleLeadersNotAvailable + 1:            {"ELIGIBLE_LEADERS_NOT_AVAILABLE", true, "no replica that may lead is available"},
	ElectionNotNeeded + 1:                      {"ELECTION_NOT_NEEDED", true, "the partition has the leader it should have"},
	NoReassignmentInProgress + 1:               {"NO_REASSIGNMENT_IN_PROGRESS", false, "no reassignment of the partition is under way"},
	GroupSubscribedToTopic + 1:                 {"GROUP_SUBSCRIBED_TO_TOPIC", false, "the group still subscribes to the topic"},
	InvalidRecord + 1:                          {"INVALID_RECORD", false, "a record breaks a rule of the topic or of the protocol"},
	UnstableOffsetCommit + 1:                   {"UNSTABLE_OFFSET_COMMIT", true, "a transaction that commits offsets is not finished"},
	ThrottlingQuotaExceeded + 1:                {"THROTTLING_QUOTA_EXCEEDED", true, "the quota is used up for now"},
	ProducerFenced + 1:                         {"PRODUCER_FENCED", false, "a newer producer has taken over this transactional id"},
	ResourceNotFound + 1:                       {"RESOURCE_NOT_FOUND", false, "there is no such resource"},
	DuplicateResource + 1:                      {"DUPLICATE_RESOURCE", false, "the request names the same resource twice"},
	UnacceptableCredential + 1:                 {"UNACCEPTABLE_CREDENTIAL", false, "the credential does not meet the requirements"},
	InconsistentVoterSet + 1:                   {"INCONSISTENT_VOTER_SET", false, "sender or receiver is not one of the voters"},
	InvalidUpdateVersion + 1:                   {"INVALID_UPDATE_VERSION", false, "the feature level is invalid"},
	FeatureUpdateFailed + 1:                    {"FEATURE_UPDATE_FAILED", false, "the features could not be updated"},
	PrincipalDeserializationFailure + 1:        {"PRINCIPAL_DESERIALIZATION_FAILURE", false, "the principal of a forwarded request could not be read"},
	SnapshotNotFound + 1:                       {"SNAPSHOT_NOT_FOUND", false, "there is no such snapshot"},
	PositionOutOfRange + 1:                     {"POSITION_OUT_OF_RANGE", false, "the position lies outside the snapshot"},
	UnknownTopicID + 1:                         {"UNKNOWN_TOPIC_ID", true, "this broker knows no topic of this id"},
	DuplicateBrokerRegistration + 1:            {"DUPLICATE_BROKER_REGISTRATION", false, "a live broker has this id"},
	BrokerIDNotRegistered + 1:                  {"BROKER_ID_NOT_REGISTERED", false, "no broker of this id is registered"},
	InconsistentTopicID + 1:                    {"INCONSISTENT_TOPIC_ID", true, "the log belongs to another topic id"},
	InconsistentClusterID + 1:                  {"INCONSISTENT_CLUSTER_ID", false, "the request is meant for another cluster"},
	TransactionalIDNotFound + 1:                {"TRANSACTIONAL_ID_NOT_FOUND", false, "there is no such transactional id"},
	FetchSessionTopicIDError + 1:               {"FETCH_SESSION_TOPIC_ID_ERROR", true, "the fetch session mixes topic names and topic ids"},
	IneligibleReplica + 1:                      {"INELIGIBLE_REPLICA", false, "a replica in the new ISR may not be in it"},
	NewLeaderElected + 1:                       {"NEW_LEADER_ELECTED", false, "the ISR was changed, and with it the leader"},
	OffsetMovedToTieredStorage + 1:             {"OFFSET_MOVED_TO_TIERED_STORAGE", false, "the offset is in tiered storage only"},
	FencedMemberEpoch + 1:                      {"FENCED_MEMBER_EPOCH", false, "the member's epoch is fenced: it gives up its partitions and joins again"},
	UnreleasedInstanceID + 1:                   {"UNRELEASED_INSTANCE_ID", false, "another member of the group still has this instance id"},
	UnsupportedAssignor + 1:                    {"UNSUPPORTED_ASSIGNOR", false, "the group does not support the assignor"},
	StaleMemberEpoch + 1:                       {"STALE_MEMBER_EPOCH", false, "the member's epoch is old: retry with the one of the next heartbeat"},
	MismatchedEndpointType + 1:                 {"MISMATCHED_ENDPOINT_TYPE", false, "the request went to an endpoint of another kind"},
	UnsupportedEndpointType + 1:                {"UNSUPPORTED_ENDPOINT_TYPE", false, "endpoints of this kind are not supported"},
	UnknownControllerID + 1:                    {"UNKNOWN_CONTROLLER_ID", false, "there is no such controller"},
	UnknownSubscriptionID + 1:                  {"UNKNOWN_SUBSCRIPTION_ID", false, "the telemetry subscription is unknown or old"},
	TelemetryTooLarge + 1:                      {"TELEMETRY_TOO_LARGE", false, "the telemetry is larger than the broker accepts"},
	InvalidRegistration + 1:                    {"INVALID_REGISTRATION", false, "the broker's registration is invalid"},
	TransactionAbortable + 1:                   {"TRANSACTION_ABORTABLE", false, "the transaction failed and can be aborted"},
	InvalidRecordState + 1:                     {"INVALID_RECORD_STATE", false, "the record's state does not allow this acknowledgement"},
	ShareSessionNotFound + 1:                   {"SHARE_SESSION_NOT_FOUND", true, "the share session is gone"},
	InvalidShareSessionEpoch + 1:               {"INVALID_SHARE_SESSION_EPOCH", true, "the share session expected another epoch"},
	FencedStateEpoch + 1:                       {"FENCED_STATE_EPOCH", false, "the share state has another epoch"},
	InvalidVoterKey + 1:                        {"INVALID_VOTER_KEY", false, "the voter's directory id is not this replica's"},
	DuplicateVoter + 1:                         {"DUPLICATE_VOTER", false, "the node is a voter already"},
	VoterNotFound + 1:                          {"VOTER_NOT_FOUND", false, "the node is not a voter"},
	InvalidRegularExpression + 1:               {"INVALID_REGULAR_EXPRESSION", false, "the regular expression is invalid"},
	RebootstrapRequired + 1:                    {"REBOOTSTRAP_REQUIRED", false, "the client's metadata is too old: bootstrap again"},
	StreamsInvalidTopology + 1:                 {"STREAMS_INVALID_TOPOLOGY", false, "the streams topology is invalid"},
	StreamsInvalidTopologyEpoch + 1:            {"STREAMS_INVALID_TOPOLOGY_EPOCH", false, "the streams topology epoch is invalid"},
	StreamsTopologyFenced + 1:                  {"STREAMS_TOPOLOGY_FENCED", false, "the streams topology epoch is old"},
	ShareSessionLimitReached + 1:               {"SHARE_SESSION_LIMIT_REACHED", true, "the broker has as many share sessions as it allows"},
	GroupDeletionFailed + 1:                    {"GROUP_DELETION_FAILED", false, "the group could not be deleted"},
	StreamsTopologyDescriptionUpdateFailed + 1: {"STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED", false, "the description of the streams topology could not be updated"},
	ControllerIDNotRegistered + 1:              {"CONTROLLER_ID_NOT_REGISTERED", false, "no controller of this id is registered"},
}
