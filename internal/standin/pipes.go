package standin

import (
	"context"
	"errors"
	"net"
)

// Pipes is a listener without sockets, for an imitation inside of a bubble of
// testing/synctest: there nothing may wait for the world outside, or the clock of
// the bubble stands still.
type Pipes struct {
	waiting chan net.Conn
	closed  chan struct{}
}

// NewPipes returns one that is to be given to http.Server.Serve. It is closed once.
func NewPipes() *Pipes { return &Pipes{waiting: make(chan net.Conn), closed: make(chan struct{})} }

// Accept implements net.Listener. It returns nothing any more once it is closed,
// also when somebody waits.
func (p *Pipes) Accept() (net.Conn, error) {
	select {
	case <-p.closed:
		return nil, net.ErrClosed
	default:
	}
	select {
	case c := <-p.waiting:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *Pipes) Close() error { close(p.closed); return nil }

// Addr implements net.Listener. Nobody can dial it.
func (p *Pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// Dial connects to whoever accepts, whatever the address is.
func (p *Pipes) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	select {
	case <-p.closed:
		return nil, errors.New("connection refused")
	default:
	}
	ours, theirs := net.Pipe()
	select {
	case p.waiting <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.closed:
		return nil, errors.New("connection refused")
	}
}
