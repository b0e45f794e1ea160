// Package listener is where clients arrive: it accepts connections, takes frames off them, has a [Handler] answer, and
// sends the replies in the order of the requests.
//
// # A connection
//
// Its reader waits for four bytes, the length of the next frame; that is all an idle connection costs. It then reads the
// frame into a pooled buffer, decodes it, and calls Handler.Start. Its writer, started when the first reply is due and
// retired when the connection falls silent, calls each request's [Finish] in order of arrival, encodes the reply and
// sends it. So while the first of several Produce requests waits for the disk, the ones behind it are appended, and share
// its flush; their replies, ready at once, leave in one write.
//
// Only APIs that say so pipeline like this. Any other starts when all replies before it have left, and nothing behind it
// starts, or is even read beyond its length, before its own has: an OffsetFetch sees what the OffsetCommit before it did.
//
// # What bounds memory
//
// A frame's buffer grows with what has arrived of it, not with what was announced, unless the client has just sent a frame
// half as long whole. Beyond its first [unclaimedBytes] its memory is claimed from the server's budget, and given back when
// Start has returned. Claims are served in order of arrival, large frames out of one half of the budget and all others out
// of the other; one larger than its half is let in alone. While somebody waits, a frame that holds memory and does not
// arrive at a decent pace ends its connection. Of a client that pipelines up to [aheadBytes] behind a frame are read with
// it, and kept until their turn.
// Servers do not share budgets: traffic that others wait for gets a server of its own.
//
// A reply is in memory until the client has taken it. When all replies together take more than ReplyBytesMax, clients that
// take nothing of theirs are not waited for. Nobody waits for reply memory: who reads is served at once.
//
// # What ends a connection
//
// The client; silence for IdleTimeout; a frame that is too large, malformed, of another protocol, or that does not
// arrive in time; an API or version that is not served; a client that does not read its replies; a reply whose encoding
// fails; a handler that panics, which is a defect here and is logged as an error with its stack, the other connections
// living on. Each has a counter in [Stats] and one line in the log. When a connection ends, the context of its requests
// does: long polls return, and replies that were still due are dropped. Shutdown ends the wait of long polls alone: what
// they have by then is sent.
//
// # Goroutines and locks
//
// Each connection has its reader and at times its writer; Serve runs in its caller's goroutine. Nothing blocks while it
// holds a lock. Shutdown and Close return when all of them have ended.
package listener
