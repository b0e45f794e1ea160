package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/config"
	"github.com/logbahn/logbahn/internal/vfs"
)

const (
	whyFull = "a broker that cannot write refuses every record; reading goes on"
	doFull  = "free space on that volume, or shorten what is kept: logbahn topic alter TOPIC -c retention.ms=… (or retention.bytes), or logbahn topic trim"
)

// disks asks the broker that was reached for the room in its log directories.
func (d *doctor) disks(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, doctorPatience)
	defer cancel()
	reply, err := d.atSeed().RetriableRequest(ctx, kmsg.NewPtrDescribeLogDirsRequest())
	if err != nil {
		d.skip("disks", "the broker does not tell: %v", plainly(err))
		return
	}
	resp := reply.(*kmsg.DescribeLogDirsResponse)
	for i := range resp.Dirs {
		dir := &resp.Dirs[i]
		err := kerr.ErrorForCode(dir.ErrorCode)
		switch {
		case err != nil:
			d.wrong("disks", fmt.Sprintf("%s is offline: %v", dir.Dir, err), "its partitions are neither written nor read", "look into the broker's log for the failure of this directory; replace the disk if it is one")
		case nearlyFull(dir.UsableBytes, dir.TotalBytes):
			d.wrong("disks", fmt.Sprintf("%s is nearly full: %s left", dir.Dir, bytesText(dir.UsableBytes)), whyFull, doFull)
		case dir.UsableBytes < 0:
			d.skip("disks", "%s: the broker does not tell how much is left", dir.Dir)
		default:
			d.ok("disks", "%s: %s left", dir.Dir, bytesText(dir.UsableBytes))
		}
	}
}

// data looks at a data directory on this machine.
func (d *doctor) data() {
	disk := vfs.Disk()
	info, err := os.Stat(d.dataDir)
	switch {
	case err != nil:
		d.wrong("data", err.Error(), "a broker keeps its records there", "make it, or give another one: log.dirs")
		return
	case !info.IsDir():
		d.wrong("data", d.dataDir+" is not a directory", "a broker keeps its records in a directory", "give another one: log.dirs")
		return
	}
	if free, err := disk.Free(d.dataDir); err == nil && nearlyFull(free, -1) {
		d.wrong("data", fmt.Sprintf("%s is nearly full: %s left", d.dataDir, bytesText(free)), whyFull, doFull)
	} else if err == nil {
		d.ok("data", "%s: %s left", d.dataDir, bytesText(free))
	}
	d.owner()
	d.sync()
	d.localFiles()
}

// owner says whose data it is.
func (d *doctor) owner() {
	name := filepath.Join(d.dataDir, "meta.properties")
	data, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		d.ok("data", "%s is not formatted: a broker formats it when it starts on it", d.dataDir)
		return
	}
	var settings config.Settings
	if err == nil {
		settings, err = config.ParseProperties(name, data)
	}
	if err != nil {
		d.wrong("data", err.Error(), "a broker does not start on a directory whose owner is not known", "restore this file from a backup; cluster.id and node.id are in the broker's log of earlier starts")
		return
	}
	m := settings.Map()
	d.ok("data", "node %s of cluster %s", orDash(m["node.id"]), orDash(m["cluster.id"]))
}

// sync measures what every acknowledged record waits for.
func (d *doctor) sync() {
	f, err := os.CreateTemp(d.dataDir, ".logbahn-doctor-")
	if err != nil {
		d.wrong("data", fmt.Sprintf("cannot write: %v", err), "a broker cannot either, if it runs as this user", "give the broker's user the directory: chown")
		return
	}
	defer os.Remove(f.Name())
	defer f.Close()
	const times = 5
	begin := time.Now()
	for range times {
		if _, err = f.Write(make([]byte, 4096)); err == nil {
			err = f.Sync()
		}
		if err != nil {
			d.wrong("data", fmt.Sprintf("cannot write: %v", err), whyFull, doFull)
			return
		}
	}
	d.ok("sync", "%v for a write to be on disk", (time.Since(begin) / times).Round(10*time.Microsecond))
}
