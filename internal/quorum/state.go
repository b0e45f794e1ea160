package quorum

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/logbahn/logbahn/internal/seeded"
	"github.com/logbahn/logbahn/internal/vfs"
)

// stateFile holds the term, the vote, the commit index, and the members with the index of the entry that made them so. It
// is replaced as a whole and synced before anything that depends on it is: magic, version, length, CRC-32C, and three parts
// behind their lengths (docs/formats/cluster-metadata.md).
const (
	stateFile      = "quorum-state"
	stateMagic     = "LBQS"
	stateVersion   = 2
	stateBytesMax  = 1 << 20
	stateHeadBytes = 4 + 2 + 4 + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errDamaged means that a file of the quorum is not what was written.
var errDamaged = errors.New("damaged")

// state is what a voter must not forget. Entries up to confIndex have done what they do to conf, those behind it have not.
type state struct {
	hard      *pb.HardState
	conf      *pb.ConfState
	confIndex uint64
}

func newState() state { return state{hard: &pb.HardState{}, conf: &pb.ConfState{}} }

func encodeState(s state) ([]byte, error) {
	hard, err := proto.Marshal(s.hard)
	if err != nil {
		return nil, err
	}
	conf, err := proto.Marshal(s.conf)
	if err != nil {
		return nil, err
	}
	index := binary.BigEndian.AppendUint64(nil, s.confIndex)
	return seal(stateMagic, stateVersion, appendPart(appendPart(appendPart(nil, hard), conf), index)), nil
}

func decodeState(b []byte) (state, error) {
	s := newState()
	version, body, err := unseal(stateMagic, stateVersion, b)
	if err != nil {
		return s, err
	}
	hard, body, err := cutPart(body)
	if err != nil {
		return s, err
	}
	conf, body, err := cutPart(body)
	if err != nil {
		return s, err
	}
	if version == 1 { // without the index: the changes of members are then made once more
		body = appendPart(body, make([]byte, 8))
	}
	index, rest, err := cutPart(body)
	if err != nil {
		return s, err
	}
	if len(index) != 8 || len(rest) > 0 {
		return s, fmt.Errorf("%w: its parts have other lengths", errDamaged)
	}
	s.confIndex = binary.BigEndian.Uint64(index)
	if err := proto.Unmarshal(hard, s.hard); err != nil {
		return s, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if err := proto.Unmarshal(conf, s.conf); err != nil {
		return s, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return s, nil
}

// readState returns the state of dir, an empty one where there is none.
func readState(fsys vfs.FS, dir string) (state, error) {
	name := path.Join(dir, stateFile)
	b, err := vfs.ReadFile(fsys, name, stateBytesMax)
	if errors.Is(err, fs.ErrNotExist) {
		return newState(), nil
	}
	if err != nil {
		return state{}, err
	}
	s, err := decodeState(b)
	if err != nil {
		return s, fmt.Errorf("%s: %w: this node no longer knows how it voted; as the only voter it can be started from a backup of the data directory, among others remove it and add it again with an empty one", name, err)
	}
	return s, nil
}

// Begun tells whether a directory is that of a node which has begun to take part in a cluster: it must not begin another.
func Begun(fsys vfs.FS, dir string) (bool, error) {
	_, err := fsys.Stat(path.Join(dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func writeState(fsys vfs.FS, dir string, s state) error {
	b, err := encodeState(s)
	if err != nil {
		return err
	}
	return vfs.WriteFileAtomic(fsys, path.Join(dir, stateFile), b)
}

// seal frames body: magic, version, length, CRC-32C of the body.
func seal(magic string, version uint16, body []byte) []byte {
	b := make([]byte, 0, stateHeadBytes+len(body))
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint16(b, version)
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(body, castagnoli))
	return append(b, body...)
}

// unseal is the inverse of seal, for versions up to versionMax. It allocates nothing.
func unseal(magic string, versionMax uint16, b []byte) (version uint16, body []byte, err error) {
	if len(b) < stateHeadBytes || string(b[:4]) != magic {
		return 0, nil, fmt.Errorf("%w: it does not begin with %q", errDamaged, magic)
	}
	if version = binary.BigEndian.Uint16(b[4:]); version == 0 || version > versionMax {
		return 0, nil, fmt.Errorf("it has version %d, this release reads versions up to %d", version, versionMax)
	}
	body = b[stateHeadBytes:]
	if n := binary.BigEndian.Uint32(b[6:]); uint64(n) != uint64(len(body)) {
		return 0, nil, fmt.Errorf("%w: %d bytes where %d were written", errDamaged, len(body), n)
	}
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(b[10:]) && !seeded.Is(seeded.PassOverChecksum) {
		return 0, nil, fmt.Errorf("%w: its checksum does not match", errDamaged)
	}
	return version, body, nil
}

func appendPart(dst, part []byte) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(part))), part...)
}

func cutPart(b []byte) (part, rest []byte, err error) {
	if len(b) < 4 || uint64(binary.BigEndian.Uint32(b)) > uint64(len(b)-4) {
		return nil, nil, fmt.Errorf("%w: a part is cut off", errDamaged)
	}
	n := 4 + int(binary.BigEndian.Uint32(b))
	return b[4:n], b[n:], nil
}
