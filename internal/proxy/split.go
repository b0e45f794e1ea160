package proxy

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/peer"
)

// shape says how requests of one API name partitions, and how their responses answer: topics QT of partitions QP with
// topics PT of partitions PP, in the same order.
type shape[QT, QP, PT, PP any] struct {
	topic      func(*QT) topicRef
	partitions func(*QT) *[]QP
	index      func(*QP) int32
	request    func([]QT) kmsg.Request // with these topics, all else as the client's
	answers    func(kmsg.Response) *[]PT
	answered   func(*PT) *[]PP
	number     func(*PP) int32
}

// place is a partition of a request: the position of its topic, and its own there.
type place struct{ topic, partition int }

// portion is what one node is asked of a request.
type portion[QT any] struct {
	node   cluster.NodeID
	topics []QT
	from   []int // the positions of the topics in the client's request
	places []place
	sent   *peer.Sent
}

// question is a request that was split up by the nodes that its partitions belong to.
type question[QT, QP, PT, PP any] struct {
	shape    shape[QT, QP, PT, PP]
	topics   []QT // the client's
	portions []*portion[QT]
}

// divide splits a request up. A topic without partitions is this node's to answer.
func (s shape[QT, QP, PT, PP]) divide(self cluster.NodeID, topics []QT, leader func(topicRef, int32) cluster.NodeID) *question[QT, QP, PT, PP] {
	q := &question[QT, QP, PT, PP]{shape: s, topics: topics}
	for i := range topics {
		t := &topics[i]
		parts := *s.partitions(t)
		if len(parts) == 0 {
			q.portion(self).topic(s.empty, topics, i)
		}
		for j := range parts {
			p := q.portion(leader(s.topic(t), s.index(&parts[j])))
			list := s.partitions(p.topic(s.empty, topics, i))
			*list = append(*list, parts[j])
			p.places = append(p.places, place{i, j})
		}
	}
	if len(q.portions) == 0 {
		q.portion(self)
	}
	return q
}

func (q *question[QT, QP, PT, PP]) portion(node cluster.NodeID) *portion[QT] {
	for _, p := range q.portions {
		if p.node == node {
			return p
		}
	}
	p := &portion[QT]{node: node}
	q.portions = append(q.portions, p)
	return p
}

// topic returns the portion's copy of the topic at position i, which begins without partitions.
func (p *portion[QT]) topic(empty func(*QT), topics []QT, i int) *QT {
	if n := len(p.from); n == 0 || p.from[n-1] != i {
		p.from = append(p.from, i)
		p.topics = append(p.topics, topics[i])
		empty(&p.topics[n])
	}
	return &p.topics[len(p.topics)-1]
}

func (s shape[QT, QP, PT, PP]) empty(t *QT) { *s.partitions(t) = nil }

// send sends every node its portion.
func (q *question[QT, QP, PT, PP]) send(ctx context.Context, r *call) error {
	for _, p := range q.portions {
		var err error
		if p.sent, err = r.send(ctx, p.node, q.shape.request(p.topics)); err != nil {
			return err
		}
	}
	return nil
}

// wait returns the answers as one, in the order of the client's request.
func (q *question[QT, QP, PT, PP]) wait(ctx context.Context) (kmsg.Response, error) {
	var merged kmsg.Response
	answers := make([]PT, len(q.topics))
	known := make([]bool, len(q.topics))
	for _, p := range q.portions {
		resp, err := p.sent.Wait(ctx)
		if err != nil {
			return nil, err
		}
		if err := q.take(p, *q.shape.answers(resp), answers, known); err != nil {
			return nil, fmt.Errorf("node %d: %w", p.node, err)
		}
		if merged == nil {
			merged = resp
		}
	}
	*q.shape.answers(merged) = answers
	return merged, nil
}

// take puts a node's answers where they belong.
func (q *question[QT, QP, PT, PP]) take(p *portion[QT], got []PT, answers []PT, known []bool) error {
	if len(got) != len(p.topics) {
		return fmt.Errorf("an answer about %d topics where %d were asked for", len(got), len(p.topics))
	}
	places := p.places
	for k := range got {
		i := p.from[k]
		list := *q.shape.answered(&got[k])
		asked := *q.shape.partitions(&q.topics[i])
		if want := len(*q.shape.partitions(&p.topics[k])); len(list) != want {
			return fmt.Errorf("an answer about %d partitions of a topic where %d were asked for", len(list), want)
		}
		if !known[i] {
			known[i], answers[i] = true, got[k]
			*q.shape.answered(&answers[i]) = make([]PP, len(asked))
		}
		for n := range list {
			at := places[n]
			if number, want := q.shape.number(&list[n]), q.shape.index(&asked[at.partition]); number != want {
				return fmt.Errorf("an answer about partition %d where %d was asked for", number, want)
			}
			(*q.shape.answered(&answers[i]))[at.partition] = list[n]
		}
		places = places[len(list):]
	}
	return nil
}

// byLeader asks the leaders of the partitions that a request names.
func byLeader[QT, QP, PT, PP any](ctx context.Context, r *call, s shape[QT, QP, PT, PP], topics []QT) (kmsg.Response, error) {
	q := s.divide(r.proxy.cfg.NodeID, topics, r.leader)
	if err := q.send(ctx, r); err != nil {
		return nil, err
	}
	return q.wait(ctx)
}

// list is what a request that names groups or resources is like: elements Q, answered by elements P in the same order.
type list[Q, P any] struct {
	elements *[]Q // of the client's request
	node     func(*Q) cluster.NodeID
	answers  func(kmsg.Response) *[]P
}

// ask asks each element's node for it: each is sent the client's request with its elements alone.
func (l list[Q, P]) ask(ctx context.Context, r *call) (kmsg.Response, error) {
	elements := *l.elements
	type part struct {
		node     cluster.NodeID
		elements []Q
		from     []int
		sent     *peer.Sent
	}
	var parts []*part
	of := map[cluster.NodeID]*part{}
	add := func(node cluster.NodeID) *part {
		if of[node] == nil {
			of[node] = &part{node: node}
			parts = append(parts, of[node])
		}
		return of[node]
	}
	for i := range elements {
		p := add(l.node(&elements[i]))
		p.elements, p.from = append(p.elements, elements[i]), append(p.from, i)
	}
	if len(parts) == 0 {
		add(r.proxy.cfg.NodeID)
	}
	for _, p := range parts {
		*l.elements = p.elements
		var err error
		if p.sent, err = r.send(ctx, p.node, r.req); err != nil {
			return nil, err
		}
	}
	var merged kmsg.Response
	answers := make([]P, len(elements))
	for _, p := range parts {
		resp, err := p.sent.Wait(ctx)
		if err != nil {
			return nil, err
		}
		got := *l.answers(resp)
		if len(got) != len(p.elements) {
			return nil, fmt.Errorf("node %d: %d answers to %d questions", p.node, len(got), len(p.elements))
		}
		for k, i := range p.from {
			answers[i] = got[k]
		}
		if merged == nil {
			merged = resp
		}
	}
	*l.answers(merged) = answers
	return merged, nil
}
