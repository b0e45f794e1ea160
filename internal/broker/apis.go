package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// API is one row of what this broker serves.
type API struct {
	Key      int16
	Name     string
	Min, Max int16
	// Pipelines tells that the next request of a connection may start before this one's reply has left.
	Pipelines bool
	start     func(*Broker, context.Context, *Request) Finish
}

// apis is everything that this broker serves, by key. ApiVersions answers from it.
//
// The newest version of each is the newest that Kafka 4.3 has. None is stopped lower: what their newest versions add is
// either served here or says by itself that it is off (transactions' fields in OffsetFetch, AddPartitionsToTxn in
// Produce 12, share groups' key type in FindCoordinator 6, which is answered with an error of that key). The oldest is
// the oldest that Kafka 3.9 has. What belongs to features that are not here (ACLs, SASL, tokens, quotas, transactions)
// is answered as by a Kafka that has them switched off; what only they would offer is not in the table.
var apis = [...]API{
	{0, "Produce", 0, 13, true, (*Broker).startProduce},
	{1, "Fetch", 0, 18, false, (*Broker).startFetch},
	{2, "ListOffsets", 0, 11, false, plain((*Broker).listOffsets)},
	{3, "Metadata", 0, 13, false, plain((*Broker).metadata)},
	{8, "OffsetCommit", 0, 10, false, parked((*Broker).offsetCommit)},
	{9, "OffsetFetch", 0, 10, false, parked((*Broker).offsetFetch)},
	{10, "FindCoordinator", 0, 6, false, plain((*Broker).findCoordinator)},
	{11, "JoinGroup", 0, 9, false, parked((*Broker).joinGroup)},
	{12, "Heartbeat", 0, 4, false, parked((*Broker).heartbeat)},
	{13, "LeaveGroup", 0, 5, false, parked((*Broker).leaveGroup)},
	{14, "SyncGroup", 0, 5, false, parked((*Broker).syncGroup)},
	{15, "DescribeGroups", 0, 6, false, parked((*Broker).describeGroups)},
	{16, "ListGroups", 0, 5, false, parked((*Broker).listGroups)},
	{17, "SaslHandshake", 0, 1, false, plain((*Broker).saslHandshake)},
	{18, "ApiVersions", 0, 4, false, plain((*Broker).apiVersions)},
	{19, "CreateTopics", 0, 7, false, plain((*Broker).createTopics)},
	{20, "DeleteTopics", 0, 6, false, plain((*Broker).deleteTopics)},
	{21, "DeleteRecords", 0, 2, false, plain((*Broker).deleteRecords)},
	{22, "InitProducerId", 0, 5, false, plain((*Broker).initProducerID)},
	{23, "OffsetForLeaderEpoch", 0, 4, false, plain((*Broker).offsetForLeaderEpoch)},
	{29, "DescribeAcls", 0, 3, false, plain((*Broker).describeACLs)},
	{30, "CreateAcls", 0, 3, false, plain((*Broker).createACLs)},
	{31, "DeleteAcls", 0, 3, false, plain((*Broker).deleteACLs)},
	{32, "DescribeConfigs", 0, 4, false, plain((*Broker).describeConfigs)},
	{33, "AlterConfigs", 0, 2, false, plain((*Broker).alterConfigs)},
	{34, "AlterReplicaLogDirs", 0, 2, false, plain((*Broker).alterReplicaLogDirs)},
	{35, "DescribeLogDirs", 0, 5, false, plain((*Broker).describeLogDirs)},
	{36, "SaslAuthenticate", 0, 2, false, plain((*Broker).saslAuthenticate)},
	{37, "CreatePartitions", 0, 3, false, plain((*Broker).createPartitions)},
	{38, "CreateDelegationToken", 0, 3, false, plain((*Broker).createDelegationToken)},
	{39, "RenewDelegationToken", 0, 2, false, plain((*Broker).renewDelegationToken)},
	{40, "ExpireDelegationToken", 0, 2, false, plain((*Broker).expireDelegationToken)},
	{41, "DescribeDelegationToken", 0, 3, false, plain((*Broker).describeDelegationToken)},
	{42, "DeleteGroups", 0, 2, false, parked((*Broker).deleteGroups)},
	{43, "ElectLeaders", 0, 2, false, plain((*Broker).electLeaders)},
	{44, "IncrementalAlterConfigs", 0, 1, false, plain((*Broker).incrementalAlterConfigs)},
	{45, "AlterPartitionReassignments", 0, 1, false, plain((*Broker).alterPartitionReassignments)},
	{46, "ListPartitionReassignments", 0, 0, false, plain((*Broker).listPartitionReassignments)},
	{47, "OffsetDelete", 0, 0, false, parked((*Broker).offsetDelete)},
	{48, "DescribeClientQuotas", 0, 1, false, plain((*Broker).describeClientQuotas)},
	{49, "AlterClientQuotas", 0, 1, false, plain((*Broker).alterClientQuotas)},
	{50, "DescribeUserScramCredentials", 0, 0, false, plain((*Broker).describeUserSCRAMCredentials)},
	{51, "AlterUserScramCredentials", 0, 0, false, plain((*Broker).alterUserSCRAMCredentials)},
	{55, "DescribeQuorum", 0, 2, false, plain((*Broker).describeQuorum)},
	{57, "UpdateFeatures", 0, 2, false, plain((*Broker).updateFeatures)},
	{60, "DescribeCluster", 0, 2, false, plain((*Broker).describeCluster)},
	{61, "DescribeProducers", 0, 0, false, plain((*Broker).describeProducers)},
	{64, "UnregisterBroker", 0, 0, false, plain((*Broker).unregisterBroker)},
	{65, "DescribeTransactions", 0, 0, false, plain((*Broker).describeTransactions)},
	{66, "ListTransactions", 0, 2, false, plain((*Broker).listTransactions)},
	{74, "ListConfigResources", 0, 1, false, plain((*Broker).listConfigResources)},
	{75, "DescribeTopicPartitions", 0, 0, false, plain((*Broker).describeTopicPartitions)},
	{80, "AddRaftVoter", 0, 1, false, plain((*Broker).addRaftVoter)},
	{81, "RemoveRaftVoter", 0, 0, false, plain((*Broker).removeRaftVoter)},
}

