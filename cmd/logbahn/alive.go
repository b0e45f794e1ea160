package main

import (
	"net"
	"net/url"
	"time"
)

// alivePatience is for a page on this machine.
const alivePatience = time.Second

// alive tells whether the demo that left its address behind still answers there: a process id alone may be somebody
// else's by now. It is the page that is asked: brokers may have been killed.
func alive(d runningDemo) bool {
	page, err := url.Parse(d.URL)
	if err != nil {
		return false
	}
	conn, err := net.DialTimeout("tcp", page.Host, alivePatience)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}
