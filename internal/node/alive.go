package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/quorum/controller"
	"github.com/logbahn/logbahn/internal/wire"
)

// How long the controller's answers are waited for before it is asked again, and the pauses between.
const (
	registerPatience = 5 * time.Second
	registerPause    = 250 * time.Millisecond
	drainPause       = 200 * time.Millisecond
	drainSilence     = 2 * time.Second // without an answer: there is no controller any more
	severedPause     = 50 * time.Millisecond
)

// liveness is this broker's standing with the controller. Its fields belong to the goroutine that sends heartbeats; before
// that runs, to Start.
type liveness struct {
	incarnation cluster.UUID // of the registration
	registered  cluster.UUID // the last incarnation that the controller has acknowledged
	fenced      bool         // as last heard, and told

	// soon has the offset of an image that the controller waits for all brokers to have: one of them hands over what it leads.
	soon chan int64

	// severed has a token when the connection by which the controller gets heartbeats has ended. It takes that for a sign that
	// this process has, unless it hears of it.
	severed chan struct{}

	// confirmed is when the latest heartbeat was sent that the controller has answered with "not fenced"; nil while the broker
	// asks others to take over. Any goroutine reads it.
	confirmed atomic.Pointer[time.Time]

	drain   chan struct{} // closed: hand everything over
	drained chan struct{} // closed: it is, or it will not be
	once    sync.Once
}

// beatSoon asks for a heartbeat as soon as this node has an image. It is called by the publisher and does not wait.
func (l *liveness) beatSoon(offset int64) {
	select {
	case <-l.soon: // an older one
	default:
	}
	l.soon <- offset
}

// severed is told that the connection by which a node gets this one's heartbeats has ended.
func (n *Node) severed(controller cluster.NodeID) {
	if controller != n.quorum.Image().ControllerID() {
		return
	}
	select {
	case n.alive.severed <- struct{}{}:
	default:
	}
}

// register makes the broker known to the cluster, in a life of its own. It waits for as long as the context allows: for a
// controller, and for the end of an earlier life's session.
func (n *Node) register(ctx context.Context) error {
	if !n.isBroker() {
		return nil
	}
	n.alive = liveness{fenced: true, soon: make(chan int64, 1), severed: make(chan struct{}, 1), drain: make(chan struct{}), drained: make(chan struct{})}
	if _, err := rand.Read(n.alive.incarnation[:]); err != nil {
		return err
	}
	n.brokerEpoch.Store(n.dir.CleanBrokerEpoch()) // what was not lost since
	told := ""
	for {
		err := n.registerOnce(ctx)
		var code wire.Error
		switch {
		case err == nil:
			return nil
		case errors.As(err, &code) && !code.Retriable() && code != wire.DuplicateBrokerRegistration, ctx.Err() != nil, n.stopping():
			return fmt.Errorf("register broker %d: %w", n.broker.NodeID, err)
		}
		if err.Error() != told {
			told = err.Error()
			n.log.Info("the broker is not registered yet", "because", told)
		}
		if n.pause(ctx, registerPause) != nil {
			return fmt.Errorf("register broker %d: %w", n.broker.NodeID, err)
		}
	}
}

// registerOnce asks once. The same incarnation may ask again: it is answered with the epoch that it has.
func (n *Node) registerOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, registerPatience)
	defer cancel()
	resp, err := n.metadata().Do(ctx, n.registration())
	if err != nil {
		return err
	}
	registered := resp.(*kmsg.BrokerRegistrationResponse)
	if code := wire.Error(registered.ErrorCode); code != wire.None {
		return code
	}
	n.brokerEpoch.Store(registered.BrokerEpoch)
	n.alive.registered = n.alive.incarnation
	return n.dir.SetBrokerEpoch(registered.BrokerEpoch)
}

func (n *Node) registration() *kmsg.BrokerRegistrationRequest {
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.Version = req.MaxVersion()
	req.BrokerID, req.ClusterID, req.PreviousBrokerEpoch = n.broker.NodeID, n.dir.ClusterID(), n.brokerEpoch.Load()
	req.IncarnationID = n.alive.incarnation
	if n.broker.Rack != "" {
		req.Rack = &n.broker.Rack
	}
	req.LogDirs = [][16]byte{n.dir.DirectoryID()}
	controller.SetLastEpoch(req, n.dir.LastBrokerEpoch())
	controller.SetFlushOS(req, n.dir.FlushOS())
	for _, e := range n.advertised() {
		l := kmsg.NewBrokerRegistrationRequestListener()
		l.Name, l.Host, l.Port, l.SecurityProtocol = e.Name, e.Host, e.Port, e.Security
		req.Listeners = append(req.Listeners, l)
	}
	return req
}

