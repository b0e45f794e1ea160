package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"path"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/config"
	"github.com/logbahn/logbahn/internal/coordinator/group"
	"github.com/logbahn/logbahn/internal/quorum"
)

// The metadata log is a partition like others, with an id that Kafka reserves for it.
var (
	metadataPartition = commitlog.TopicPartition{Topic: "__cluster_metadata"}
	metadataTopicID   = [16]byte{15: 1}
)

const snapshotBytesMax = 4 << 20

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
	if n.metaLog, err = n.dir.Open(metadataPartition, metadataTopicID, cfg, commitlog.Hooks{}); err != nil {
		return fmt.Errorf("metadata log: %w", err)
	}
	n.quorum, err = quorum.Open(quorum.Config{
		FS: n.fs, Dir: path.Join(n.dir.Path(), metadataPartition.String()), Log: n.metaLog, ClusterID: n.dir.ClusterID(),
		Self:    quorum.Voter{NodeID: n.broker.NodeID, DirectoryID: n.dir.DirectoryID()},
		Voters:  []quorum.Voter{{NodeID: n.broker.NodeID, DirectoryID: n.dir.DirectoryID()}},
		Machine: newController(n.broker, n.static),
		// A start reads what has been written since the last snapshot: it must not be much.
		SnapshotBytes: min(n.broker.Quorum.SnapshotAfterBytes, snapshotBytesMax),
		Logger:        n.log,
		Now:           n.cfg.Now,
	})
	return err
}

// checkMetadataLog refuses a directory that has partitions and no metadata log, which is made before any of them: with an
// empty one nobody would know these topics, and their folders would be set aside.
func (n *Node) checkMetadataLog() error {
	folders, err := n.dir.List()
	if err != nil {
		return err
	}
	for _, f := range folders {
		if f.TopicPartition == metadataPartition {
			return nil
		}
	}
	if len(folders) == 0 {
		return nil
	}
	return fmt.Errorf("%s holds %d partitions, %s among them, and no %s: restore that folder from a backup, or move the partitions away to begin without them",
		n.dir.Path(), len(folders), folders[0].TopicPartition, metadataPartition)
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

// register makes the broker known to the cluster, in a life of its own.
func (n *Node) register(ctx context.Context) error {
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.BrokerID, req.ClusterID, req.PreviousBrokerEpoch = n.broker.NodeID, n.dir.ClusterID(), -1
	if _, err := rand.Read(req.IncarnationID[:]); err != nil {
		return err
	}
	if n.broker.Rack != "" {
		req.Rack = &n.broker.Rack
	}
	req.LogDirs = [][16]byte{n.dir.DirectoryID()}
	for _, e := range n.advertised() {
		l := kmsg.NewBrokerRegistrationRequestListener()
		l.Name, l.Host, l.Port, l.SecurityProtocol = e.Name, e.Host, e.Port, e.Security
		req.Listeners = append(req.Listeners, l)
	}
	resp, err := n.quorum.Do(ctx, req)
	if err != nil {
		return fmt.Errorf("register broker %d: %w", n.broker.NodeID, err)
	}
	registered := resp.(*kmsg.BrokerRegistrationResponse)
	if err := kerr.ErrorForCode(registered.ErrorCode); err != nil {
		return fmt.Errorf("register broker %d: %w", n.broker.NodeID, err)
	}
	n.brokerEpoch = registered.BrokerEpoch
	return nil
}

// unfence tells the controller that this broker has caught up and may lead.
func (n *Node) unfence(ctx context.Context) error {
	beat := kmsg.NewPtrBrokerHeartbeatRequest()
	beat.BrokerID, beat.BrokerEpoch = n.broker.NodeID, n.brokerEpoch
	beat.CurrentMetadataOffset = n.quorum.Image().Offset()
	resp, err := n.quorum.Do(ctx, beat)
	if err != nil {
		return fmt.Errorf("unfence broker %d: %w", n.broker.NodeID, err)
	}
	alive := resp.(*kmsg.BrokerHeartbeatResponse)
	if err := kerr.ErrorForCode(alive.ErrorCode); err != nil {
		return fmt.Errorf("unfence broker %d: %w", n.broker.NodeID, err)
	}
	if b, ok := n.quorum.Image().Broker(n.broker.NodeID); !ok || b.Fenced {
		return errors.New("the controller keeps this broker fenced")
	}
	return nil
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
		OffsetsRetention:       time.Duration(b.Offsets.RetentionMinutes) * time.Minute,
		RetentionCheckInterval: milliseconds(b.Offsets.RetentionCheckIntervalMs),
	}
}
