package quorum

import (
	"sync"

	"github.com/logbahn/logbahn/internal/cluster"
)

// Subscriber is told of every image, in order, by one goroutine. The first call gives the image of that moment with a
// delta from an empty one. It may take its time: only the replies of Do wait for it.
type Subscriber func(img *cluster.Image, d cluster.Delta)

// publication is an image for the subscribers, and the replies that wait until they have seen it.
type publication struct {
	image   *cluster.Image
	delta   cluster.Delta
	joins   Subscriber // not nil: call this one alone, from an empty image on
	joined  chan struct{}
	answers []pending
}

// publisher hands images from the loop to the publisher goroutine. Its queue holds what the images hold anyway.
type publisher struct {
	wake chan struct{} // capacity 1

	mu struct {
		sync.Mutex
		queue []publication
	}
	subscribers []Subscriber // of the publisher goroutine
}

func (p *publisher) add(pub publication) {
	p.mu.Lock()
	p.mu.queue = append(p.mu.queue, pub)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *publisher) take() []publication {
	p.mu.Lock()
	defer p.mu.Unlock()
	queue := p.mu.queue
	p.mu.queue = nil
	return queue
}

// Subscribe adds a subscriber and returns when it has had its first call. It must not be called by a subscriber.
func (q *Quorum) Subscribe(s Subscriber) {
	joined := make(chan struct{})
	q.publish.add(publication{joins: s, joined: joined})
	select {
	case <-joined:
	case <-q.stop:
	}
}

// runPublisher is the publisher goroutine.
func (q *Quorum) runPublisher() {
	defer q.done.Done()
	for {
		select {
		case <-q.stop:
			return
		case <-q.publish.wake:
		}
		for _, p := range q.publish.take() {
			q.deliver(p)
		}
	}
}

func (q *Quorum) deliver(p publication) {
	if p.joins != nil {
		img := q.Image()
		p.joins(img, cluster.Diff(nil, img))
		q.publish.subscribers = append(q.publish.subscribers, p.joins)
		close(p.joined)
		return
	}
	if p.image != q.Image() {
		for _, s := range q.publish.subscribers {
			s(p.image, p.delta)
		}
		q.image.Store(p.image)
		q.published.raise()
	}
	for _, a := range p.answers {
		if a.request != nil {
			a.request.answer <- answer{resp: a.resp}
		}
	}
}
