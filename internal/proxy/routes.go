package proxy

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/coordinator"
	"github.com/logbahn/logbahn/internal/wire"
)

// answerer answers a request. An error closes the client's connection.
type answerer func(r *call, ctx context.Context) (kmsg.Response, error)

// routes says who answers what, by key. Produce, Fetch and what is about one group (ofGroup) have ways of their own, and
// ApiVersions is the broker's: it is about the connection. What is not here is not served to clients by any listener, or is for nodes only.
var routes = map[int16]answerer{
	int16(kmsg.ListOffsets):                  (*call).listOffsets,
	int16(kmsg.Metadata):                     (*call).metadata,
	int16(kmsg.OffsetFetch):                  (*call).offsetFetch,
	int16(kmsg.FindCoordinator):              (*call).findCoordinator,
	int16(kmsg.DescribeGroups):               (*call).describeGroups,
	int16(kmsg.ListGroups):                   (*call).listGroups,
	int16(kmsg.SASLHandshake):                (*call).here,
	int16(kmsg.CreateTopics):                 (*call).here,
	int16(kmsg.DeleteTopics):                 (*call).here,
	int16(kmsg.DeleteRecords):                (*call).deleteRecords,
	int16(kmsg.InitProducerID):               (*call).here,
	int16(kmsg.OffsetForLeaderEpoch):         (*call).offsetForLeaderEpoch,
	int16(kmsg.DescribeACLs):                 (*call).here,
	int16(kmsg.CreateACLs):                   (*call).here,
	int16(kmsg.DeleteACLs):                   (*call).here,
	int16(kmsg.DescribeConfigs):              (*call).describeConfigs,
	int16(kmsg.AlterConfigs):                 (*call).alterConfigs,
	int16(kmsg.AlterReplicaLogDirs):          (*call).here,
	int16(kmsg.DescribeLogDirs):              (*call).describeLogDirs,
	int16(kmsg.SASLAuthenticate):             (*call).here,
	int16(kmsg.CreatePartitions):             (*call).here,
	int16(kmsg.CreateDelegationToken):        (*call).here,
	int16(kmsg.RenewDelegationToken):         (*call).here,
	int16(kmsg.ExpireDelegationToken):        (*call).here,
	int16(kmsg.DescribeDelegationToken):      (*call).here,
	int16(kmsg.DeleteGroups):                 (*call).deleteGroups,
	int16(kmsg.ElectLeaders):                 (*call).here,
	int16(kmsg.IncrementalAlterConfigs):      (*call).incrementalAlterConfigs,
	int16(kmsg.AlterPartitionAssignments):    (*call).here,
	int16(kmsg.ListPartitionReassignments):   (*call).here,
	int16(kmsg.DescribeClientQuotas):         (*call).here,
	int16(kmsg.AlterClientQuotas):            (*call).here,
	int16(kmsg.DescribeUserSCRAMCredentials): (*call).here,
	int16(kmsg.AlterUserSCRAMCredentials):    (*call).here,
	int16(kmsg.DescribeQuorum):               (*call).here,
	int16(kmsg.UpdateFeatures):               (*call).here,
	int16(kmsg.DescribeCluster):              (*call).describeCluster,
	int16(kmsg.DescribeProducers):            (*call).describeProducers,
	int16(kmsg.UnregisterBroker):             (*call).here,
	int16(kmsg.DescribeTransactions):         (*call).here,
	int16(kmsg.ListTransactions):             (*call).here,
	int16(kmsg.ListConfigResources):          (*call).here,
	int16(kmsg.DescribeTopicPartitions):      (*call).describeTopicPartitions,
	int16(kmsg.AddRaftVoter):                 (*call).here,
	int16(kmsg.RemoveRaftVoter):              (*call).here,
}

// Serves tells whether clients of a proxy are answered to an API.
func Serves(key int16) bool {
	if _, ok := routes[key]; ok || key == wire.KeyProduce || key == wire.KeyFetch {
		return true
	}
	req := kmsg.RequestForKey(key)
	if req == nil {
		return false
	}
	_, group := groupOf(req)
	return group
}

// here asks this node: what every node knows, and what every node passes on to the controller.
func (r *call) here(ctx context.Context) (kmsg.Response, error) {
	return r.ask(ctx, r.proxy.cfg.NodeID, r.req)
}

// topicRef is how a request names a topic: by name, or by id.
type topicRef struct {
	name string
	id   cluster.UUID
	byID bool
}

// leader returns the node to ask about a partition: its leader if that is alive, else this node, which has the right code
// for what is wrong.
func (r *call) leader(ref topicRef, index int32) cluster.NodeID {
	var t *cluster.Topic
	var ok bool
	if ref.byID {
		t, ok = r.img.TopicByID(ref.id)
	} else {
		t, ok = r.img.Topic(ref.name)
	}
	if !ok || index < 0 || int(index) >= len(t.Partitions) {
		return r.proxy.cfg.NodeID
	}
	return r.alive(t.Partitions[index].Leader)
}

// coordinator returns the node to ask about a group.
func (r *call) coordinator(group string) cluster.NodeID {
	t, ok := r.img.Topic(coordinator.OffsetsTopic)
	if !ok {
		return r.proxy.cfg.NodeID
	}
	return r.alive(t.Partitions[coordinator.PartitionFor(group, int32(len(t.Partitions)))].Leader)
}

// alive returns the node if the cluster holds it for alive, else this one.
func (r *call) alive(node cluster.NodeID) cluster.NodeID {
	if b, ok := r.img.Broker(node); ok && !b.Fenced {
		return node
	}
	return r.proxy.cfg.NodeID
}
