package node

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/peer"
	"github.com/logbahn/logbahn/internal/quorum"
	"github.com/logbahn/logbahn/internal/wire"
)

// How a cluster begins. There is no step before the first start: a node whose directory is fresh says hello to all voters of
// its configuration until all have answered, or one of them that belongs to a cluster has.
//
// If all are fresh, each of them begins the same cluster, of voters with the directory ids that they have told, and with an
// id that follows from these. Usually one node learns the last answer first and has begun when the others ask again: these
// join it. They are voters already, whose logs are empty and who have never voted.
//
// A node whose directory is of a cluster goes on with that, and asks nobody but whether the controllers that it is told of
// belong to another one.
//
// If one is not fresh, the node joins that cluster as an observer of its metadata; one that should be a voter asks for that
// later (vote.go).

var (
	errStopping = errors.New("the node stops")
	// ErrOtherCluster means that nodes of different clusters are configured to be one.
	ErrOtherCluster = errors.New("nodes of different clusters")
)

// helloPause is how often those who have not settled it yet are asked again.
const helloPause = 100 * time.Millisecond

// helloPatience bounds one round of questions.
const helloPatience = time.Second

// alone tells whether this node is its own and only controller: nobody has to be asked.
func (n *Node) alone() bool {
	return n.cfg.InProcess || n.isController() && len(n.otherVoters()) == 0 && len(n.broker.Quorum.BootstrapServers) == 0
}

func (n *Node) isController() bool { return slices.Contains(n.broker.Roles, "controller") }
func (n *Node) isBroker() bool     { return slices.Contains(n.broker.Roles, "broker") }

func (n *Node) metadataFolder() string { return path.Join(n.dir.Path(), metadataPartition.String()) }

// self is this node as a voter.
func (n *Node) self() quorum.Voter {
	return quorum.Voter{NodeID: n.broker.NodeID, DirectoryID: n.dir.DirectoryID()}
}

// form finds the cluster that this node belongs to, and who votes in it when that is not known from an earlier life.
func (n *Node) form(ctx context.Context) error {
	begun, err := quorum.Begun(n.fs, n.metadataFolder())
	switch {
	case err != nil:
		return err
	case begun && n.alone():
		return nil
	case begun:
		if err := n.checkCluster(ctx); err != nil {
			return err
		}
		if len(n.broker.Quorum.Voters) == 0 {
			n.running.Add(1)
			go n.locate()
		}
		return nil
	case n.alone():
		n.voters = []quorum.Voter{n.self()}
		return nil
	case !n.dir.Forming() && n.isController():
		return fmt.Errorf("%s is of cluster %s and has no metadata in %s, which this node may have voted with: restore that folder from a backup; or start with an empty directory, and this node takes its place among the voters again",
			n.dir.Path(), n.dir.ClusterID(), metadataPartition)
	}
	f := n.newFormation()
	found, err := f.find(ctx)
	if err != nil {
		return err
	}
	n.voters = found.voters
	n.log.Info("the cluster is found", "cluster", found.clusterID, "begins here", found.begins, "voters", len(found.voters))
	return n.dir.Join(found.clusterID)
}

// rejoinPatience is how long a node that comes back waits for somebody to say of which cluster the controllers are.
const rejoinPatience = 500 * time.Millisecond

// checkCluster refuses the directory of another cluster: where controllers of this configuration have formed one and none of
// those that answer is of the directory's, this node would serve a cluster of its own at the address of theirs. Who does not
// answer may be of this one, which has to begin again with whoever comes first.
func (n *Node) checkCluster(ctx context.Context) error {
	f := n.newFormation()
	f.address()
	defer f.forget()
	ctx, cancel := context.WithTimeout(ctx, rejoinPatience)
	defer cancel()
	f.ask(ctx)
	others := ""
	for _, t := range f.targets {
		a := f.answers[t.address]
		switch {
		case a == nil || !a.Formed || a.ClusterID == nil:
		case *a.ClusterID == n.dir.ClusterID():
			return nil
		default:
			others = fmt.Sprintf("node %d at %s is of cluster %s", a.NodeID, t.address, *a.ClusterID)
		}
	}
	if others == "" {
		return nil
	}
	return fmt.Errorf("%w: %s is of cluster %s, %s: give this node its own directory, or the voters of its own cluster", ErrOtherCluster, n.dir.Path(), n.dir.ClusterID(), others)
}