// heartbeat tells the controller that this broker lives and how far its image has got, and what it wants.
func (n *Node) heartbeat(ctx context.Context, wantShutdown bool) (*kmsg.BrokerHeartbeatResponse, error) {
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	req.Version = req.MaxVersion()
	req.BrokerID, req.BrokerEpoch, req.WantShutdown = n.broker.NodeID, n.brokerEpoch.Load(), wantShutdown
	req.CurrentMetadataOffset = n.quorum.Image().Offset()
	resp, err := n.metadata().Do(ctx, req)
	if err != nil {
		return nil, err
	}
	alive := resp.(*kmsg.BrokerHeartbeatResponse)
	if code := wire.Error(alive.ErrorCode); code != wire.None {
		return nil, code
	}
	return alive, nil
}

// unfence tells the controller that this broker has caught up and may lead, until it agrees.
func (n *Node) unfence(ctx context.Context) error {
	if !n.isBroker() {
		return nil
	}
	for {
		err := n.beat(ctx)
		if err == nil && !n.alive.fenced {
			break
		}
		if why := n.pause(ctx, registerPause); why != nil {
			return fmt.Errorf("unfence broker %d: %w", n.broker.NodeID, errors.Join(why, err))
		}
	}
	n.running.Add(1)
	go n.live()
	return nil
}

// beat sends one heartbeat, and registers again when the controller does not know this broker any more.
func (n *Node) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, milliseconds(int64(n.broker.Quorum.SessionTimeoutMs)))
	defer cancel()
	sent := time.Now()
	waiting, end := context.WithTimeout(ctx, n.beatPatience())
	alive, err := n.heartbeat(waiting, false)
	end()
	switch {
	case errors.Is(err, wire.StaleBrokerEpoch), errors.Is(err, wire.BrokerIDNotRegistered):
		return n.registerAgain(ctx, err)
	case err != nil:
		return err
	}
	if !alive.IsFenced {
		n.alive.confirmed.Store(&sent)
	}
	if alive.IsFenced != n.alive.fenced {
		n.alive.fenced = alive.IsFenced
		if alive.IsFenced {
			n.log.Warn("the controller has fenced this broker: it leads nothing until it has caught up")
		} else {
			n.log.Info("the broker is unfenced")
		}
	}
	return nil
}

// beatPatience is for how long a heartbeat waits for its answer, and until this node's image has all that the controller's had.
// Where many partitions change at once that takes long, and meanwhile the controller is to hear the next ones.
func (n *Node) beatPatience() time.Duration {
	return milliseconds(int64(n.broker.Quorum.SessionTimeoutMs)) / 4
}

// ErrReplaced: another process has registered as this broker, and is the broker from then on.
var ErrReplaced = errors.New("another process runs as this broker")

// registerAgain begins a new life of a broker that the controller does not know by its epoch, as when it was unregistered, or
// the answer to its last registration got lost. It does not fight for its place with another process: that ends this node.
func (n *Node) registerAgain(ctx context.Context, why error) error {
	b, known := n.quorum.Image().Broker(n.broker.NodeID) // as new as the controller's that has answered
	switch {
	case known && b.Epoch > n.brokerEpoch.Load() && b.Incarnation != n.alive.incarnation:
		err := fmt.Errorf("%w, %d, with another directory: every node needs a node.id of its own", ErrReplaced, n.broker.NodeID)
		if slices.Contains(b.Directories, n.dir.DirectoryID()) {
			err = fmt.Errorf("%w, %d, with a copy of its directory %s: only one of the two may go on", ErrReplaced, n.broker.NodeID, n.dir.Path())
		}
		go n.fail(err) // which waits for the heartbeats to end
		return err
	case !known && n.alive.incarnation == n.alive.registered:
		if _, err := rand.Read(n.alive.incarnation[:]); err != nil {
			return err
		}
	}
	n.log.Warn("the controller does not know this broker by its epoch: it registers again", "err", why)
	return n.registerOnce(ctx)
}

// deposedMax is for how long a controller may answer heartbeats while the next one leads, which gives every broker a whole
// session from then on: a leader of the quorum that hears from no majority steps down that much after others may elect.
const deposedMax = 2 * time.Second