// nodeAPIs is what only other nodes ask for. ApiVersions does not list it.
var nodeAPIs = [...]API{
	{59, "FetchSnapshot", 0, 1, false, plain((*Broker).fetchSnapshot)},
	{82, "UpdateRaftVoter", 0, 0, false, plain((*Broker).updateRaftVoter)},
}

// Lookup returns the row of an API.
func Lookup(key int16) (*API, bool) {
	for i := range apis {
		if apis[i].Key == key {
			return &apis[i], true
		}
	}
	for i := range nodeAPIs {
		if nodeAPIs[i].Key == key {
			return &nodeAPIs[i], true
		}
	}
	return nil, false
}

// plain makes a start of a handler whose whole work may wait until it is its reply's turn.
func plain[Q kmsg.Request, P kmsg.Response](handle func(*Broker, context.Context, *Request, Q) P) func(*Broker, context.Context, *Request) Finish {
	return func(b *Broker, _ context.Context, r *Request) Finish {
		return func(ctx context.Context) wire.Response {
			return reply(r, handle(b, ctx, r, r.Body.(Q)))
		}
	}
}

// parked makes a start of a handler that hands its request over and gets its reply later.
func parked[Q kmsg.Request, P kmsg.Response](handle func(*Broker, context.Context, *Request, Q) func(context.Context) P) func(*Broker, context.Context, *Request) Finish {
	return func(b *Broker, ctx context.Context, r *Request) Finish {
		finish := handle(b, ctx, r, r.Body.(Q))
		return func(ctx context.Context) wire.Response { return reply(r, finish(ctx)) }
	}
}

// reply gives a response the version of its request.
func reply(r *Request, resp kmsg.Response) wire.Response {
	resp.SetVersion(r.Header.Version)
	return wire.Message(resp)
}
