package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// reach finds an address of --brokers behind which a broker answers. The client that it leaves behind knows that one
// only, so that a wrong advertised address does not stand in the way of the other checks.
func (d *doctor) reach(ctx context.Context) bool {
	var wrong []string
	for _, addr := range d.addrs {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			addr = net.JoinHostPort(addr, "9092") // as the client library does
		}
		err := try(ctx, addr)
		if err == nil {
			if err = d.ask(ctx, addr); err == nil {
				d.reached = addr
				d.ok("address", "%s answers, cluster %s", addr, d.clusterID)
				break
			}
		}
		wrong = append(wrong, fmt.Sprintf("%s: %v", addr, err))
	}
	for _, what := range wrong {
		d.wrong("address", "no broker answers at "+what,
			"a client that is given this address gets nowhere",
			"start the broker (logbahn start), or give the address that its `ready` line in the log shows as kafka=; from another machine listeners must not be on localhost")
	}
	return d.reached != ""
}

func (d *doctor) ask(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, doctorPatience)
	defer cancel()
	client, err := newClient([]string{addr}, kgo.ClientID(doctorClientID))
	if err != nil {
		return err
	}
	facts, err := factsOf(ctx, client, kadm.NewClient(client))
	if err != nil {
		abandon(client)
		return fmt.Errorf("something listens there, but not as a Kafka broker does: %w", plainly(err))
	}
	d.seed, d.brokers, d.clusterID = client, facts.brokers, facts.id
	return nil
}

// atSeed returns the broker behind the address that was given.
func (d *doctor) atSeed() *kgo.Broker { return d.seed.SeedBrokers()[0] }

const whyAdvertised = "clients use the address that was given only to ask for the brokers; everything else goes to the addresses that the brokers advertise"

// advertised tries the address of every broker from here.
func (d *doctor) advertised(ctx context.Context) {
	var good []string
	for _, b := range d.brokers {
		addr := b.address()
		err := try(ctx, addr)
		if err == nil {
			err = d.sameBroker(ctx, addr, b.id)
		}
		switch {
		case err == nil:
			good = append(good, addr)
			continue
		case b.fenced:
			d.wrong("advertised", fmt.Sprintf("broker %d does not run, or the controller cannot hear it; nothing answers for it at %s: %v", b.id, addr, err),
				"others lead what it led, as long as they have replicas of it", fmt.Sprintf("start broker %d, or look into its log why it is not taken back", b.id))
			continue
		}
		d.wrong("advertised", fmt.Sprintf("broker %d tells clients to connect to %s, which does not work from here: %v", b.id, addr, err),
			whyAdvertised, d.adviceFor(b))
	}
	if len(good) == len(d.brokers) {
		detail := strings.Join(good, ", ")
		if isLoopback(detail) && len(good) == 1 {
			detail += " (this machine only)"
		}
		d.ok("advertised", "%s", detail)
	}
}

// adviceFor names the setting, with the address that was reached where it is this broker's for sure.
func (d *doctor) adviceFor(b clusterBroker) string {
	address := fmt.Sprintf("<name that clients know broker %d by>:%d", b.id, b.port)
	if len(d.brokers) == 1 {
		address = d.reached
	}
	return fmt.Sprintf("set advertised.listeners=PLAINTEXT://%s in the settings of broker %d (the name as in its listeners) and restart it", address, b.id)
}

// sameBroker finds out whether an address leads to a broker of the cluster that was asked: localhost is another machine for
// everybody, and several brokers behind one address translation may all say the same.
func (d *doctor) sameBroker(ctx context.Context, addr string, id int32) error {
	ctx, cancel := context.WithTimeout(ctx, doctorPatience)
	defer cancel()
	client, err := newClient([]string{addr})
	if err != nil {
		return err
	}
	defer abandon(client)
	facts, err := kadm.NewClient(client).BrokerMetadata(ctx)
	if err != nil {
		return fmt.Errorf("no Kafka broker answers there: %w", plainly(err))
	}
	if facts.Cluster != d.clusterID {
		return fmt.Errorf("another cluster (%s) answers there", facts.Cluster)
	}
	if len(d.brokers) > 1 && !answersAs(ctx, client.SeedBrokers()[0], id) {
		return errors.New("another broker of the cluster answers there")
	}
	return nil
}

// answersAs tells whether a broker has an id. Brokers refuse to show the settings of another one; whoever does not answer
// such questions at all is believed.
func answersAs(ctx context.Context, broker *kgo.Broker, id int32) bool {
	req := kmsg.NewPtrDescribeConfigsRequest()
	resource := kmsg.NewDescribeConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeBroker, strconv.Itoa(int(id))
	resource.ConfigNames = []string{"node.id"}
	req.Resources = append(req.Resources, resource)
	resp, err := broker.RetriableRequest(ctx, req)
	if err != nil {
		return true
	}
	for _, r := range resp.(*kmsg.DescribeConfigsResponse).Resources {
		if errors.Is(kerr.ErrorForCode(r.ErrorCode), kerr.InvalidRequest) {
			return false
		}
	}
	return true
}
