package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"

	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// clientRow is a client as the broker has seen it.
type clientRow struct {
	ClientID  string          `json:"client_id" doc:"client.id"`
	Software  string          `json:"software" doc:"name of its library; empty: it does not say"`
	Version   string          `json:"software_version" doc:"version of its library"`
	Address   string          `json:"address" doc:"where it connects from"`
	FirstSeen time.Time       `json:"first_seen" doc:"RFC 3339"`
	LastSeen  time.Time       `json:"last_seen" doc:"RFC 3339"`
	APIs      []clientAPI     `json:"apis" doc:"requests that it has sent"`
	Refused   []clientRefusal `json:"refused" doc:"requests that were refused as a whole"`
}

type clientAPI struct {
	API      string          `json:"api" doc:"name of the request"`
	Key      int16           `json:"key" doc:"its number"`
	Versions []clientVersion `json:"versions" doc:"versions sent"`
	Errors   []clientError   `json:"errors" doc:"errors answered"`
}

type clientVersion struct {
	Version int16  `json:"version" doc:"version"`
	Count   uint64 `json:"count" doc:"how often"`
}

type clientError struct {
	Code  int16  `json:"code" doc:"Kafka's number of the error"`
	Error string `json:"error" doc:"its name"`
	Count uint64 `json:"count" doc:"how often"`
}

type clientRefusal struct {
	API     string    `json:"api" doc:"name of the request"`
	Key     int16     `json:"key" doc:"its number"`
	Version int16     `json:"version" doc:"version sent"`
	Count   uint64    `json:"count" doc:"how often"`
	Reason  string    `json:"reason" doc:"why"`
	Last    time.Time `json:"last" doc:"RFC 3339"`
}

// text is a request with the versions in which it came, such as Fetch v4,v11.
func (a clientAPI) text() string {
	var versions []string
	for _, v := range a.Versions {
		versions = append(versions, "v"+strconv.Itoa(int(v.Version)))
	}
	return a.API + ":" + strings.Join(versions, ",")
}

func (r clientRow) errors() (n uint64) {
	for _, a := range r.APIs {
		for _, e := range a.Errors {
			n += e.Count
		}
	}
	return n
}

func (r clientRow) refusals() (n uint64) {
	for _, f := range r.Refused {
		n += f.Count
	}
	return n
}

// clientsReport is what the operations endpoint knows of clients.
type clientsReport struct {
	Now     time.Time   `json:"now"`
	Clients []clientRow `json:"clients"`
}

// doctorSeenMax is how long ago the doctor's own requests are at most.
const doctorSeenMax = time.Minute

// hasSeenDoctor tells whether the endpoint belongs to the broker that the doctor has just asked. Of two brokers on one
// machine only one has the default address.
func (r clientsReport) hasSeenDoctor() bool {
	return slices.ContainsFunc(r.Clients, func(c clientRow) bool {
		return c.ClientID == doctorClientID && r.Now.Sub(c.LastSeen) < doctorSeenMax
	})
}

// isNone tells of the doctor itself, and of the request with which a client of any age finds out how to say what it is:
// what was sent before that is not a client of its own.
func (r clientRow) isNone() bool {
	return r.ClientID == doctorClientID || r.Software == "" && len(r.Refused) == 0 && len(r.APIs) == 1 && r.APIs[0].API == "ApiVersions"
}

func (r clientRow) name() string {
	name := strings.TrimSpace(r.Software + " " + r.Version)
	if r.ClientID != "" {
		name = strings.TrimSpace(r.ClientID + " " + strings.TrimSuffix("("+name+")", "()"))
	}
	return orDash(name)
}

const (
	opsPortDefault = "9644"
	opsBytesMax    = 64 << 20 // of one answer of the operations endpoint
	openFilesMin   = 10_000
	openFilesShare = 0.8
)

// operations asks the operations endpoint for clients and limits.
func (d *doctor) operations(ctx context.Context) {
	addr, why := d.opsAddress(ctx)
	if addr == "" {
		d.skip("clients", "%s", why)
		d.skip("files", "%s", why)
		return
	}
	var report clientsReport
	err := get(ctx, "http://"+addr+"/clients", func(body io.Reader) error { return json.NewDecoder(body).Decode(&report) })
	if err != nil {
		d.skip("clients", "the operations endpoint %s does not tell: %v", addr, err)
		d.skip("files", "the operations endpoint %s does not tell", addr)
		return
	}
	if !report.hasSeenDoctor() {
		d.skip("clients", "the operations endpoint %s is another broker's: --ops names this one's", addr)
		d.skip("files", "the operations endpoint %s is another broker's", addr)
		return
	}
	d.Clients = append(d.Clients, slices.DeleteFunc(report.Clients, clientRow.isNone)...)
	d.refusals(addr)
	d.openFiles(ctx, addr)
}

