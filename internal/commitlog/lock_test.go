package commitlog

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestLogLockLetsTimePass: virtual time passes while somebody waits for a lock whose holder waits for a disk.
func TestLogLockLetsTimePass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lock logLock
		begin := time.Now()
		lock.Keep()
		var waiting sync.WaitGroup
		inside, entered := 0, 0
		for range 3 {
			waiting.Go(func() {
				lock.Lock()
				defer lock.Unlock()
				inside++
				if inside != 1 {
					t.Error("two hold the lock")
				}
				inside--
				entered++
			})
			waiting.Go(func() {
				lock.Keep()
				defer lock.LetGo()
				inside++
				time.Sleep(time.Second)
				if inside != 1 {
					t.Error("two keep the lock")
				}
				inside--
				entered++
			})
		}
		time.Sleep(time.Second)
		if entered != 0 {
			t.Fatal("the lock is held, and others hold it")
		}
		lock.LetGo()
		waiting.Wait()
		if entered != 6 || time.Since(begin) != 4*time.Second {
			t.Fatalf("%d have had the lock, after %v", entered, time.Since(begin))
		}
	})
}
