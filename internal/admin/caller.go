package admin

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"
)

type callerKey struct{}

// ConnContext remembers who is at the other end of a connection to the socket.
// Whatever serves the handler on the socket needs it; without it every caller
// passes for the user that runs the server.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if u, ok := c.(*net.UnixConn); ok {
		if who, ok := peer(u); ok {
			return context.WithValue(ctx, callerKey{}, who)
		}
	}
	return ctx
}

// caller is who made a request: the user at the other end of the socket, and
// where there is none, the one that runs this very process.
func caller(r *http.Request) string {
	if who, ok := r.Context().Value(callerKey{}).(string); ok {
		return who
	}
	return person(os.Getpid(), os.Getuid())
}

// person names the user of a process. Whoever operates a server does so as its
// user or as root, so what counts is who logged in, where the kernel kept that.
func person(pid, uid int) string {
	if login, ok := loginUser(pid); ok {
		uid = login
	}
	id := strconv.Itoa(uid)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "uid " + id
}
