package egress

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"acmebridge/internal/egress/dnstest"
)

// rawServer answers every question with bytes of somebody's choice, over UDP and
// over TCP. An answer of nil is none; over TCP the connection then stays open.
func rawServer(t *testing.T, answer func(query []byte, tcp bool) []byte) string {
	t.Helper()
	udp, l := bothPorts(t)
	var running sync.WaitGroup
	running.Go(func() {
		buf := make([]byte, 65535)
		for {
			n, from, err := udp.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if a := answer(slices.Clone(buf[:n]), false); a != nil {
				_, _ = udp.WriteToUDPAddrPort(a, from) // whoever asked may have gone
			}
		}
	})
	ending := make(chan struct{})
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				for {
					var size [2]byte
					if _, err := io.ReadFull(c, size[:]); err != nil {
						return
					}
					query := make([]byte, binary.BigEndian.Uint16(size[:]))
					if _, err := io.ReadFull(c, query); err != nil {
						return
					}
					a := answer(query, true)
					if a == nil {
						<-ending
						return
					}
					if _, err := c.Write(a); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { close(ending); udp.Close(); l.Close(); running.Wait() })
	return udp.LocalAddr().String()
}

// bothPorts listens on one port over UDP and over TCP.
func bothPorts(t *testing.T) (*net.UDPConn, net.Listener) {
	t.Helper()
	for range 50 { // the other half of a port may be somebody else's
		udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		if l, err := net.Listen("tcp", udp.LocalAddr().String()); err == nil {
			return udp, l
		}
		udp.Close()
	}
	t.Fatal("no port is free for both")
	return nil, nil
}

// replyTo is the beginning of an honest answer to a query: the same id and
// question, with the counts that are given.
func replyTo(query []byte, counts ...byte) []byte {
	reply := slices.Clone(query)
	reply[2], reply[3] = 0x81, 0x80
	copy(reply[6:12], counts)
	// What stands behind the question is the EDNS record; it goes.
	end := 12
	for reply[end] != 0 {
		end += int(reply[end]) + 1
	}
	return reply[:end+5]
}

// framed puts a length in front, as over TCP, which need not be the true one.
func framed(size int, message []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(size)), message...)
}

// SD-3, SD-4: answers that are broken, oversized or endless cost one question
// its answer. None of them is "no such record", and none is waited for beyond
// the time of a question.
func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	pointer := []byte{0xc0, 0x0c}
	a := func(name []byte, length int, data ...byte) []byte {
		rr := append(slices.Clone(name), 0, 1, 0, 1, 0, 0, 0, 60)
		return append(binary.BigEndian.AppendUint16(rr, uint16(length)), data...)
	}
	for name, answer := range map[string]func(query []byte) []byte{
		"nothing":                     func([]byte) []byte { return []byte{} },
		"eleven bytes":                func(q []byte) []byte { return q[:11] },
		"the question as it was":      func(q []byte) []byte { return q },
		"another id":                  func(q []byte) []byte { r := replyTo(q); r[0] ^= 1; return r },
		"no question":                 func(q []byte) []byte { r := replyTo(q)[:12]; r[5] = 0; return r },
		"65,535 records that are not": func(q []byte) []byte { return replyTo(q, 0xff, 0xff) },
		"a record that got lost": func(q []byte) []byte {
			return append(replyTo(q, 0, 2), a(pointer, 4, 192, 0, 2, 1)...)
		},
		"an authority that got lost": func(q []byte) []byte { return replyTo(q, 0, 0, 0, 1) },
		"an address of 65,535 bytes": func(q []byte) []byte { return append(replyTo(q, 0, 1), a(pointer, 65535, 192, 0, 2, 1)...) },
		"an address of three bytes":  func(q []byte) []byte { return append(replyTo(q, 0, 1), a(pointer, 3, 192, 0, 2)...) },
		"a name that points at itself": func(q []byte) []byte {
			r := replyTo(q, 0, 1)
			return append(r, a([]byte{0xc0, byte(len(r))}, 4, 192, 0, 2, 1)...)
		},
		"a name that points behind":     func(q []byte) []byte { return append(replyTo(q, 0, 1), a([]byte{0xff, 0xff}, 4, 192, 0, 2, 1)...) },
		"a label without end":           func(q []byte) []byte { return append(replyTo(q, 0, 1), 63, 'a', 'b') },
		"an alias that is cut off":      func(q []byte) []byte { return append(replyTo(q, 0, 1), 0xc0, 0x0c, 0, 5, 0, 1) },
		"only text":                     func([]byte) []byte { return []byte("HTTP/1.1 400 Bad Request\r\n\r\n") },
		"garbage behind a wrong answer": func(q []byte) []byte { return append(replyTo(q, 0xff, 0), make([]byte, 60000)...) },
	} {
		for _, tcpFirst := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, TCP first %t", name, tcpFirst), func(t *testing.T) {
				t.Parallel()
				server := rawServer(t, func(query []byte, tcp bool) []byte {
					if got := answer(query); tcp {
						return framed(len(got), got)
					} else {
						return got
					}
				})
				wantNoAnswer(t, server, tcpFirst, "")
			})
		}
	}
	for name, answer := range map[string]func(query []byte) []byte{
		"a length and nothing more":       func([]byte) []byte { return framed(65535, nil) },
		"a length and a part of it":       func(q []byte) []byte { return framed(65535, replyTo(q)) },
		"half a length":                   func([]byte) []byte { return []byte{0xff} },
		"silence":                         func([]byte) []byte { return nil },
		"64 KiB of nothing in particular": func([]byte) []byte { return framed(65535, make([]byte, 65535)) },
	} {
		t.Run("over TCP "+name, func(t *testing.T) {
			t.Parallel()
			server := rawServer(t, func(query []byte, tcp bool) []byte {
				if !tcp {
					return nil
				}
				return answer(query)
			})
			// Which way it was is said: over UDP the server may do.
			wantNoAnswer(t, server, true, "over TCP")
		})
	}
}

