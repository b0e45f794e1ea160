//go:build !unix

package node

func openFilesMax() (uint64, bool) { return 0, false }
