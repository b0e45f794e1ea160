//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/logbahn/logbahn/chaos/cluster"
	"github.com/logbahn/logbahn/chaos/procfs"
	"github.com/logbahn/logbahn/chaos/workload"
)

// silence is the error of clients that do not do what they should. Why, run.dissect looks into.
type silence struct {
	what     string
	suspects []suspect
}

func (s *silence) Error() string { return s.what }

// suspect is a producer or a consumer of a client by its client.id.
type suspect struct{ client, id string }

const (
	// lookTime is how long a client is watched for new connections.
	lookTime = 3 * time.Second
	// askedLately is how long ago a node may have had the last request of a client that still asks. All clients ask for
	// metadata more often.
	askedLately = 10 * time.Second
	// clientsBytesMax bounds what a node tells of its clients.
	clientsBytesMax = 8 << 20
)

// dissect looks at the clients of a silence while they are silent, writes a file for each one, and returns what kind of
// silence each one's is; "" for another error. A finding remains a finding whatever it returns.
func (r *run) dissect(err error) string {
	var s *silence
	if !errors.As(err, &s) {
		return ""
	}
	var kinds []string
	for _, c := range r.clients {
		var ids []string
		for _, id := range workload.IDs(c.Name()) {
			if slices.Contains(s.suspects, suspect{c.Name(), id}) {
				ids = append(ids, id)
			}
		}
		if len(ids) > 0 {
			r.sighted++
			kinds = append(kinds, r.sight(c, ids, fmt.Sprintf("sighting-%d-%s.txt", r.sighted, c.Name()), s.what))
		}
	}
	return "; " + strings.Join(kinds, "; ")
}

// sight writes what can be seen of one client, and returns what of it names the kind of the silence.
func (r *run) sight(c workload.Client, ids []string, file, what string) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s (process %d): %s\n", time.Now().UTC().Format(time.RFC3339), c.Name(), c.PID(), what)
	before, err := procfs.Connections(c.PID())
	section(&b, "Its connections", before, err)
	threads, err := procfs.Threads(c.PID())
	section(&b, "Its threads", threads, err)
	until := time.After(lookTime)
	fmt.Fprint(&b, "\n# The last that it has logged, its stacks and its statistics\n\n")
	if err := c.Dissect(&b); err != nil {
		fmt.Fprintf(&b, "%v\n", err)
	}
	<-until
	after, err := procfs.Connections(c.PID())
	links := linksOf(r.cluster.Nodes(), before, after)
	section(&b, fmt.Sprintf("Connections that it has made in %v", lookTime), links.made, err)
	asked, reports := r.askedOf(ids)
	fmt.Fprintf(&b, "\n# What the nodes have seen of it\n\n%s", reports)
	var kinds []string
	for _, id := range ids {
		kinds = append(kinds, id+": "+kind(asked[id], links))
	}
	text := strings.Join(kinds, "; ")
	fmt.Fprintf(&b, "\n# So\n\n%s\n%v\n", strings.Join(kinds, "\n"), links)
	if err := os.WriteFile(filepath.Join(r.options.out, file), b.Bytes(), 0o644); err != nil {
		return fmt.Sprintf("%s; %v (%v)", text, links, err)
	}
	return fmt.Sprintf("%s; %v (%s)", text, links, file)
}

func section[T fmt.Stringer](w io.Writer, title string, lines []T, err error) {
	fmt.Fprintf(w, "\n# %s\n\n", title)
	for _, line := range lines {
		fmt.Fprintln(w, line)
	}
	if err != nil {
		fmt.Fprintln(w, err)
	}
}

// links is a client's process seen from the network. Its producers and consumers cannot be told apart there, nor can
// those of franz-go from what this program itself asks.
type links struct {
	established []string            // how many to each node
	trying      int                 // connections that no node has answered yet
	made        []procfs.Connection // while it was watched
	unread      int                 // connections whose bytes it has left unread while it was watched
}

func (l links) String() string {
	return fmt.Sprintf("its process has connections to %s, leaves %d unread, tries to make %d and has made %d in %v",
		strings.Join(l.established, ", "), l.unread, l.trying, len(l.made), lookTime)
}

