package node

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/config"
	"github.com/logbahn/logbahn/internal/coordinator/group"
	"github.com/logbahn/logbahn/internal/peer"
	"github.com/logbahn/logbahn/internal/quorum"
)

// The metadata log is a partition like others, with an id that Kafka reserves for it.
var (
	metadataPartition = commitlog.TopicPartition{Topic: "__cluster_metadata"}
	metadataTopicID   = [16]byte{15: 1}
)

const snapshotBytesMax = 4 << 20

// openQuorum takes part in the metadata quorum. From here on this node is missed in the cluster when it is gone.
func (n *Node) openQuorum(context.Context) error {
	if err := n.checkMetadataLog(); err != nil {
		return err
	}
	cfg := commitlog.DefaultConfig()
	cfg.Delete = false
	cfg.SegmentBytes = int64(n.broker.Quorum.SegmentBytes)
	// Entries without changes have no clock: their age says nothing.
	cfg.SegmentMs, cfg.PreallocateBytes = math.MaxInt64, 0
	var err error
	if n.metaLog, err = n.dir.Open(metadataPartition, metadataTopicID, cfg, commitlog.Hooks{}); errors.Is(err, commitlog.ErrCorrupt) {
		return n.damagedMetadata(err)
	} else if err != nil {
		return fmt.Errorf("metadata log: %w", err)
	}
	n.quorum, err = quorum.Open(quorum.Config{
		FS: n.fs, Dir: n.metadataFolder(), Log: n.metaLog, ClusterID: n.dir.ClusterID(),
		Self:      n.self(),
		Voters:    n.voters,
		Machine:   newController(n.broker, n.static),
		Transport: n.raft,
		Members:   n.membersChanged,
		Fetch:     n.controllers.Fetch,
		Request: func(ctx context.Context, id cluster.NodeID, req kmsg.Request) (kmsg.Response, error) {
			return n.controllers.Request(ctx, id, peer.Control, req)
		},
		// A start reads what has been written since the last snapshot: it must not be much.
		SnapshotBytes: min(n.broker.Quorum.SnapshotAfterBytes, snapshotBytesMax),
		Logger:        n.log,
		Now:           n.cfg.Now,
	})
	if err != nil {
		return err
	}
	if n.isController() && !n.cfg.InProcess {
		n.openLookout()
	}
	close(n.opened)
	return n.dir.Formed()
}

// openedQuorum returns the quorum, nil while it is not open yet.
func (n *Node) openedQuorum() *quorum.Quorum {
	select {
	case <-n.opened:
		return n.quorum
	default:
		return nil
	}
}

// metadata returns the cluster's memory as this node reaches it. The quorum is open.
func (n *Node) metadata() metadata { return metadata{n.quorum, n} }

// checkMetadataLog refuses a directory that has partitions and no metadata log, which is made before any of them: with an
// empty one nobody would know these topics, and their folders would be set aside.
func (n *Node) checkMetadataLog() error {
	folders, err := n.dir.List()
	if err != nil {
		return err
	}
	for _, f := range folders {
		switch {
		case f.TopicPartition != metadataPartition:
			continue
		case f.TopicID != metadataTopicID && f.TopicID != cluster.ZeroUUID: // as another topic's it would be set aside, with the vote in it
			return n.damagedMetadata(fmt.Errorf("%s says that its topic id is %v", f.TopicPartition, cluster.UUID(f.TopicID)))
		}
		return nil
	}
	if len(folders) == 0 {
		return nil
	}
	return fmt.Errorf("%s holds %d partitions, %s among them, and no %s: restore that folder from a backup, or move the partitions away to begin without them",
		n.dir.Path(), len(folders), folders[0].TopicPartition, metadataPartition)
}

// damagedMetadata says what to do about a metadata log that is not what was written.
func (n *Node) damagedMetadata(err error) error {
	return fmt.Errorf("metadata log: %w: restore %s from a backup; or, where other voters hold the metadata, start with an empty directory, and this node takes its place among the voters again",
		err, n.metadataFolder())
}

// watch is the goroutine that ends the node when its quorum has failed.
func (n *Node) watch() {
	defer n.running.Done()
	select {
	case <-n.stop:
	case <-n.quorum.Failed():
		go n.fail(n.quorum.Err())
	}
}

// groupConfig gives the group coordinator what the settings say.
func groupConfig(b config.Broker) group.Config {
	delay := milliseconds(int64(b.Groups.InitialRebalanceDelayMs))
	if delay == 0 {
		delay = -1 // the machine's word for none
	}
	return group.Config{
		InitialRebalanceDelay:  delay,
		SessionTimeoutMin:      milliseconds(int64(b.Groups.SessionTimeoutMinMs)),
		SessionTimeoutMax:      milliseconds(int64(b.Groups.SessionTimeoutMaxMs)),
		SizeMax:                int(b.Groups.SizeMax),
		OffsetMetadataMax:      int(b.Offsets.MetadataBytesMax),
		OffsetsRetention:       milliseconds(int64(b.Offsets.RetentionMinutes) * time.Minute.Milliseconds()),
		RetentionCheckInterval: milliseconds(b.Offsets.RetentionCheckIntervalMs),
	}
}
