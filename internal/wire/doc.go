// Package wire is the Kafka protocol as bytes: frames, headers, requests, responses and error codes. It knows no broker.
//
// # What it promises
//
//   - Nothing that a client sends makes it panic, loop for longer than the input is long, or allocate more than twice
//     the bytes received plus [DecodeSlackBytes]. Every count is checked against the bytes that remain before memory is
//     made for it, and the decoded size is known before decoding begins.
//   - What [DecodeRequest] returns shares no memory with the frame. What [ProduceRequest.Decode] returns does, in
//     Records only: whoever keeps record sets beyond the frame's life copies them.
//   - Produce and Fetch, the hot ones, have a codec of our own that reuses its structs and allocates nothing in steady
//     state. All other messages go through kmsg. Both give the same bytes (tested against each other). Fetch has its
//     client's half too, in the one version that nodes speak among each other ([FetchVersion]).
//   - What nodes tell each other beyond Kafka's protocol has keys and messages of our own (private.go), framed and
//     surveyed like the others.
//   - A response knows its size before it is encoded, so that one buffer of the right size is enough. Record data of a
//     Fetch is read by its [RecordSource] straight into that buffer.
//
// # Errors
//
// [ReadRequestHeader] and [DecodeRequest] return errors that match [ErrMalformed] (close the connection),
// [ErrUnknownAPI] (close it: the header's form is not known) or [ErrUnsupportedVersion] (close it, but for ApiVersions,
// which is answered in version 0, KIP-511). The header is filled as far as it could be read, the correlation id included.
//
// # Concurrency
//
// Functions may be called from everywhere at once. A value is owned by one goroutine at a time.
package wire