func wantNoAnswer(t *testing.T, server string, tcpFirst bool, says string) {
	t.Helper()
	r, err := NewResolver(ResolverConfig{Servers: []string{server}, Timeout: 100 * time.Millisecond, TCPFirst: tcpFirst})
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.LookupAddrs(t.Context(), "host.example")
	if !errors.Is(err, ErrNoAnswer) || len(got) != 0 || !strings.Contains(err.Error(), says) {
		t.Errorf("addresses: %v, %v; want %v, %s", got, err, ErrNoAnswer, says)
	}
	text, err := r.LookupTXT(t.Context(), "host.example")
	if !errors.Is(err, ErrNoAnswer) || len(text.Values) != 0 {
		t.Errorf("TXT: %v, %v; want %v", text.Values, err, ErrNoAnswer)
	}
	caa := r.LookupCAA(t.Context(), "host.example")
	if len(caa) != 1 || !errors.Is(caa[0].Err, ErrNoAnswer) {
		t.Errorf("CAA: %+v, want %v", caa, ErrNoAnswer)
	}
}

// SD-3: of a host that has a thousand addresses, a few are looked at, of both
// families, and those that are closed stay closed among many.
func TestManyAddresses(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, "")
	for i := range 500 {
		s.AddRR(&dns.A{Hdr: dns.RR_Header{Name: "many.example.", Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(8, 8, byte(i>>8), byte(i))})
		six := netip.MustParseAddr("2606:4700::").As16()
		six[14], six[15] = byte(i>>8), byte(i)
		s.AddRR(&dns.AAAA{Hdr: dns.RR_Header{Name: "many.example.", Rrtype: dns.TypeAAAA, Class: dns.ClassINET, Ttl: 60}, AAAA: six[:]})
		s.AddRR(&dns.A{Hdr: dns.RR_Header{Name: "inside.example.", Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(10, 0, byte(i>>8), byte(i))})
	}
	r := mustResolver(t, 5*time.Second, s.Addr())
	got, err := r.LookupAddrs(t.Context(), "many.example")
	if err != nil || len(got) == 0 || len(got) > 2*maxAddrs {
		t.Fatalf("%d addresses, %v; want %d at most", len(got), err, 2*maxAddrs)
	}
	if picked := alternate(got, "tcp"); len(picked) != maxDialed || !slices.ContainsFunc(picked, netip.Addr.Is4) || !slices.ContainsFunc(picked, netip.Addr.Is6) {
		t.Errorf("would connect to %v", picked)
	}
	d := mustDialer(t, DialerConfig{Policy: mustPolicy(t, PolicyConfig{}), Resolver: r})
	if got, err := d.Lookup(t.Context(), "inside.example"); !errors.Is(err, ErrDenied) || got != nil {
		t.Errorf("inside: %v, %v", got, err)
	}
}
