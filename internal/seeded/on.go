//go:build seeded

package seeded

import "os"

// none is what a process has that was given no bug.
const none Bug = -1

var chosen = find(os.Getenv("LOGBAHN_BUG"))

// find refuses a name that no bug has: nothing would be proven by its being caught.
func find(name string) Bug {
	if name == "" {
		return none
	}
	for b, x := range Bugs {
		if x.Name == name {
			return Bug(b)
		}
	}
	panic("LOGBAHN_BUG=" + name + " is no seeded bug")
}

// Is tells whether this process has a bug on purpose.
func Is(b Bug) bool { return b == chosen }
