module github.com/logbahn/logbahn/chaos

go 1.26.0

require (
	github.com/hanwen/go-fuse/v2 v2.12.1
	github.com/logbahn/logbahn v0.0.0
	golang.org/x/sys v0.50.0
)

replace github.com/logbahn/logbahn => ../
