package broker

import (
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// with returns a new request of a version, filled in.
func with[Q any, P interface {
	*Q
	kmsg.Request
	Default()
}](version int16, fill func(P)) kmsg.Request {
	req := P(new(Q))
	req.Default()
	req.SetVersion(version)
	fill(req)
	return req
}

// What belongs to features that are not here is answered as by a Kafka that has them switched off.
func TestAnswersOfLaterFeatures(t *testing.T) {
	n := start(t)
	here := with(7, func(r *kmsg.CreateTopicsRequest) {
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "here", 2, 1
		r.Topics = append(r.Topics, topic)
	})
	compareWithKafka(t, n, "later", []kmsg.Request{here}, slices.Concat(aclQuestions(), saslQuestions(), tokenQuestions(), quotaQuestions(),
		scramQuestions(), electionQuestions(), reassignmentQuestions(), logDirQuestions(), featureQuestions(),
		configResourceQuestions(), unregisterQuestions(), transactionQuestions()))
}

const anyACL, describeACL, allowACL = 1, 8, 3

func aclQuestions() []question {
	return []question{
		{name: "DescribeAcls", req: with(3, func(r *kmsg.DescribeACLsRequest) {
			r.ResourceType, r.ResourcePatternType, r.Operation, r.PermissionType = anyACL, anyACL, anyACL, anyACL
		})},
		{name: "CreateAcls: two", req: with(3, func(r *kmsg.CreateACLsRequest) {
			c := kmsg.NewCreateACLsRequestCreation()
			c.ResourceType, c.ResourceName, c.Principal, c.Host = kmsg.ACLResourceTypeTopic, "t", "User:me", "*"
			c.ResourcePatternType, c.Operation, c.PermissionType = kmsg.ACLResourcePatternTypeLiteral, describeACL, allowACL
			r.Creations = append(r.Creations, c, c)
		})},
		{name: "CreateAcls: none", req: with(3, func(*kmsg.CreateACLsRequest) {})},
		{name: "DeleteAcls: two", req: with(3, func(r *kmsg.DeleteACLsRequest) {
			f := kmsg.NewDeleteACLsRequestFilter()
			f.ResourceType, f.ResourcePatternType, f.Operation, f.PermissionType = anyACL, anyACL, anyACL, anyACL
			r.Filters = append(r.Filters, f, f)
		})},
	}
}

func saslQuestions() []question {
	return []question{
		{name: "SaslHandshake", req: with(1, func(r *kmsg.SASLHandshakeRequest) { r.Mechanism = "PLAIN" })},
		{name: "SaslHandshake v0", req: with(0, func(r *kmsg.SASLHandshakeRequest) { r.Mechanism = "PLAIN" })},
		{name: "SaslAuthenticate", req: with(2, func(r *kmsg.SASLAuthenticateRequest) { r.SASLAuthBytes = []byte("\x00me\x00secret") })},
		{name: "SaslAuthenticate v0", req: with(0, func(r *kmsg.SASLAuthenticateRequest) { r.SASLAuthBytes = []byte("\x00me\x00secret") })},
	}
}

func tokenQuestions() []question {
	return []question{
		{name: "CreateDelegationToken", req: with(3, func(r *kmsg.CreateDelegationTokenRequest) { r.MaxLifetimeMillis = -1 })},
		{name: "CreateDelegationToken v1", req: with(1, func(r *kmsg.CreateDelegationTokenRequest) { r.MaxLifetimeMillis = -1 })},
		{name: "RenewDelegationToken", req: with(2, func(r *kmsg.RenewDelegationTokenRequest) { r.HMAC = []byte{1} })},
		{name: "ExpireDelegationToken", req: with(2, func(r *kmsg.ExpireDelegationTokenRequest) { r.HMAC = []byte{1} })},
		{name: "DescribeDelegationToken", req: with(3, func(*kmsg.DescribeDelegationTokenRequest) {})},
	}
}

// quotaFilter asks for the quotas of one kind of entity.
func quotaFilter(entity string, match kmsg.QuotasMatchType, name *string, strict bool) kmsg.Request {
	return with(1, func(r *kmsg.DescribeClientQuotasRequest) {
		c := kmsg.NewDescribeClientQuotasRequestComponent()
		c.EntityType, c.MatchType, c.Match = entity, match, name
		r.Components, r.Strict = append(r.Components, c), strict
	})
}

// alterQuotas changes quotas of one entity, given as types and names in turn ("" for the default).
func alterQuotas(validateOnly bool, entity []string, ops ...kmsg.AlterClientQuotasRequestEntryOp) kmsg.Request {
	return with(1, func(r *kmsg.AlterClientQuotasRequest) {
		e := kmsg.NewAlterClientQuotasRequestEntry()
		for i := 0; i+1 < len(entity); i += 2 {
			part := kmsg.NewAlterClientQuotasRequestEntryEntity()
			part.Type, part.Name = entity[i], nullable(entity[i+1])
			e.Entity = append(e.Entity, part)
		}
		e.Ops, r.ValidateOnly = ops, validateOnly
		r.Entries = append(r.Entries, e)
	})
}

func quotaQuestions() []question {
	set := func(key string, value float64) kmsg.AlterClientQuotasRequestEntryOp {
		return kmsg.AlterClientQuotasRequestEntryOp{Key: key, Value: value}
	}
	remove := kmsg.AlterClientQuotasRequestEntryOp{Key: "producer_byte_rate", Remove: true}
	me := kmsg.StringPtr("me")
	const why = "what is not enforced is not stored"
	refused := func(r kmsg.Response) {
		e := &r.(*kmsg.AlterClientQuotasResponse).Entries[0]
		e.ErrorCode, e.ErrorMessage = wire.UnsupportedVersion.Code(), kmsg.StringPtr(quotasNotEnforced)
	}
	return []question{
		{name: "DescribeClientQuotas: all", req: with(1, func(*kmsg.DescribeClientQuotasRequest) {})},
		{name: "DescribeClientQuotas: a user", req: quotaFilter("user", 0, me, false)},
		{name: "DescribeClientQuotas: default user, strict", req: quotaFilter("user", 1, nil, true)},
		{name: "DescribeClientQuotas: any client", req: quotaFilter("client-id", 2, nil, false)},
		{name: "DescribeClientQuotas: any address", req: quotaFilter("ip", 2, nil, false)},
		{name: "DescribeClientQuotas: an unknown type", req: quotaFilter("group", 2, nil, false)},
		{name: "DescribeClientQuotas: an empty type", req: quotaFilter("", 2, nil, false)},
		{name: "DescribeClientQuotas: an exact match of null", req: quotaFilter("user", 0, nil, false)},
		{name: "DescribeClientQuotas: a default with a name", req: quotaFilter("user", 1, me, false)},
		{name: "DescribeClientQuotas: any with a name", req: quotaFilter("user", 2, me, false)},
		{name: "DescribeClientQuotas: an unknown match", req: quotaFilter("user", 7, nil, false)},
		{name: "DescribeClientQuotas: a type twice", req: with(1, func(r *kmsg.DescribeClientQuotasRequest) {
			c := kmsg.NewDescribeClientQuotasRequestComponent()
			c.EntityType, c.MatchType = "user", 2
			r.Components = append(r.Components, c, c)
		})},
		{name: "DescribeClientQuotas: address and user", req: with(1, func(r *kmsg.DescribeClientQuotasRequest) {
			a, u := kmsg.NewDescribeClientQuotasRequestComponent(), kmsg.NewDescribeClientQuotasRequestComponent()
			a.EntityType, a.MatchType, u.EntityType, u.MatchType = "ip", 2, "user", 2
			r.Components = append(r.Components, a, u)
		})},
		{name: "AlterClientQuotas: only validate", req: alterQuotas(true, []string{"user", "me"}, set("producer_byte_rate", 1000)), ours: refused, why: why},
		{name: "AlterClientQuotas: set", req: alterQuotas(false, []string{"user", "me", "client-id", "it"}, set("producer_byte_rate", 1000)), ours: refused, why: why},
		{name: "AlterClientQuotas: remove", req: alterQuotas(false, []string{"user", "me", "client-id", "it"}, remove)},
		{name: "AlterClientQuotas: remove what is not", req: alterQuotas(false, []string{"client-id", ""}, remove)},
		{name: "AlterClientQuotas: no change", req: alterQuotas(false, []string{"user", "me"})},
		{name: "AlterClientQuotas: no entity", req: alterQuotas(false, nil, set("producer_byte_rate", 1000))},
		{name: "AlterClientQuotas: an unknown type", req: alterQuotas(false, []string{"group", "g"}, set("producer_byte_rate", 1000))},
		{name: "AlterClientQuotas: a type twice", req: alterQuotas(false, []string{"user", "a", "user", "b"}, set("producer_byte_rate", 1000)), ours: refused, why: why},
		{name: "AlterClientQuotas: address and user", req: alterQuotas(false, []string{"ip", "127.0.0.1", "user", "b"}, set("connection_creation_rate", 1))},
		{name: "AlterClientQuotas: a bad address", req: alterQuotas(false, []string{"ip", "not an address"}, set("connection_creation_rate", 1))},
		{name: "AlterClientQuotas: an unknown key", req: alterQuotas(false, []string{"user", "me"}, set("wishes", 3))},
		{name: "AlterClientQuotas: a user's key for an address", req: alterQuotas(false, []string{"ip", "127.0.0.1"}, set("producer_byte_rate", 1000))},
		{name: "AlterClientQuotas: zero", req: alterQuotas(false, []string{"user", "me"}, set("producer_byte_rate", 0))},
		{name: "AlterClientQuotas: a fraction of a whole", req: alterQuotas(false, []string{"user", "me"}, set("producer_byte_rate", 1.5))},
		{name: "AlterClientQuotas: an entity twice", req: with(1, func(r *kmsg.AlterClientQuotasRequest) {
			once := alterQuotas(false, []string{"user", "me"}, remove).(*kmsg.AlterClientQuotasRequest)
			r.Entries = append(r.Entries, once.Entries[0], once.Entries[0])
		})},
	}
}

func scramQuestions() []question {
	describe := func(users ...string) kmsg.Request {
		return with(0, func(r *kmsg.DescribeUserSCRAMCredentialsRequest) {
			for _, name := range users {
				r.Users = append(r.Users, kmsg.DescribeUserSCRAMCredentialsRequestUser{Name: name})
			}
		})
	}
	upsert := func(name string, mechanism int8, iterations int32) kmsg.AlterUserSCRAMCredentialsRequestUpsertion {
		u := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
		u.Name, u.Mechanism, u.Iterations, u.Salt, u.SaltedPassword = name, mechanism, iterations, []byte("salt"), []byte("password")
		return u
	}
	alter := func(deletions []kmsg.AlterUserSCRAMCredentialsRequestDeletion, upsertions ...kmsg.AlterUserSCRAMCredentialsRequestUpsertion) kmsg.Request {
		return with(0, func(r *kmsg.AlterUserSCRAMCredentialsRequest) { r.Deletions, r.Upsertions = deletions, upsertions })
	}
	remove := func(name string, mechanism int8) []kmsg.AlterUserSCRAMCredentialsRequestDeletion {
		return []kmsg.AlterUserSCRAMCredentialsRequestDeletion{{Name: name, Mechanism: mechanism}}
	}
	const why = "what protects nothing is not stored"
	return []question{
		{name: "DescribeUserScramCredentials: all", req: with(0, func(r *kmsg.DescribeUserSCRAMCredentialsRequest) { r.Users = nil })},
		{name: "DescribeUserScramCredentials: an empty list", req: with(0, func(r *kmsg.DescribeUserSCRAMCredentialsRequest) {
			r.Users = []kmsg.DescribeUserSCRAMCredentialsRequestUser{}
		})},
		{name: "DescribeUserScramCredentials: two users", req: describe("a", "b")},
		{name: "DescribeUserScramCredentials: a user twice", req: describe("a", "b", "a")},
		{name: "DescribeUserScramCredentials: an empty name", req: describe("")},
		{name: "AlterUserScramCredentials: nothing", req: alter(nil)},
		{name: "AlterUserScramCredentials: delete what is not", req: alter(remove("a", 1))},
		{name: "AlterUserScramCredentials: delete, unknown mechanism", req: alter(remove("a", 9))},
		{name: "AlterUserScramCredentials: delete, empty name", req: alter(remove("", 1))},
		{name: "AlterUserScramCredentials: set", req: alter(nil, upsert("a", 1, 4096)), why: why, ours: func(r kmsg.Response) {
			result := &r.(*kmsg.AlterUserSCRAMCredentialsResponse).Results[0]
			result.ErrorCode, result.ErrorMessage = wire.SecurityDisabled.Code(), kmsg.StringPtr("No listener authenticates clients: a credential would protect nothing.")
		}},
		{name: "AlterUserScramCredentials: delete", req: alter(remove("a", 1)), why: why, ours: func(r kmsg.Response) {
			result := &r.(*kmsg.AlterUserSCRAMCredentialsResponse).Results[0]
			result.ErrorCode, result.ErrorMessage = wire.ResourceNotFound.Code(), kmsg.StringPtr("Attempt to delete a user credential that does not exist")
		}},
		{name: "AlterUserScramCredentials: unknown mechanism", req: alter(nil, upsert("a", 0, 4096))},
		{name: "AlterUserScramCredentials: too few iterations", req: alter(nil, upsert("a", 1, 4095))},
		{name: "AlterUserScramCredentials: too many iterations", req: alter(nil, upsert("a", 2, 16385))},
		{name: "AlterUserScramCredentials: empty name", req: alter(nil, upsert("", 1, 4096))},
		{name: "AlterUserScramCredentials: a user twice", req: alter(remove("a", 1), upsert("a", 1, 4096), upsert("b", 1, 1))},
	}
}

func electionQuestions() []question {
	elect := func(version int16, kind int8, topic string, partitions ...int32) kmsg.Request {
		return with(version, func(r *kmsg.ElectLeadersRequest) {
			t := kmsg.NewElectLeadersRequestTopic()
			t.Topic, t.Partitions = topic, partitions
			r.ElectionType, r.Topics = kind, append(r.Topics, t)
		})
	}
	return []question{
		{name: "ElectLeaders: preferred, all", req: with(2, func(r *kmsg.ElectLeadersRequest) { r.Topics = nil })},
		{name: "ElectLeaders: unclean, all", req: with(2, func(r *kmsg.ElectLeadersRequest) { r.ElectionType, r.Topics = 1, nil })},
		{name: "ElectLeaders: preferred", req: elect(2, 0, "here", 0, 1)},
		{name: "ElectLeaders v0", req: elect(0, 0, "here", 0)},
		{name: "ElectLeaders: unclean", req: elect(2, 1, "here", 0)},
		{name: "ElectLeaders: an unknown kind", req: elect(2, 5, "here", 0)},
		{name: "ElectLeaders: an unknown topic", req: elect(2, 0, "gone", 0)},
		{name: "ElectLeaders: an unknown partition", req: elect(2, 0, "here", 7, -1)},
		{name: "ElectLeaders: an empty list", req: with(2, func(r *kmsg.ElectLeadersRequest) { r.Topics = []kmsg.ElectLeadersRequestTopic{} })},
		{name: "ElectLeaders: a partition twice", req: elect(2, 0, "here", 0, 0)},
	}
}

func reassignmentQuestions() []question {
	reassign := func(topic string, partition int32, replicas ...int32) kmsg.Request {
		return with(1, func(r *kmsg.AlterPartitionAssignmentsRequest) {
			p := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
			p.Partition, p.Replicas = partition, replicas
			t := kmsg.NewAlterPartitionAssignmentsRequestTopic()
			t.Topic, t.Partitions = topic, append(t.Partitions, p)
			r.Topics = append(r.Topics, t)
		})
	}
	list := func(topic string, partitions ...int32) kmsg.Request {
		return with(0, func(r *kmsg.ListPartitionReassignmentsRequest) {
			t := kmsg.NewListPartitionReassignmentsRequestTopic()
			t.Topic, t.Partitions = topic, partitions
			r.Topics = append(r.Topics, t)
		})
	}
	return []question{
		{name: "AlterPartitionReassignments: to where it is", req: reassign("here", 0, 1)},
		{name: "AlterPartitionReassignments: cancel", req: reassign("here", 0)},
		{name: "AlterPartitionReassignments: to nowhere", req: reassign("here", 0, []int32{}...)},
		{name: "AlterPartitionReassignments: an unknown broker", req: reassign("here", 1, 99)},
		{name: "AlterPartitionReassignments: two replicas", req: reassign("here", 1, 1, 99)},
		{name: "AlterPartitionReassignments: a negative broker", req: reassign("here", 1, -1)},
		{name: "AlterPartitionReassignments: a broker twice", req: reassign("here", 1, 1, 1)},
		{name: "AlterPartitionReassignments: an unknown topic", req: reassign("gone", 0, 1)},
		{name: "AlterPartitionReassignments: an unknown partition", req: reassign("here", 9, 1)},
		{name: "AlterPartitionReassignments: a negative partition", req: reassign("here", -1, 1)},
		{name: "AlterPartitionReassignments: nothing", req: with(1, func(*kmsg.AlterPartitionAssignmentsRequest) {}), why: "a message without an error", ours: func(r kmsg.Response) {
			r.(*kmsg.AlterPartitionAssignmentsResponse).ErrorMessage = nil
		}},
		{name: "ListPartitionReassignments: all", req: with(0, func(r *kmsg.ListPartitionReassignmentsRequest) { r.Topics = nil })},
		{name: "ListPartitionReassignments: a topic", req: list("here", 0, 1)},
		{name: "ListPartitionReassignments: what is not", req: list("gone", 0)},
	}
}

func logDirQuestions() []question {
	move := func(dir, topic string, partition int32) kmsg.Request {
		return with(2, func(r *kmsg.AlterReplicaLogDirsRequest) {
			t := kmsg.NewAlterReplicaLogDirsRequestDirTopic()
			t.Topic, t.Partitions = topic, []int32{partition}
			d := kmsg.NewAlterReplicaLogDirsRequestDir()
			d.Dir, d.Topics = dir, append(d.Topics, t)
			r.Dirs = append(r.Dirs, d)
		})
	}
	return []question{
		{name: "AlterReplicaLogDirs: to an unknown directory", req: move("/no/such/dir", "here", 0)},
		{name: "AlterReplicaLogDirs: to a relative directory", req: move("dir", "here", 0)},
		{name: "AlterReplicaLogDirs: an unknown topic", req: move("/no/such/dir", "gone", 0)},
		{name: "AlterReplicaLogDirs: an unknown partition", req: move("/no/such/dir", "here", 9)},
		{name: "AlterReplicaLogDirs: nothing", req: with(2, func(*kmsg.AlterReplicaLogDirsRequest) {})},
	}
}

func featureQuestions() []question {
	update := func(version int16, feature string, level int16, upgrade int8) kmsg.Request {
		return with(version, func(r *kmsg.UpdateFeaturesRequest) {
			u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
			u.Feature, u.MaxVersionLevel, u.UpgradeType = feature, level, upgrade
			r.FeatureUpdates = append(r.FeatureUpdates, u)
		})
	}
	return []question{
		{name: "UpdateFeatures: an unknown feature", req: update(2, "wishes", 1, 1)},
		{name: "UpdateFeatures v1: an unknown feature", req: update(1, "wishes", 1, 1)},
		{name: "UpdateFeatures v0: an unknown feature", req: update(0, "wishes", 1, 0)},
		{name: "UpdateFeatures: nothing of it", req: update(2, "wishes", 0, 1)},
		{name: "UpdateFeatures: an unsafe downgrade", req: update(2, "wishes", 0, 3)},
		{name: "UpdateFeatures: a downgrade to more", req: update(2, "wishes", 1, 2)},
		{name: "UpdateFeatures: an unknown kind", req: update(2, "wishes", 1, 0)},
		{name: "UpdateFeatures: a safe downgrade", req: update(2, "wishes", 0, 2)},
		{name: "UpdateFeatures: a negative level", req: update(2, "wishes", -1, 1)},
		{name: "UpdateFeatures: an empty name", req: update(2, "", 1, 1)},
		{name: "UpdateFeatures: nothing", req: with(2, func(*kmsg.UpdateFeaturesRequest) {})},
		{name: "UpdateFeatures: a level too high", req: update(2, "group.version", 99, 1), why: "no feature has levels here", ours: func(r kmsg.Response) {
			r.(*kmsg.UpdateFeaturesResponse).ErrorMessage = kmsg.StringPtr("The update failed for all features since the following feature had an error: Invalid update version 99 for feature group.version. Local controller 1 does not support this feature.")
		}},
		{name: "UpdateFeatures: a feature twice", req: with(2, func(r *kmsg.UpdateFeaturesRequest) {
			once := update(2, "wishes", 1, 1).(*kmsg.UpdateFeaturesRequest)
			r.FeatureUpdates = append(r.FeatureUpdates, once.FeatureUpdates[0], once.FeatureUpdates[0])
		})},
	}
}

func transactionQuestions() []question {
	describe := func(ids ...string) kmsg.Request {
		return with(0, func(r *kmsg.DescribeTransactionsRequest) { r.TransactionalIDs = ids })
	}
	notSure := func(r kmsg.Response) bool { return r.(*kmsg.FindCoordinatorResponse).Coordinators[0].ErrorCode != 0 }
	notLoaded := func(r kmsg.Response) bool {
		for _, state := range r.(*kmsg.DescribeTransactionsResponse).TransactionStates {
			if code := wire.Error(state.ErrorCode); code == wire.NotCoordinator || code == wire.CoordinatorLoadInProgress {
				return true
			}
		}
		return false
	}
	return []question{
		{name: "FindCoordinator: of a transaction", req: with(6, func(r *kmsg.FindCoordinatorRequest) {
			r.CoordinatorType, r.CoordinatorKeys = transactionCoordinator, []string{"a"}
		}), again: notSure, why: "transactions are not served; all clients take this code as final", ours: func(r kmsg.Response) {
			c := &r.(*kmsg.FindCoordinatorResponse).Coordinators[0]
			c.ErrorCode, c.ErrorMessage, c.NodeID, c.Host, c.Port = 53, kmsg.StringPtr("transactions are not served"), -1, "", -1
		}},
		{name: "ListTransactions: all", req: with(2, func(*kmsg.ListTransactionsRequest) {})},
		{name: "ListTransactions: states", req: with(2, func(r *kmsg.ListTransactionsRequest) {
			r.StateFilters = []string{"Ongoing", "Wishful", "PrepareCommit", "ongoing"}
		})},
		{name: "ListTransactions: a pattern", req: with(2, func(r *kmsg.ListTransactionsRequest) { r.TransactionalIDPattern = kmsg.StringPtr("a.*") })},
		{name: "ListTransactions: a bad pattern", req: with(2, func(r *kmsg.ListTransactionsRequest) { r.TransactionalIDPattern = kmsg.StringPtr("a(") })},
		{name: "DescribeTransactions: unknown", req: describe("a", "b"), again: notLoaded},
		{name: "DescribeTransactions: empty", req: describe("")},
		{name: "DescribeTransactions: twice", req: describe("a", "a")},
		{name: "DescribeTransactions: none", req: describe()},
	}
}

func configResourceQuestions() []question {
	list := func(version int16, types ...int8) kmsg.Request {
		return with(version, func(r *kmsg.ListConfigResourcesRequest) { r.ResourceTypes = types })
	}
	return []question{
		{name: "ListConfigResources v0", req: list(0)},
		{name: "ListConfigResources: all", req: list(1)},
		{name: "ListConfigResources: topics", req: list(1, 2)},
		{name: "ListConfigResources: brokers and loggers", req: list(1, 4, 8)},
		{name: "ListConfigResources: client metrics", req: list(1, 16)},
		{name: "ListConfigResources: groups", req: list(1, 32)},
		{name: "ListConfigResources: an unknown kind", req: list(1, 2, 99)},
	}
}

func unregisterQuestions() []question {
	return []question{
		{name: "UnregisterBroker: an unknown one", req: with(0, func(r *kmsg.UnregisterBrokerRequest) { r.BrokerID = 99 })},
		{name: "UnregisterBroker: a negative one", req: with(0, func(r *kmsg.UnregisterBrokerRequest) { r.BrokerID = -1 })},
	}
}

// What Kafka cannot be asked without harm, or only with a path of its machine.
func TestOnlyDirectoryAndOnlyBroker(t *testing.T) {
	n := start(t)
	n.create("here", 1)
	moves := with(2, func(r *kmsg.AlterReplicaLogDirsRequest) {
		d := kmsg.NewAlterReplicaLogDirsRequestDir()
		d.Dir = "data"
		d.Topics = []kmsg.AlterReplicaLogDirsRequestDirTopic{{Topic: "here", Partitions: []int32{0, 1}}, {Topic: "gone", Partitions: []int32{0}}}
		r.Dirs = append(r.Dirs, d)
	})
	topics := call[*kmsg.AlterReplicaLogDirsResponse](n, moves).Topics
	wantCode(t, "to where it is", topics[0].Partitions[0].ErrorCode, wire.None)
	wantCode(t, "an unknown partition", topics[0].Partitions[1].ErrorCode, wire.UnknownTopicOrPartition)
	wantCode(t, "an unknown topic", topics[1].Partitions[0].ErrorCode, wire.UnknownTopicOrPartition)

	leave := with(0, func(r *kmsg.UnregisterBrokerRequest) { r.BrokerID = 1 })
	wantCode(t, "unregister the broker itself", call[*kmsg.UnregisterBrokerResponse](n, leave).ErrorCode, wire.InvalidRequest)
	n.produce("here", "still led")
}

// A pattern costs memory by its length.
func TestTransactionPatternIsBounded(t *testing.T) {
	n := start(t)
	list := with(2, func(r *kmsg.ListTransactionsRequest) {
		r.TransactionalIDPattern = kmsg.StringPtr(strings.Repeat("x{1000}", 1000))
	})
	wantCode(t, "a pattern of 7000 bytes", call[*kmsg.ListTransactionsResponse](n, list).ErrorCode, wire.InvalidRegularExpression)
}