func linksOf(nodes []*cluster.Node, before, after []procfs.Connection) links {
	var l links
	for _, n := range nodes {
		many := 0
		for _, c := range after {
			if c.State == procfs.Established && c.Remote.String() == n.Address() {
				many++
			}
		}
		l.established = append(l.established, fmt.Sprintf("node %d: %d", n.ID, many))
	}
	for _, c := range after {
		if c.State == procfs.SynSent {
			l.trying++
		}
		i := slices.IndexFunc(before, func(old procfs.Connection) bool { return old.Local == c.Local && old.Remote == c.Remote })
		switch {
		case i < 0:
			l.made = append(l.made, c)
		case before[i].Unread > 0 && c.Unread >= before[i].Unread:
			l.unread++
		}
	}
	return l
}

// request is when a node has had the last request of somebody.
type request struct {
	node int
	ago  time.Duration // negative: none since it was started
	err  error         // of a node that does not tell
}

// kind says what kind of silence it is. Who still asks lacks something that the nodes may owe him; who asks nobody
// is silent by himself.
func kind(asked []request, l links) string {
	var lately, untold []string
	last := time.Duration(-1)
	for _, q := range asked {
		switch {
		case q.err != nil:
			untold = append(untold, fmt.Sprintf("node %d does not tell (%v)", q.node, q.err))
		case q.ago < 0:
		case q.ago <= askedLately:
			lately = append(lately, fmt.Sprintf("node %d %v ago", q.node, q.ago.Round(time.Second)))
		}
		if q.err == nil && q.ago >= 0 && (last < 0 || q.ago < last) {
			last = q.ago
		}
	}
	if len(lately) > 0 {
		return "the client asks and gets nothing: it has last asked " + strings.Join(append(lately, untold...), ", ")
	}
	since := "since it was started"
	if last >= 0 {
		since = fmt.Sprintf("for %v", last.Round(time.Second))
	}
	seen := strings.Join(append([]string{"no node has had a request of it " + since}, untold...), ", ")
	switch {
	case len(untold) > 0:
		return "the client may be asking: " + seen
	case l.trying > 0 || len(l.made) > 0:
		return "the client asks nobody, and its process makes connections: " + seen
	}
	return "the client asks nobody and makes no connection any more: " + seen
}

// seen is what /clients of a node's operations endpoint tells; docs/operations.md has it all.
type seen struct {
	Now     time.Time
	Clients []json.RawMessage
}

// askedOf asks every node for the last requests of some client.ids, and returns what the nodes have told of them too.
func (r *run) askedOf(ids []string) (asked map[string][]request, reports string) {
	asked = map[string][]request{}
	var b strings.Builder
	for _, n := range r.cluster.Nodes() {
		told, err := clientsOf(n)
		fmt.Fprintf(&b, "Node %d:\n", n.ID)
		if err != nil {
			fmt.Fprintln(&b, err)
		}
		for _, id := range ids {
			ago, report := told.last(id)
			b.WriteString(report)
			asked[id] = append(asked[id], request{n.ID, ago, err})
		}
	}
	return asked, b.String()
}

// last returns how long ago a client.id was seen, and what is told of it. One client.id may be several clients there.
func (s *seen) last(id string) (ago time.Duration, report string) {
	ago = -1
	for _, client := range s.Clients {
		var one struct {
			ID       string    `json:"client_id"`
			LastSeen time.Time `json:"last_seen"`
		}
		if err := json.Unmarshal(client, &one); err != nil || one.ID != id {
			continue
		}
		report += string(client) + "\n"
		if at := max(0, s.Now.Sub(one.LastSeen)); ago < 0 || at < ago {
			ago = at
		}
	}
	return ago, report
}

func clientsOf(n *cluster.Node) (told seen, err error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: observerTimeout} // past any proxy
	answer, err := client.Get("http://" + n.OpsAddress() + "/clients")
	if err != nil {
		return seen{}, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return seen{}, errors.New(answer.Status)
	}
	err = json.NewDecoder(io.LimitReader(answer.Body, clientsBytesMax)).Decode(&told)
	return told, err
}
