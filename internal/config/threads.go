package config

import "slices"

// threadPools are the keys that size a pool of threads of Kafka's, other than log.cleaner.threads.
var threadPools = []string{"background.threads", "num.io.threads", "num.network.threads", "num.recovery.threads.per.data.dir", "num.replica.fetchers"}

// CheckThreads refuses what would more than double or halve a number of threads at run time, as Kafka's pools do. The error
// is an *Error. What is no change of one, or no number, is left to [AlterBroker].
func (l Layers) CheckThreads(changes []Change) error {
	for _, c := range changes {
		d, ok := BrokerKey(c.Name)
		cleaner := c.Name == "log.cleaner.threads"
		if !ok || c.Op != Set || c.Value == nil || !cleaner && !slices.Contains(threadPools, c.Name) {
			continue
		}
		next, err := d.parse(*c.Value)
		if err != nil {
			continue
		}
		now, set := l.parsed(d)
		if !set {
			if now, err = d.parse(d.Default); err != nil {
				continue
			}
		}
		if why := resize(c.Name, cleaner, now.number, next.number); why != nil {
			return why
		}
	}
	return nil
}

func resize(name string, cleaner bool, now, next int64) error {
	switch few, many := next < now/2, next > now*2; {
	case cleaner && next < 1:
		return badRequest("Log cleaner threads should be at least 1")
	case cleaner && few:
		return badRequest("Log cleaner threads cannot be reduced to less than half the current value %d", now)
	case cleaner && many:
		return badRequest("Log cleaner threads cannot be increased to more than double the current value %d", now)
	case few:
		return badRequest("Dynamic thread count update validation failed for %s=%d, value should be at least half the current value %d", name, next, now)
	case many:
		return badRequest("Dynamic thread count update validation failed for %s=%d, value should not be greater than double the current value %d", name, next, now)
	}
	return nil
}
