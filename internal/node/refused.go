package node

import (
	"errors"
	"syscall"
)

// wsaConnRefused is what Windows says in the place of ECONNREFUSED, which package syscall does not translate. No other
// system has an error of this number.
const wsaConnRefused = syscall.Errno(10061)

// refused tells whether an error of Network.Dial is a machine's answer that nobody listens on an address. That none has come
// in time, that there is no way to the machine, and whatever else may go wrong here or in between, is none.
func refused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, wsaConnRefused)
}
