package main

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// fakeListener hands out connections that claim to be from anywhere.
type fakeListener struct {
	conns chan net.Conn
	once  sync.Once
}

func (l *fakeListener) Accept() (net.Conn, error) {
	c, ok := <-l.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (l *fakeListener) Close() error   { l.once.Do(func() { close(l.conns) }); return nil }
func (l *fakeListener) Addr() net.Addr { return &net.TCPAddr{} }

type connFrom struct {
	net.Conn
	remote net.Addr
}

func (c connFrom) RemoteAddr() net.Addr { return c.remote }

func dialFrom(l *fakeListener, address string) (client net.Conn) {
	client, server := net.Pipe()
	l.conns <- connFrom{server, &net.TCPAddr{IP: net.ParseIP(address), Port: 1}}
	return client
}

// refused reports whether the other side has closed at once.
func refused(t *testing.T, c net.Conn) bool {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second)) // fails on a pipe that is closed already
	_, err := c.Read(make([]byte, 1))
	return errors.Is(err, io.EOF)
}

// SL-5, SL-44: the bounds hold in all and for each address, a /64 counts as
// one, and closing makes room at once.
func TestLimitListener(t *testing.T) {
	t.Parallel()
	inner := &fakeListener{conns: make(chan net.Conn, 16)}
	l := newLimitListener(inner, 4, 2)
	accept := func() net.Conn {
		t.Helper()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	dialFrom(inner, "192.0.2.1")
	first := accept()
	dialFrom(inner, "192.0.2.1")
	accept()

	third := dialFrom(inner, "192.0.2.1")
	dialFrom(inner, "192.0.2.2") // is let in after the third was sent away
	accept()
	if !refused(t, third) {
		t.Error("a third connection of one address was not closed")
	}
	dialFrom(inner, "2001:db8::1")
	six := accept()
	fifth := dialFrom(inner, "2001:db8::2")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	_ = first.Close() // twice must not free two slots
	if open, _ := l.counts(); open != 3 {
		t.Errorf("%d are open, want 3", open)
	}
	again := accept() // the fifth has the freed slot
	if open, refused := l.counts(); open != 4 || refused != 1 {
		t.Errorf("%d open, %d refused", open, refused)
	}
	sixth := dialFrom(inner, "198.51.100.1")
	_ = inner.Close()
	if _, err := l.Accept(); err == nil {
		t.Error("more than four were let in")
	}
	if !refused(t, sixth) {
		t.Error("the fifth at the same time was not closed")
	}
	_, _ = six.Close(), again.Close()
	_ = fifth
	if got := l.of; len(got) != 2 {
		t.Errorf("closed connections are remembered: %v", got)
	}
	if sourceOf(six) != sourceOf(again) {
		t.Error("two addresses of one /64 count as two")
	}
}

func TestUnboundedListener(t *testing.T) {
	t.Parallel()
	inner := &fakeListener{conns: make(chan net.Conn, 100)}
	l := newLimitListener(inner, 0, 0)
	for range 100 {
		dialFrom(inner, "192.0.2.1")
		if _, err := l.Accept(); err != nil {
			t.Fatal(err)
		}
	}
}
