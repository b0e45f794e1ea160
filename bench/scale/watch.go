//go:build linux

package main

import (
	"context"
	"errors"
	"path"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/peer"
	"github.com/logbahn/logbahn/internal/quorum"
	"github.com/logbahn/logbahn/internal/vfs"
)

// watch is an observer of the metadata log, as a broker has one, in memory: its image is the one that the stubs share.
type watch struct {
	*quorum.Quorum
	dir   *commitlog.Dir
	peers *peer.Peers
}

const watchDir = "watch"

func newWatch(f *fleet) (*watch, error) {
	fsys := vfs.NewMem()
	w := &watch{peers: peer.New(peer.Config{Self: watchID, Dial: f.log.dial})}
	w.peers.SetAddress(controllerID, f.controllerAddress)
	var err error
	w.dir, err = commitlog.OpenDir(commitlog.DirConfig{FS: fsys, Path: watchDir, ClusterID: f.clusterID, NodeID: watchID})
	if err != nil {
		return nil, err
	}
	cfg := commitlog.DefaultConfig()
	cfg.Delete = false
	partition := commitlog.TopicPartition{Topic: quorum.MetadataTopic}
	log, err := w.dir.Open(partition, quorum.MetadataTopicID, cfg, commitlog.Hooks{})
	if err != nil {
		return nil, errors.Join(err, w.dir.Close())
	}
	w.Quorum, err = quorum.Open(quorum.Config{
		FS: fsys, Dir: path.Join(watchDir, partition.String()), Log: log, ClusterID: f.clusterID,
		Self:   quorum.Voter{NodeID: watchID, DirectoryID: w.dir.DirectoryID()},
		Voters: []quorum.Voter{{NodeID: controllerID}},
		Fetch:  w.peers.Fetch,
		Request: func(ctx context.Context, id cluster.NodeID, req kmsg.Request) (kmsg.Response, error) {
			return w.peers.Request(ctx, id, peer.Control, req)
		},
	})
	if err != nil {
		return nil, errors.Join(err, w.dir.Close())
	}
	return w, nil
}

func (w *watch) close() {
	w.Quorum.Close()
	_ = w.dir.Close() // it is in memory
	w.peers.Close()
}

// await returns the first image of which holds is true.
func (w *watch) await(ctx context.Context, holds func(*cluster.Image) bool) (*cluster.Image, error) {
	for {
		img := w.Image()
		if holds(img) {
			return img, nil
		}
		if err := w.AwaitImage(ctx, img.Offset()+1); err != nil {
			return nil, err
		}
	}
}
