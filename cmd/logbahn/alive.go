package main

import "net"

// alive tells whether the demo that left its address behind still answers there: a process id alone may be somebody
// else's by now.
func alive(d runningDemo) bool {
	conn, err := net.Dial("tcp", d.Kafka)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}
