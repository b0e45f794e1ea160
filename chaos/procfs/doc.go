// Package procfs reads from /proc what the kernel knows of a process and of the machine while something is wrong: a
// process's TCP connections and threads, and how busy the processors are.
//
// What it returns is one look; processes go on meanwhile. A process that ends under it is an error. It needs Linux, and
// the rights to look at the process. Anybody may call it at any time.
package procfs
