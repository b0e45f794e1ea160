package commitlog

import "sync"

// logLock is a sync.Mutex that can be kept while its holder waits for the disk. Who waits for it then waits on a channel, as
// those of a vfs.Gate do, which testing/synctest takes for idle. To who only locks it, it costs one comparison more than a
// mutex.
type logLock struct {
	mutex sync.Mutex
	kept  chan struct{} // closed when who keeps the lock lets it go; nil: nobody keeps it
}

// Lock returns when the caller holds the lock, for no longer than memory and the page cache take.
func (l *logLock) Lock() {
	for {
		l.mutex.Lock()
		kept := l.kept
		if kept == nil {
			return
		}
		l.mutex.Unlock()
		<-kept
	}
}

// Unlock ends Lock.
func (l *logLock) Unlock() { l.mutex.Unlock() }

// Keep is Lock for who is going to wait for the disk.
func (l *logLock) Keep() {
	l.Lock()
	l.kept = make(chan struct{})
	l.mutex.Unlock()
}

// LetGo ends Keep.
func (l *logLock) LetGo() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	close(l.kept)
	l.kept = nil
}
