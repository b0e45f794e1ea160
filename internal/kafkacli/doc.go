// Package kafkacli is Kafka's command-line tools under their names and with their flags: kafka-topics,
// kafka-console-consumer and the others, as Kafka 4.3 has them, and the spellings that older releases had.
//
// # What it promises
//
// What a tool prints is what Kafka's prints: the same words in the same columns on the same stream, and the same exit
// code. interop/testdata/tools has what Kafka's own tools printed; the tests of this package and of interop compare with
// it. Deliberate differences:
//
//   - A warning that an old spelling is deprecated goes to standard error. Kafka has it on standard output, where it
//     breaks the scripts that the old spelling is kept for.
//   - Where Kafka prints in the order of a hash table, names are sorted here.
//   - A Java stack trace is not printed, its message is. Options that name Java classes know the classes that Kafka
//     brings along, and refuse others.
//   - --zookeeper is taken by the tools that once had it: one line on standard error says that there is none, and the
//     command runs against --bootstrap-server, else localhost:9092.
//   - The help texts are this package's own. The options are Kafka's, each of them.
//
// # States and errors
//
// [Run] does one command and returns its exit code; it keeps nothing. Every error has been printed when it returns. A
// context that ends stops a command that would run on, such as a console consumer, as Ctrl-C stops Kafka's.
//
// # Who may call it
//
// Anyone, from any goroutine. It starts goroutines of its own only while a command runs. It reaches the log through
// franz-go, as any client does, and files of a data directory through internal/logdump; starting and stopping a server
// is the caller's, who hands the functions in.
package kafkacli
