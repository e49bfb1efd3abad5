package sectigotool

import (
	"context"
	"net"
	"time"
)

// dialTimeout is how long one attempt to connect may take.
const dialTimeout = 10 * time.Second

// dial connects to where the person at the command has said, by the names that
// this machine knows. The server's egress rules guard against addresses that
// clients choose; here nobody chooses but that person, and the client follows
// no redirect.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, address)
}
