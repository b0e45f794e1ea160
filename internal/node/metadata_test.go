package node

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
)

// A change that is made through a node which is not the controller is answered when that node knows of it, however long
// its image takes to follow. In virtual time all that can be done without the image is done before anybody looks.
func TestAnswerWaitsForImage(t *testing.T) { virtually(t, answerWaitsForImage) }

func answerWaitsForImage(t *testing.T) {
	c := newTestCluster(t, 3)
	c.start(1, 2, 3)
	first := c.controller()
	through := c.nodes[c.other(first)]
	goOn := holdImage(through)
	answered := make(chan error, 1)
	go func() {
		_, err := through.metadata().Do(within(t, 10*time.Second), topicRequest("orders", 3, 3))
		answered <- err
	}()
	knows := func(img *cluster.Image) bool {
		_, ok := img.Topic("orders")
		return ok
	}
	c.eventually(c.nodes[first], "the controller has made the topic", knows)
	synctest.Wait()
	select {
	case err := <-answered:
		t.Errorf("answered with %v by a node that cannot know", err)
		answered <- err
	default:
	}
	if knows(through.quorum.Image()) {
		t.Error("the node was not held: the test shows nothing")
	}
	goOn()
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	if !knows(through.quorum.Image()) {
		t.Error("the topic is not known where it was made")
	}
}
