module github.com/logbahn/logbahn/chaos

go 1.26.0

require (
	github.com/hanwen/go-fuse/v2 v2.12.1
	github.com/logbahn/logbahn v0.0.0
	github.com/twmb/franz-go v1.22.2
	github.com/twmb/franz-go/pkg/kadm v1.19.0
	github.com/twmb/franz-go/pkg/kmsg v1.15.0
	golang.org/x/sys v0.50.0
)

require (
	github.com/anishathalye/porcupine v1.3.1 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/pierrec/lz4/v4 v4.1.33 // indirect
)

replace github.com/logbahn/logbahn => ../
