package main

import (
	"fmt"

	"acmebridge/internal/admin"
)

// changes is how often a command makes a change of members that others were in
// the way of. Somebody who is in the way each time is a program that went wrong.
const changes = 5

// change reads members, makes a change of what it has read, and has it written.
// Members have versions, and what others have written in between is not written
// over: the change is then made again, to what there is now.
func change(once func() error) error {
	for again := 1; ; again++ {
		switch err := once(); {
		case !admin.Stale(err):
			return err
		case again == changes:
			return fmt.Errorf("%w; others have changed it %d times while this was at work", err, changes)
		}
	}
}