// confirmed tells whether this broker's session lasts: until it ends, no controller elects anybody in its place for its
// silence; what ends it early is proof that this process has ended (lookout.go), after which it answers nobody. A machine that
// was suspended may not have counted that time, but its wall clock shows it.
func (n *Node) confirmed() bool {
	if n.alone() { // the controller is this node: its image shows whoever else leads
		return true
	}
	sent := n.alive.confirmed.Load()
	if sent == nil || n.quorum.Stalled() { // others may lead for another reason, of which the image says nothing
		return false
	}
	session := milliseconds(int64(n.broker.Quorum.SessionTimeoutMs))
	now, lasts := time.Now(), session-min(deposedMax, session/2)
	return now.Sub(*sent) < lasts && now.Round(0).Sub(sent.Round(0)) < lasts
}

// live is the goroutine that sends heartbeats. It ends when everything is handed over, or with the node.
func (n *Node) live() {
	defer n.running.Done()
	defer close(n.alive.drained)
	ctx, cancel := n.untilStop()
	defer cancel()
	interval := milliseconds(int64(n.broker.Quorum.HeartbeatIntervalMs))
	latest, silent := time.Now(), time.Time{}
	for {
		wait := interval
		if n.alive.fenced {
			wait = min(wait, registerPause)
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case offset := <-n.alive.soon:
			t.Stop()
			waiting, end := context.WithTimeout(ctx, n.beatPatience())
			_ = n.quorum.AwaitImage(waiting, offset) // else it speaks without: the next heartbeat says how far the image has got
			end()
		case <-n.alive.severed:
			t.Stop()
			_ = n.pause(ctx, time.Until(latest.Add(severedPause))) // who breaks every connection does not get them faster
		case <-n.alive.drain:
			t.Stop()
			n.handOver(ctx)
			return
		case <-n.stop:
			t.Stop()
			return
		}
		latest = time.Now()
		switch err := n.beat(ctx); {
		case err == nil:
			silent = time.Time{}
		case n.stopping():
			return
		case silent.IsZero():
			silent = time.Now()
			n.log.Warn("a heartbeat is not answered", "err", err)
		}
	}
}

// handOver asks for others to take over what this broker leads, until they have.
func (n *Node) handOver(ctx context.Context) {
	begin := time.Now()
	answered := begin
	for time.Since(answered) < drainSilence {
		done, err := n.askToStop(ctx)
		switch {
		case done:
			n.log.Info("other brokers lead what this one has led", "after", time.Since(begin).Round(time.Millisecond).String())
			return
		case err == nil || errors.Is(err, errBehind) || n.leads():
			answered = time.Now()
		}
		if n.pause(ctx, drainPause) != nil {
			return
		}
	}
	n.log.Warn("nobody is told that this broker stops: there is no controller")
}

// leads tells whether this node is the controller.
func (n *Node) leads() bool {
	_, leads := n.quorum.Leads()
	return leads
}

// askToStop tells the controller that this broker wants to stop, and returns whether it may.
func (n *Node) askToStop(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, drainSilence)
	defer cancel()
	n.alive.confirmed.Store(nil) // others may lead before this broker's image says so
	sent := time.Now()
	resp, err := n.heartbeat(ctx, true)
	if err != nil {
		return false, err
	}
	if !resp.IsFenced { // the image shows who leads now
		n.alive.confirmed.Store(&sent)
	}
	return resp.ShouldShutdown, nil
}

// drain hands everything that this broker leads to others, as long as the context allows, leaving some time to finish what
// clients have begun. A broker that is the only one has nobody to hand it to.
func (n *Node) drain(ctx context.Context) {
	if !n.broker.Quorum.ControlledShutdown || !n.othersLive() {
		return
	}
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)*3/4)
		defer cancel()
	}
	n.alive.once.Do(func() { close(n.alive.drain) })
	select {
	case <-n.alive.drained:
	case <-n.killing:
	case <-ctx.Done():
		n.log.Warn("the node stops though it may still lead partitions: their clients wait until others are elected")
	}
}

// othersLive tells whether this broker serves beside others that do.
func (n *Node) othersLive() bool {
	select {
	case <-n.serves:
	default:
		return false
	}
	for _, b := range n.quorum.Image().Brokers() {
		if b.ID != n.broker.NodeID && b.Live() {
			return n.isBroker()
		}
	}
	return false
}

// untilStop returns a context that ends when the node stops.
func (n *Node) untilStop() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	n.running.Add(1)
	go func() {
		defer n.running.Done()
		select {
		case <-n.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
