//go:build !linux

package kafka

import "os/exec"

// Bind does nothing here: a process that is not ended stays.
func Bind(*exec.Cmd) {}