// opsAddress is where the operations endpoint is, or why that is not known. An endpoint on this machine says nothing
// of a broker on another one.
func (d *doctor) opsAddress(ctx context.Context) (addr, why string) {
	if d.opsAddr != "" {
		return d.opsAddr, ""
	}
	if addr = d.opsListener(ctx); addr == "" {
		addr = net.JoinHostPort("127.0.0.1", opsPortDefault)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", "the broker has no operations endpoint"
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host, _, _ = net.SplitHostPort(d.reached)
	}
	addr = net.JoinHostPort(host, port)
	if isLoopback(addr) && !isLoopback(d.reached) {
		return "", "the operations endpoint is on the broker's machine only: run doctor there, or give --ops"
	}
	return addr, ""
}

// opsListener asks the broker that was reached for its setting. Among several brokers it is not known which that is.
func (d *doctor) opsListener(ctx context.Context) string {
	if len(d.brokers) != 1 {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, doctorPatience)
	defer cancel()
	req := kmsg.NewPtrDescribeConfigsRequest()
	resource := kmsg.NewDescribeConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeBroker, strconv.Itoa(int(d.brokers[0].id))
	resource.ConfigNames = []string{"ops.listener"}
	req.Resources = append(req.Resources, resource)
	resp, err := req.RequestWith(ctx, d.atSeed())
	if err != nil || len(resp.Resources) == 0 || len(resp.Resources[0].Configs) == 0 || resp.Resources[0].Configs[0].Value == nil {
		return ""
	}
	return *resp.Resources[0].Configs[0].Value
}

func get(ctx context.Context, url string, read func(io.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, doctorPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return plainly(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", req.URL.Path, resp.Status)
	}
	return read(io.LimitReader(resp.Body, opsBytesMax))
}

// refusals tells of clients that sent what this broker does not take.
func (d *doctor) refusals(addr string) {
	refused := 0
	for _, r := range d.Clients {
		for _, f := range r.Refused {
			refused++
			d.wrong("clients", fmt.Sprintf("client %s at %s sent %s version %d, which was refused %s: %s", r.name(), r.Address, f.API, f.Version, counted(int(f.Count), "time"), f.Reason),
				"what the client wanted did not happen, and it may try for ever",
				"if the reason is a version, look for the client's library in docs/compatibility.md and upgrade or configure it; else its configuration or its network is wrong")
		}
	}
	if refused == 0 {
		d.ok("clients", "%s seen by %s, none refused", counted(len(d.Clients), "client"), addr)
	}
}

// openFiles compares the files that the broker has open with how many it may open.
func (d *doctor) openFiles(ctx context.Context, addr string) {
	values := map[string]float64{"process_max_fds": -1, "process_open_fds": -1}
	err := get(ctx, "http://"+addr+"/metrics", func(body io.Reader) error {
		lines := bufio.NewScanner(body)
		for lines.Scan() {
			name, text, _ := strings.Cut(lines.Text(), " ")
			if _, wanted := values[name]; wanted {
				values[name], _ = strconv.ParseFloat(strings.TrimSpace(text), 64)
			}
		}
		return lines.Err()
	})
	most, open := values["process_max_fds"], values["process_open_fds"]
	switch {
	case err != nil || most < 0:
		d.skip("files", "the operations endpoint does not tell how many files the broker may open")
	default:
		d.judgeFiles("the broker", most, open)
	}
}

func (d *doctor) judgeFiles(who string, most, open float64) {
	if most >= openFilesMin && open < most*openFilesShare {
		d.ok("files", "%s has %.0f open and may open %.0f", who, max(open, 0), most)
		return
	}
	d.wrong("files", fmt.Sprintf("%s may open %.0f files and has %.0f open", who, most, max(open, 0)),
		"each segment of a partition takes about three and each connection one; at the limit connections are refused and partitions fail",
		"raise it where the broker is started: ulimit -n 100000, or LimitNOFILE=100000 in its systemd unit")
}
