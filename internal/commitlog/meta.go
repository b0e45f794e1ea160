package commitlog

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/logbahn/logbahn/internal/vfs"
)

const (
	metaFile          = "meta.properties"
	metaVersion       = 1
	partitionMetaFile = "partition.metadata"
	lockFile          = ".lock"
	cleanFile         = ".kafka_cleanshutdown"
	brokerEpochFile   = ".broker_epoch"
	metaBytesMax      = 64 << 10
)

// meta is what meta.properties says of a directory.
type meta struct {
	clusterID   string // "" only while forming
	nodeID      int32
	directoryID [16]byte
	// forming: there is no cluster yet, or nothing of it is here. Kafka has no such line.
	forming bool
}

// newID returns a random UUID of version 4, as Kafka's Uuid.randomUuid. None begins with "-", which shells would take
// for a flag.
func newID() [16]byte {
	for {
		var id [16]byte
		_, _ = rand.Read(id[:]) // never fails
		id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
		if formatID(id)[0] != '-' {
			return id
		}
	}
}

// formatID writes an id as Kafka's Uuid.toString.
func formatID(id [16]byte) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

func parseID(s string) (id [16]byte, err error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("%w: id %q", ErrCorrupt, s)
	}
	return [16]byte(b), nil
}

func (m meta) encode(now time.Time) []byte {
	b := fmt.Appendf(nil, "#\n#%s\n", now.UTC().Format("Mon Jan 02 15:04:05 MST 2006"))
	if m.clusterID != "" {
		b = fmt.Appendf(b, "cluster.id=%s\n", m.clusterID)
	}
	b = fmt.Appendf(b, "directory.id=%s\n", formatID(m.directoryID))
	if m.forming {
		b = fmt.Appendf(b, "%s=true\n", formingProperty)
	}
	return fmt.Appendf(b, "node.id=%d\nversion=%d\n", m.nodeID, metaVersion)
}

const formingProperty = "logbahn.forming"

// decodeMeta reads meta.properties. A directory id may be missing, as before Kafka 3.7.
func decodeMeta(b []byte) (meta, error) {
	p := properties(b)
	version, err := strconv.Atoi(p["version"])
	if err != nil {
		return meta{}, fmt.Errorf("%w: %s has version %q", ErrFormat, metaFile, p["version"])
	}
	if version != metaVersion {
		return meta{}, fmt.Errorf("%w: %s has version %d, this program knows %d", ErrFormat, metaFile, version, metaVersion)
	}
	node, err := parseNumber(p["node.id"], 32)
	forming := p[formingProperty] == "true"
	if err != nil || p["cluster.id"] == "" && !forming {
		return meta{}, fmt.Errorf("%w: %s names no cluster or node", ErrFormat, metaFile)
	}
	m := meta{clusterID: p["cluster.id"], nodeID: int32(node), forming: forming}
	if s := p["directory.id"]; s != "" {
		if m.directoryID, err = parseID(s); err != nil {
			return meta{}, fmt.Errorf("%w: %s: %w", ErrFormat, metaFile, err)
		}
	}
	return m, nil
}

