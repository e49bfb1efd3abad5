package ratelimit_test

import (
	"fmt"
	"time"

	"acmebridge/internal/ratelimit"
)

func Example() {
	table := ratelimit.New(ratelimit.Config{Now: func() time.Time { return time.Unix(0, 0) }})
	orders := table.Limit(ratelimit.Rate{Count: 2, Per: time.Hour})
	for range 3 {
		if wait := ratelimit.For(orders, "account-1").Take(); wait > 0 {
			fmt.Printf("over %s, again in %s\n", orders.Rate(), ratelimit.Short(wait))
			continue
		}
		fmt.Println("placed")
	}
	// Output:
	// placed
	// placed
	// over 2 in 1h, again in 30m
}
