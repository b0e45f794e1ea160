package seeded

// Bug is one fault.
type Bug int

// The faults, by where they are.
const (
	// The log.
	SkipSync Bug = iota
	SkipDirSync
	SkipNewSync
	KeepCorruptTail
	TrustRecovered
	EpochEndOffByOne
	ForgetProducers

	// A replica.
	TruncateToHighWatermark
	KeepDiverging
	CountUnflushedFollower
	CountUnflushedLeader
	CommitBelowMinISR
	PassOverProposed
	JoinBeforeEpochStart
	HighWatermarkBeyondEnd
	AnswerRefusesAll

	// The controller.
	ElectOutsideISR
	KeepEpochAtRegistration
	PassOverPartitionEpoch
	PassOverBrokerEpoch
	BelieveEveryStop
	LeadInOldEpoch
	AdmitFenced

	// The quorum.
	VoteBeforeSync
	AcknowledgeBeforeSync

	// What only whole clusters show.
	PassOverChecksum
	TrustMissingFolder
	AnswerWhileLoading
	ReuseTopicID
	KeepMovedReplica
	PassOverDirectory
	KeepRemovedVoter
	AnswerBeforeImage
)

// Fault describes a bug and who has to catch it.
type Fault struct {
	Name string
	// What is broken.
	What string
	// Package, relative to the module, has the test that must fail; Run chooses it; Env gives it what it needs to find the
	// bug for certain.
	Package, Run string
	Env          []string
}

const (
	explorer = "internal/sim/explore"
	crashes  = "internal/commitlog"
	quorums  = "internal/quorum"
	clusters = "internal/sim"
)

var (
	walks     = []string{"LOGBAHN_EXPLORE_SEEDS=0:20000"}
	states    = []string{"LOGBAHN_EXPLORE_STATES=400000"}
	powerCuts = []string{"LOGBAHN_CRASH_SEEDS=0:3000"}
	fewSeeds  = []string{"LOGBAHN_SIM_SEEDS=1:7"}
	moreSeeds = []string{"LOGBAHN_SIM_SEEDS=1:19"} // where only half of them catch it
)

// Bugs are all faults.
var Bugs = [...]Fault{
	SkipSync:         {"skip-sync", "what is flushed has not been synced", crashes, "Crash", powerCuts},
	SkipDirSync:      {"skip-dir-sync", "a new segment's name is not synced with its records", crashes, "Crash", powerCuts},
	SkipNewSync:      {"skip-partition-sync", "a new folder's name is not synced with its records", crashes, "Crash", powerCuts},
	KeepCorruptTail:  {"keep-corrupt-tail", "recovery goes on behind a bad batch", crashes, "Crash", powerCuts},
	TrustRecovered:   {"trust-recovered", "what recovery keeps counts as flushed without a sync", crashes, "Crash", powerCuts},
	EpochEndOffByOne: {"epoch-end-off-by-one", "an epoch ends one record later than it does", crashes, ".", powerCuts},
	ForgetProducers:  {"forget-producers", "a retry is appended again", crashes, ".", powerCuts},

	TruncateToHighWatermark: {"truncate-to-high-watermark", "a new follower cuts to its high watermark (KIP-101)", explorer, "TestExploreWalks", walks},
	KeepDiverging:           {"keep-diverging", "a follower keeps what its leader does not have", explorer, "TestExploreWalks", walks},
	CountUnflushedFollower:  {"count-unflushed-follower", "a follower counts with what it has not flushed", explorer, "TestExploreWalks", walks},
	CountUnflushedLeader:    {"count-unflushed-leader", "a leader counts with what it has not flushed", explorer, "TestExploreWalks", walks},
	CommitBelowMinISR:       {"commit-below-min-isr", "the high watermark advances with too few in sync", explorer, "TestExploreWalks", walks},
	PassOverProposed:        {"pass-over-proposed", "a replica being let in does not hold the high watermark", explorer, "TestExploreWalks", walks},
	JoinBeforeEpochStart:    {"join-before-epoch-start", "a follower is in sync before it has reached the leader's epoch", explorer, "TestExploreWalks", walks},
	HighWatermarkBeyondEnd:  {"high-watermark-beyond-end", "a follower takes a high watermark that it has no records for", explorer, "TestExploreWalks", walks},
	AnswerRefusesAll:        {"answer-refuses-all", "a proposal that was taken counts as refused", explorer, "TestExploreWalks", walks},

	ElectOutsideISR:         {"elect-outside-isr", "any live replica may be elected", explorer, "TestExploreWalks", walks},
	KeepEpochAtRegistration: {"keep-epoch-at-registration", "a leader leads on in its epoch after a restart", explorer, "TestExploreWalks", walks},
	PassOverPartitionEpoch:  {"pass-over-partition-epoch", "a proposal that rests on an older in-sync set is taken", explorer, "TestExploreWalks", walks},
	PassOverBrokerEpoch:     {"pass-over-broker-epoch", "a proposal that speaks of an earlier life is taken (KIP-903)", explorer, "TestExploreFullProtocol/not_flushed,_promptly", states},
	BelieveEveryStop:        {"believe-every-stop", "a broker that was not stopped stays eligible without a flush (KIP-966)", explorer, "TestExploreWalks", walks},
	LeadInOldEpoch:          {"lead-in-old-epoch", "an election does not raise the leader epoch", explorer, "TestExploreWalks", walks},
	AdmitFenced:             {"admit-fenced", "a fenced broker is let into the in-sync set (KIP-841)", explorer, "TestExploreWalks", walks},

	VoteBeforeSync:        {"vote-before-sync", "term and vote are not written before they are sent", quorums, ".", nil},
	AcknowledgeBeforeSync: {"acknowledge-before-sync", "entries are acknowledged before they are synced", quorums, ".", nil},

	PassOverChecksum:   {"pass-over-checksum", "a voter starts with a vote that is not what it has written", clusters, "TestScenarios/three-nodes-07-bit-flip-metadata", moreSeeds},
	TrustMissingFolder: {"trust-missing-folder", "a replica whose folder is gone begins anew and stays in sync", crashes, "TestMissingFolder", nil},
	AnswerWhileLoading: {"answer-while-loading", "a group coordinator answers from half a log", clusters, "TestScenarios/three-nodes-18-kill-group-coordinator", fewSeeds},
	ReuseTopicID:       {"reuse-topic-id", "a topic that is made again has its old id", clusters, "TestScenarios/three-nodes-22-recreate-topic", fewSeeds},
	KeepMovedReplica:   {"keep-moved-replica", "a replica that was moved away stays", clusters, "TestScenarios/four-nodes-23-reassign", fewSeeds},
	PassOverDirectory:  {"pass-over-directory", "a broker with an empty disk stays in sync", "internal/quorum/controller", ".", nil},
	KeepRemovedVoter:   {"keep-removed-voter", "a voter that was removed votes on", clusters, "TestScenarios/four-nodes-26-members", fewSeeds},
	AnswerBeforeImage:  {"answer-before-image", "a change is answered before the node that was asked knows of it", "internal/node", "TestAnswerWaitsForImage", nil},
}
