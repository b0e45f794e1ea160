// Package web serves the page of the pay-as-you-drive insurance: the cars on a map, the drivers with score and
// premium and why, and the pipeline behind it, live.
//
// The page is what a browser has: one document, ES modules, custom elements and a canvas, embedded in the binary. It
// asks no other machine for anything, and its Content-Security-Policy does not let it.
//
// [Handler] is safe for any number of requests at once. It starts no goroutine of its own; a stream lives as long as
// its request.
package web
