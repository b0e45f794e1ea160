//go:build unix

package main

import "syscall"

// detached makes a process that outlives the terminal of its parent.
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
