// Package config knows Kafka's configuration keys: their types, defaults, limits and meanings, where a value may come
// from and which one counts. It is pure: it reads no file, no clock and no environment by itself, and keeps no state;
// every function may be called from any goroutine.
//
// # Keys
//
// The tables keys_*.go are the one place where a key is described. BrokerKey and TopicKey find a Def in them. Class
// says what Logbahn does with a key: what Kafka does, something near it, nothing, or refuse it with a reason.
//
// # Sources
//
// A topic's value is the topic's own, else the broker's under the name that Def.Server gives. A broker's value is the
// dynamic one of this broker, else the dynamic one of all brokers, else the static one (server.properties, environment,
// flags), else the default. Layers holds the three of a broker; it resolves to typed values (Topic, Broker) and to what
// DescribeConfigs shows (Entry).
//
// # Errors
//
// What clients ask for (ValidateTopic, ValidateBroker, AlterTopic, AlterBroker) fails with an *Error, which has
// Kafka's error code and, as near as possible, its text. What the operator writes (Settings.Check) gives Problems that
// name the place, the key, the value and what is allowed. The value of a password is in neither.
package config