// locate is the goroutine that finds the controllers again whose ids no configuration has. It ends when all addresses have
// answered.
func (n *Node) locate() {
	defer n.running.Done()
	ctx, cancel := n.untilStop()
	defer cancel()
	f := n.newFormation()
	f.address()
	defer f.forget()
	for len(f.answers) < len(f.targets) {
		f.ask(ctx)
		for _, t := range f.targets {
			if a := f.answers[t.address]; a != nil && a.NodeID != n.broker.NodeID {
				n.controllers.SetAddress(a.NodeID, t.address)
			}
		}
		if n.pause(ctx, helloPatience) != nil {
			return
		}
	}
}

// helloTargets returns whom to ask: the voters, or the addresses where controllers are.
func (n *Node) helloTargets() []helloTarget {
	var targets []helloTarget
	for _, v := range n.broker.Quorum.Voters {
		targets = append(targets, helloTarget{node: v.ID, address: v.Address, named: true})
	}
	if len(targets) > 0 {
		return targets
	}
	for i, address := range n.broker.Quorum.BootstrapServers {
		if !slices.Contains(n.broker.Quorum.BootstrapServers[:i], address) {
			targets = append(targets, helloTarget{node: cluster.NodeID(-2 - i), address: address})
		}
	}
	return targets
}

// helloTarget is an address to say hello to. A node whose id is not known goes by a number below any node's.
type helloTarget struct {
	node    cluster.NodeID
	address string
	named   bool
}

// formation is the search for a cluster.
type formation struct {
	node    *Node
	targets []helloTarget
	answers map[string]*wire.HelloResponse // by address
	silence map[string]error               // why there is no answer, by address
	missing string                         // as last told
}

func (n *Node) newFormation() formation {
	return formation{node: n, targets: n.helloTargets(), answers: map[string]*wire.HelloResponse{}, silence: map[string]error{}}
}

// found is what the search has ended with.
type found struct {
	clusterID string
	voters    []quorum.Voter // who begin the cluster, this node among them; or whom to follow
	begins    bool
}

func (f *formation) find(ctx context.Context) (*found, error) {
	f.address()
	defer f.forget()
	for {
		f.ask(ctx)
		if found, err := f.decide(); found != nil || err != nil {
			return found, err
		}
		f.tellMissing()
		if err := f.node.pause(ctx, helloPause); err != nil {
			return nil, fmt.Errorf("looking for the cluster: %w; no answer that settles it from %s", err, cmp.Or(f.missing, "anybody"))
		}
	}
}

// address gives the nodes whose ids are not known their addresses, and forget takes them away.
func (f *formation) address() {
	for _, t := range f.targets {
		if !t.named {
			f.node.controllers.SetAddress(t.node, t.address)
		}
	}
}

func (f *formation) forget() {
	for _, t := range f.targets {
		if !t.named {
			f.node.controllers.Forget(t.node)
		}
	}
}

// ask says hello to everybody, whoever has answered before: it may have found a cluster meanwhile.
func (f *formation) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, helloPatience)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, t := range f.targets {
		wg.Go(func() {
			resp, err := f.node.hello(), error(nil)
			if !t.named || t.node != f.node.broker.NodeID {
				resp, err = f.node.sayHello(ctx, t.node)
			}
			mu.Lock()
			defer mu.Unlock()
			delete(f.answers, t.address)
			delete(f.silence, t.address)
			if err != nil {
				f.silence[t.address] = err
			} else {
				f.answers[t.address] = resp
			}
		})
	}
	wg.Wait()
}

func (n *Node) sayHello(ctx context.Context, node cluster.NodeID) (*wire.HelloResponse, error) {
	req := &wire.HelloRequest{NodeID: n.broker.NodeID, DirectoryID: n.dir.DirectoryID()}
	if id := n.knownClusterID(); id != "" {
		req.ClusterID = &id
	}
	resp, err := n.controllers.Request(ctx, node, peer.Control, req)
	if err != nil {
		return nil, err
	}
	return resp.(*wire.HelloResponse), nil
}

// knownClusterID returns the id of the cluster that this node belongs to or is to begin, "" when nobody has said.
func (n *Node) knownClusterID() string { return cmp.Or(n.dir.ClusterID(), n.broker.ClusterID) }

// decide looks at the answers: the cluster, nil while they settle nothing, or why they cannot be of one.
func (f *formation) decide() (*found, error) {
	if err := f.checkAnswers(); err != nil {
		return nil, err
	}
	for _, t := range f.targets {
		if a := f.answers[t.address]; a != nil && a.Formed && len(a.Voters) > 0 && a.ClusterID != nil {
			return f.join(a), nil
		}
	}
	if len(f.answers) < len(f.targets) || !f.node.isController() {
		return nil, nil
	}
	voters := f.fresh()
	if !slices.Contains(voters, f.node.self()) {
		return nil, nil // others begin it
	}
	return &found{clusterID: f.clusterID(voters), voters: voters, begins: true}, nil
}

