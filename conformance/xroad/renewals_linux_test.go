package xroad_test

import (
	"bytes"
	"context"
	"crypto"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"acmebridge/conformance/xroad"
)

// BenchmarkRenewals is the traffic of the hourly job, against a server as it is
// delivered, for what the server spends on it: its user and system time, as the
// kernel counts it, so that other programs on the machine do not matter much.
//
// One operation is a whole cycle of one certificate, over a connection of its own:
// the logins, the questions when to renew, and the order with its challenge. That is
// the dearest cycle there is: in a bad hour most of them end sooner. share/core is what 500 Security Servers with two
// certificates each take of one core, when each of these is tried every minute
// with 12 requests.
func BenchmarkRenewals(b *testing.B) {
	server := startBridge(b, func(example string) string { return example })
	const host = "ss1.localhost"
	credentials, site := server.acmeYML(b, member, host), server.site(nil)
	const workers = 4
	type worker struct {
		s    *xroad.SecurityServer
		web  *http.Client
		last *xroad.Issued
	}
	renewal := func() xroad.Key { return xroad.AuthKey(signer(b), authSubject(host), host, host) }
	all := make([]worker, workers)
	for i := range all {
		w := worker{web: &http.Client{Transport: server.transport(b)}}
		var err error
		w.s, err = xroad.New(xroad.Config{DirectoryURL: site.directory("xroad"), HTTP: w.web, Challenges: server.challenges, Contact: "member1@example.org",
			Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
		if err != nil {
			b.Fatal(err)
		}
		w.s.Use(credentials["auth"])
		if w.last, err = w.s.Order(b.Context(), renewal()); err != nil {
			b.Fatal(err)
		}
		all[i] = w
	}
	cycle := func(w *worker) error {
		w.web.CloseIdleConnections() // the last cycle is a minute ago
		if _, due, err := w.s.Renew(b.Context(), w.last.Leaf, xroad.Key{}); due || err != nil {
			return fmt.Errorf("due %t: %w", due, err)
		}
		issued, err := w.s.RenewNow(b.Context(), w.last.Leaf, renewal())
		if err != nil {
			return err
		}
		w.last = issued
		return nil
	}
	sent := func() (n int) {
		for i := range all {
			requests, _ := all[i].s.Requests()
			n += requests
		}
		return n
	}
	before, requests := cpuOf(b, server.pid), sent()
	b.ResetTimer()
	var group sync.WaitGroup
	for i := range all {
		group.Go(func() {
			for n := i; n < b.N; n += workers {
				if err := cycle(&all[i]); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	b.StopTimer()
	spent, made := cpuOf(b, server.pid)-before, sent()-requests
	each := spent / time.Duration(max(made, 1))
	const perMinute = 500 * 2 * 12
	b.ReportMetric(float64(made)/float64(b.N), "requests/op")
	b.ReportMetric(float64(each.Microseconds()), "µs-CPU/request")
	b.ReportMetric(100*float64(perMinute)*each.Seconds()/60, "%-of-a-core")
}

// cpuOf is the user and system time of a process. Linux counts it in hundredths of
// a second on all machines.
func cpuOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		b.Fatalf("%q", text)
	}
	var ticks int
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// BenchmarkOCSP asks a server as it is delivered for the states of certificates,
// over connections that stay. What counts is the server's own processor time, the
// kernel's part of HTTP included; the client's is not.
func BenchmarkOCSP(b *testing.B) {
	server := startBridge(b, func(example string) string { return example })
	const host = "ss1.localhost"
	s := with(b, server.site(nil).config("xroad"), server.acmeYML(b, member, host)["auth"])
	var questions [][]byte
	var url string
	for range 10 {
		issued, err := s.Order(b.Context(), xroad.AuthKey(signer(b), authSubject(host), host, host))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Activate(b.Context(), issued.Leaf, issued.Chain[1], xroad.Global{}); err != nil {
			b.Fatal(err)
		}
		question, err := ocsp.CreateRequest(issued.Leaf, issued.Chain[1], &ocsp.RequestOptions{Hash: crypto.SHA1})
		if err != nil {
			b.Fatal(err)
		}
		questions, url = append(questions, question), issued.Leaf.OCSPServer[0]
	}
	web := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	defer web.CloseIdleConnections()
	before := cpuOf(b, server.pid)
	b.ResetTimer()
	var group sync.WaitGroup
	const workers = 4
	for i := range workers {
		group.Go(func() {
			for n := i; n < b.N; n += workers {
				resp, err := web.Post(url, "application/ocsp-request", bytes.NewReader(questions[n%len(questions)]))
				if err != nil {
					b.Error(err)
					return
				}
				size, err := io.Copy(io.Discard, resp.Body)
				if err != nil || size < 100 || resp.Body.Close() != nil {
					b.Error(size, err)
					return
				}
			}
		})
	}
	group.Wait()
	b.StopTimer()
	if spent := cpuOf(b, server.pid) - before; spent > 0 {
		b.ReportMetric(float64(spent.Microseconds())/float64(b.N), "µs-CPU/response")
		b.ReportMetric(float64(b.N)/spent.Seconds(), "responses/s/core")
	}
}
