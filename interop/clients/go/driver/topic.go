package driver

import "fmt"

// create creates a topic and waits until metadata shows all of it.
func (r *Run) create(topic string, partitions int, configs map[string]string) error {
	if err := r.Library.CreateTopic(r.Context, topic, partitions, r.Replicas, configs); err != nil {
		return fmt.Errorf("create %s: %w", topic, err)
	}
	return r.shown(topic, partitions)
}

// shown waits until metadata shows the topic with so many partitions, each with its leader.
func (r *Run) shown(topic string, partitions int) error {
	return r.until("metadata of "+topic, func() (bool, error) {
		d, err := r.Library.Describe(r.Context, topic)
		return err == nil && d.Partitions == partitions && d.LeadersKnown, nil
	})
}

func topicCreate(r *Run) error {
	if err := r.create(r.Topic, 3, nil); err != nil {
		return err
	}
	r.Facts["partitions"] = 3
	r.Facts["again"] = r.Name(r.Library.CreateTopic(r.Context, r.Topic, 3, r.Replicas, nil))
	r.Facts["invalid_name"] = r.Name(r.Library.CreateTopic(r.Context, "a/b", 1, 1, nil))
	r.Facts["replication_factor_3"] = r.Name(r.Library.CreateTopic(r.Context, r.Topic+"-three", 1, 3, nil))
	return nil
}

func metadata(r *Run) error {
	if err := r.create(r.Topic, 3, nil); err != nil {
		return err
	}
	d, err := r.Library.Describe(r.Context, r.Topic)
	if err != nil {
		return err
	}
	r.Facts["brokers"], r.Facts["controller_known"] = d.Brokers, d.ControllerKnown
	r.Facts["partitions"], r.Facts["leaders_known"] = d.Partitions, d.LeadersKnown
	_, err = r.Library.Describe(r.Context, r.Topic+"-unknown")
	r.Facts["unknown_topic"] = r.Name(err)
	return nil
}
