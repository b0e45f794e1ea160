package kafkacli

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// generate proposes an assignment of topics to brokers.
func (r *reassignment) generate(ctx context.Context) error {
	name := r.opts.text("topics-to-move-json-file")
	data, err := readBounded(name, planBytesMax)
	if err != nil {
		return failf("%s", name)
	}
	brokers, err := brokerList(r.opts.text("broker-list"))
	if err != nil {
		return err
	}
	topics, err := parseTopicsToMove(data)
	if err != nil {
		return err
	}
	current, err := r.assigned(ctx, topics, nil)
	if err != nil {
		return err
	}
	racks, err := r.racksOf(ctx, brokers)
	if err != nil {
		return err
	}
	proposed := map[topicPartition][]int32{}
	for _, topic := range topics {
		var partitions []topicPartition
		for _, tp := range sortedPartitions(current) {
			if tp.topic == topic {
				partitions = append(partitions, tp)
			}
		}
		if len(partitions) == 0 || len(current[partitions[0]]) == 0 {
			return failf("The broker names no replicas of topic %s", topic)
		}
		copies := len(current[partitions[0]])
		if copies > len(racks) {
			return failf("Replication factor: %d larger than available brokers: %d", copies, len(racks))
		}
		order := brokersByRack(racks)
		start, shift := rand.IntN(len(order)), rand.IntN(len(order))
		for i, tp := range partitions {
			proposed[tp] = spread(order, racks, i, copies, start, shift)
		}
	}
	dirs, err := r.directories(ctx, current)
	if err != nil {
		return err
	}
	fmt.Fprintf(r.out, "Current partition replica assignment\n%s\n\nProposed partition reassignment configuration\n%s\n", reassignmentJSON(current, dirs), reassignmentJSON(proposed, nil))
	return nil
}

func brokerList(text string) ([]int32, error) {
	var brokers []int32
	for _, word := range strings.Split(text, ",") {
		id, err := strconv.ParseInt(word, 10, 32)
		if err != nil {
			return nil, failf("For input string: %q", word)
		}
		brokers = append(brokers, int32(id))
	}
	if twice := duplicates(brokers); len(twice) > 0 {
		return nil, failf("Broker list contains duplicate entries: %s", javaList(twice))
	}
	return brokers, nil
}

// racksOf returns the racks of those brokers that are there, without names when racks do not count.
func (r *reassignment) racksOf(ctx context.Context, brokers []int32) (map[int32]string, error) {
	all, err := r.brokers(ctx)
	if err != nil {
		return nil, err
	}
	racks := map[int32]string{}
	rackless := 0
	for _, id := range brokers {
		rack, there := all[id]
		if !there {
			continue
		}
		if r.opts.has("disable-rack-aware") {
			rack = ""
		}
		if racks[id] = rack; rack == "" {
			rackless++
		}
	}
	if rackless > 0 && rackless < len(racks) {
		return nil, failf("Not all brokers have rack information. Add --disable-rack-aware in command line to make replica assignment without rack information.")
	}
	return racks, nil
}

// brokersByRack lists the brokers so that neighbours are in different racks: one of each rack, then the next of each.
func brokersByRack(racks map[int32]string) []int32 {
	byRack := map[string][]int32{}
	for _, id := range slices.Sorted(maps.Keys(racks)) {
		byRack[racks[id]] = append(byRack[racks[id]], id)
	}
	var order []int32
	for round := 0; len(order) < len(racks); round++ {
		for _, rack := range slices.Sorted(maps.Keys(byRack)) {
			if round < len(byRack[rack]) {
				order = append(order, byRack[rack][round])
			}
		}
	}
	return order
}

// spread gives a partition its replicas: the first goes round the brokers, the others follow at a distance that grows with
// each round. Racks that have no replica yet come first, then brokers.
func spread(order []int32, racks map[int32]string, partition, copies, start, shift int) []int32 {
	n := len(order)
	first := (start + partition) % n
	replicas := []int32{order[first]}
	distance := shift + partition/n
	for len(replicas) < copies {
		best, bestShare := int32(-1), 0
		for step := range n - 1 {
			id := order[(first+1+(distance+len(replicas)-1+step)%(n-1))%n]
			share := 0
			for _, other := range replicas {
				if racks[id] != "" && racks[other] == racks[id] {
					share++
				}
			}
			if !slices.Contains(replicas, id) && (best < 0 || share < bestShare) {
				best, bestShare = id, share
			}
		}
		replicas = append(replicas, best)
	}
	return replicas
}