// properties reads the simple part of Java's properties format, which is all that Kafka writes into this file.
func properties(b []byte) map[string]string {
	p := make(map[string]string)
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		key, value, _ := strings.Cut(line, "=")
		p[strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	return p
}

// loadMeta reads what the directory is, and makes it one when it is empty.
func loadMeta(cfg *DirConfig) (meta, error) {
	name := path.Join(cfg.Path, metaFile)
	b, err := vfs.ReadFile(cfg.FS, name, metaBytesMax)
	if errors.Is(err, fs.ErrNotExist) {
		return format(cfg)
	}
	if err != nil {
		return meta{}, err
	}
	m, err := decodeMeta(b)
	if err != nil {
		return meta{}, err
	}
	if cfg.ClusterID != "" && m.clusterID != "" && m.clusterID != cfg.ClusterID {
		return meta{}, fmt.Errorf("%w: %s is of cluster %s, not %s", ErrForeignCluster, cfg.Path, m.clusterID, cfg.ClusterID)
	}
	if m.nodeID != cfg.NodeID {
		return meta{}, fmt.Errorf("%w: %s is of node %d, not %d", ErrForeignCluster, cfg.Path, m.nodeID, cfg.NodeID)
	}
	whole := m
	if m.directoryID == ([16]byte{}) {
		whole.directoryID = newID()
	}
	if m.forming && !cfg.Forms {
		whole.forming = false
		if m.clusterID == "" {
			whole.clusterID = newClusterID(cfg)
		}
	}
	if whole == m {
		return m, nil
	}
	return whole, vfs.WriteFileAtomic(cfg.FS, name, whole.encode(cfg.Now()))
}

// newClusterID returns the id of a cluster that begins with this directory.
func newClusterID(cfg *DirConfig) string {
	if cfg.ClusterID != "" {
		return cfg.ClusterID
	}
	return formatID(newID())
}

// Forming tells whether no cluster is known to have begun with this directory in it: it is fresh, or the node stopped
// before Formed. Only with DirConfig.Forms.
func (d *Dir) Forming() bool { return d.meta.Load().forming }

// Join makes the directory, while it is forming, one of a cluster. It returns when that is on disk. Join and Formed are
// for the one who has opened the directory: one call at a time.
func (d *Dir) Join(clusterID string) error {
	m := *d.meta.Load()
	if m.clusterID != "" && m.clusterID != clusterID {
		return fmt.Errorf("%w: %s is of cluster %s, not %s", ErrForeignCluster, d.path, m.clusterID, clusterID)
	}
	m.clusterID = clusterID
	return d.changeMeta(m)
}

// Formed notes that what the cluster keeps in the directory is there: from here on it is missed when it is gone.
func (d *Dir) Formed() error {
	m := *d.meta.Load()
	m.forming = false
	return d.changeMeta(m)
}

func (d *Dir) changeMeta(m meta) error {
	if m == *d.meta.Load() {
		return nil
	}
	if err := vfs.WriteFileAtomic(d.fs, path.Join(d.path, metaFile), m.encode(d.cfg.Now())); err != nil {
		return fmt.Errorf("%s: %w", metaFile, err)
	}
	d.meta.Store(&m)
	return nil
}

func format(cfg *DirConfig) (meta, error) {
	names, err := cfg.FS.List(cfg.Path)
	if err != nil {
		return meta{}, err
	}
	for _, name := range names {
		if name != lockFile && name != metaFile+".tmp" && name != "lost+found" {
			return meta{}, fmt.Errorf("%w: %s holds %s and no %s", ErrFormat, cfg.Path, name, metaFile)
		}
	}
	m := meta{clusterID: cfg.ClusterID, nodeID: cfg.NodeID, directoryID: newID(), forming: cfg.Forms}
	if !cfg.Forms {
		m.clusterID = newClusterID(cfg)
	}
	return m, vfs.WriteFileAtomic(cfg.FS, path.Join(cfg.Path, metaFile), m.encode(cfg.Now()))
}

func encodePartitionMeta(topicID [16]byte) []byte {
	return []byte("version: 0\ntopic_id: " + formatID(topicID) + "\n")
}

func decodePartitionMeta(b []byte) ([16]byte, error) {
	version, id, ok := strings.Cut(strings.TrimSuffix(string(b), "\n"), "\n")
	id, named := strings.CutPrefix(id, "topic_id: ")
	if tornPartitionMeta(b) {
		return [16]byte{}, tornError{}
	}
	if !ok || !named || version != "version: 0" {
		return [16]byte{}, fmt.Errorf("%w: %s", ErrCorrupt, partitionMetaFile)
	}
	return parseID(id)
}

// tornError is ErrCorrupt for a partition.metadata that a power cut can have left: it is too short or has zeros in it, and
// otherwise says what it should.
type tornError struct{}

func (tornError) Error() string { return partitionMetaFile + " was never synced" }
func (tornError) Unwrap() error { return ErrCorrupt }

func tornPartitionMeta(b []byte) bool {
	whole := encodePartitionMeta([16]byte{})
	lost := len(b) < len(whole)
	head := len("version: 0\ntopic_id: ")
	for i, c := range b {
		switch {
		case c == 0:
			lost = true
		case i >= len(whole), i < head && c != whole[i]:
			return false
		}
	}
	return lost
}

// cleanShutdown is what the marker of a clean stop says, since Kafka 3.8, and what the file of the broker epoch does.
type cleanShutdown struct {
	Version     int   `json:"version"`
	BrokerEpoch int64 `json:"brokerEpoch"`
	FlushOS     bool  `json:"flushOS,omitempty"` // of the broker epoch only
}

func encodeCleanShutdown(brokerEpoch int64) []byte { return encodeBrokerEpoch(brokerEpoch, FlushSync) }

func encodeBrokerEpoch(epoch int64, flush FlushMode) []byte {
	b, _ := json.Marshal(cleanShutdown{BrokerEpoch: epoch, FlushOS: flush == FlushOS}) // numbers and a truth value
	return b
}

// decodeCleanShutdown returns the broker epoch, -1 when the marker names none: those of older versions are empty.
func decodeCleanShutdown(b []byte) int64 {
	epoch, _ := decodeBrokerEpoch(b)
	return epoch
}

func decodeBrokerEpoch(b []byte) (epoch int64, flushOS bool) {
	c := cleanShutdown{BrokerEpoch: -1}
	if json.Unmarshal(b, &c) != nil || c.Version != 0 {
		return -1, false
	}
	return c.BrokerEpoch, c.FlushOS
}
