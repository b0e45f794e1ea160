package vfs

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestGateLetsTimePass: with a mutex this test would hang, since virtual time stands still while a goroutine waits for one.
func TestGateLetsTimePass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Gate
		var order []int
		done := make(chan struct{})
		for i := range 5 {
			go func() {
				g.Lock()
				time.Sleep(time.Second)
				order = append(order, i)
				g.Unlock()
				done <- struct{}{}
			}()
			synctest.Wait()
		}
		for range 5 {
			<-done
		}
		if !slices.Equal(order, []int{0, 1, 2, 3, 4}) {
			t.Errorf("passed in the order %v", order)
		}
		g.Lock() // open again
		order = nil
		g.Unlock()
	})
}

func TestGateUnlockedTwice(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("unlocking a gate that nobody holds must panic")
		}
	}()
	var g Gate
	held := 0
	g.Lock()
	held++
	g.Unlock()
	g.Unlock()
}