// checkAnswers refuses nodes that are not who they should be.
func (f *formation) checkAnswers() error {
	clusters, directories := map[string]string{}, map[cluster.NodeID][16]byte{}
	if id := f.node.knownClusterID(); id != "" {
		clusters[id] = "this node"
	}
	for _, t := range f.targets {
		a := f.answers[t.address]
		if a == nil {
			continue
		}
		if t.named && a.NodeID != t.node {
			return fmt.Errorf("controller.quorum.voters: node %d answers at %s, where voter %d should be", a.NodeID, t.address, t.node)
		}
		if other, ok := directories[a.NodeID]; ok && other != a.DirectoryID {
			return fmt.Errorf("two nodes have node.id %d, one of them at %s", a.NodeID, t.address)
		}
		directories[a.NodeID] = a.DirectoryID
		if a.ClusterID != nil && a.DirectoryID != f.node.dir.DirectoryID() {
			clusters[*a.ClusterID] = fmt.Sprintf("node %d at %s", a.NodeID, t.address)
		}
	}
	if len(clusters) > 1 {
		var who []string
		for _, id := range slices.Sorted(maps.Keys(clusters)) {
			who = append(who, fmt.Sprintf("%s is of cluster %s", clusters[id], id))
		}
		return fmt.Errorf("%w: %s", ErrOtherCluster, strings.Join(who, ", "))
	}
	return nil
}

// join takes over what a node says of its cluster.
func (f *formation) join(a *wire.HelloResponse) *found {
	joined := &found{clusterID: *a.ClusterID}
	for _, v := range a.Voters {
		voter := quorum.Voter{NodeID: v.NodeID, DirectoryID: v.DirectoryID, Address: v.Address}
		if voter.NodeID == f.node.broker.NodeID {
			continue // of another life, or it will hear from the others that it votes
		}
		if address := f.addressOf(voter); address != "" {
			f.node.controllers.SetAddress(voter.NodeID, address)
		}
		joined.voters = append(joined.voters, voter)
	}
	return joined
}

// addressOf returns where a voter is: as configured, as it was told, or where it has answered.
func (f *formation) addressOf(v quorum.Voter) string {
	if address, ok := f.node.voterAddress(v.NodeID); ok {
		return address
	}
	for _, t := range f.targets {
		if a := f.answers[t.address]; v.Address == "" && a != nil && a.NodeID == v.NodeID {
			return t.address
		}
	}
	return v.Address
}

// fresh returns those who have answered, as the voters of a new cluster: the same list on every node.
func (f *formation) fresh() []quorum.Voter {
	var voters []quorum.Voter
	for _, t := range f.targets {
		a := f.answers[t.address]
		v := quorum.Voter{NodeID: a.NodeID, DirectoryID: a.DirectoryID}
		if !t.named && v.NodeID != f.node.broker.NodeID {
			f.node.controllers.SetAddress(v.NodeID, t.address)
		}
		if !slices.Contains(voters, v) {
			voters = append(voters, v)
		}
	}
	slices.SortFunc(voters, func(a, b quorum.Voter) int { return cmp.Compare(a.NodeID, b.NodeID) })
	return voters
}

// clusterID returns the id of a new cluster: the one that somebody has configured, or one that follows from its voters.
func (f *formation) clusterID(voters []quorum.Voter) string {
	if id := f.node.knownClusterID(); id != "" {
		return id
	}
	for _, a := range f.answers {
		if a.ClusterID != nil {
			return *a.ClusterID // all who say one say the same
		}
	}
	h := sha256.New()
	for _, v := range voters {
		_ = binary.Write(h, binary.BigEndian, v.NodeID) // a hash takes everything
		h.Write(v.DirectoryID[:])
	}
	id := cluster.UUID(h.Sum(nil))
	id[0] &= 0x7f // no id begins with "-", which shells would take for a flag
	return id.String()
}

// tellMissing logs who has not answered and why, when others have not than before.
func (f *formation) tellMissing() {
	var missing, why []string
	for _, t := range f.targets {
		if err := f.silence[t.address]; err != nil {
			missing, why = append(missing, t.address), append(why, err.Error())
		}
	}
	if text := strings.Join(missing, ", "); text != f.missing {
		f.missing = text
		if text != "" {
			f.node.log.Info("waiting for the controllers of the cluster", "no answer from", text, "because", strings.Join(why, "; "))
		}
	}
}
