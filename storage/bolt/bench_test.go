//go:build linux

package bolt

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/storage"
)

// The speed of the last thousand orders beside that of the first is asked for
// at 100,000 of them: go test -run xxx -bench Orders -benchtime 1x -orders 100000
var ordersMade = flag.Int("orders", 20000, "how many orders BenchmarkOrders makes")

// life is one order on its way, with records of the sizes that occur.
type life struct {
	now   time.Time
	order acme.Order
	authz acme.Authorization
	cert  acme.Certificate
	sub   storage.Submission
}

func mint[ID ~string](now time.Time) ID {
	id, err := acme.MintID[ID](now, rand.Reader)
	if err != nil {
		panic(err)
	}
	return id
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func token() string { return fmt.Sprintf("%x", random(22))[:43] }

var benchChain = sha256.Sum256([]byte("chain"))

func newLife(account acme.AccountID, member acme.MemberID) *life {
	now := time.Now().UTC()
	name := acme.Identifier{Type: acme.DNSIdentifier, Value: fmt.Sprintf("host-%x.example.org", random(4))}
	l := &life{now: now}
	l.order = acme.Order{
		ID: mint[acme.OrderID](now), Account: account, Directory: "default", Profile: "tls", Member: member, Status: acme.OrderPending,
		Identifiers: []acme.Identifier{name}, CreatedAt: now, Expires: now.Add(24 * time.Hour),
	}
	l.authz = acme.Authorization{
		ID: mint[acme.AuthorizationID](now), Account: account, Directory: "default", Order: l.order.ID, Identifier: name,
		Status: acme.AuthorizationPending, Expires: now.Add(24 * time.Hour),
	}
	for _, t := range []acme.ChallengeType{acme.HTTP01, acme.DNS01, acme.TLSALPN01} {
		l.authz.Challenges = append(l.authz.Challenges, acme.Challenge{Type: t, Status: acme.ChallengePending, Token: token()})
	}
	l.order.Authorizations = []acme.AuthorizationID{l.authz.ID}
	l.order.Note(now, "ordered")
	return l
}

// newOrder is the first commit: order, authorization and job.
func (l *life) newOrder(tx storage.Tx) error {
	job := storage.Job{ID: storage.JobID(l.order.ID), Kind: storage.JobExpire, Due: l.order.Expires, Account: l.order.Account, Subject: string(l.order.ID)}
	return firstError(tx.Authorizations().Put(l.authz), tx.Orders().Put(l.order), tx.Jobs().Put(job))
}

// settle is the second: the challenge was met.
func (l *life) settle(tx storage.Tx) error {
	z, err := tx.Authorizations().Get(l.authz.ID)
	if err != nil {
		return err
	}
	o, err := tx.Orders().Get(l.order.ID)
	if err != nil {
		return err
	}
	z.Status, z.Expires = acme.AuthorizationValid, l.now.Add(30*24*time.Hour)
	z.Challenges = z.Challenges[:1]
	z.Challenges[0].Status, z.Challenges[0].KeyAuthorization, z.Challenges[0].ValidatedAt = acme.ChallengeValid, z.Challenges[0].Token+"."+token(), l.now
	o.Status = acme.OrderReady
	o.Note(l.now, "challenge http-01 met")
	return firstError(tx.Authorizations().Put(z), tx.Orders().Put(o))
}

// deliver is the third: finalized and issued in one, as a fast CA has it.
func (l *life) deliver(tx storage.Tx) error {
	o, err := tx.Orders().Get(l.order.ID)
	if err != nil {
		return err
	}
	key := sha256.Sum256(l.cert.Leaf)
	o.Status, o.CSRHash, o.Certificate, o.Submission = acme.OrderValid, key, l.cert.ID, l.sub.ID
	o.Note(l.now, "finalized")
	o.Note(l.now, "certificate stored")
	l.sub.CSR = nil // dropped when the order is over, as the engine does
	return firstError(tx.Submissions().Put(l.sub), tx.Certificates().Put(l.cert), tx.Orders().Put(o), tx.Jobs().Delete(storage.JobID(o.ID)))
}

// issue makes what the CA would have answered, outside of any transaction.
func (l *life) issue() {
	o := l.order
	leaf := random(700)
	l.cert = acme.Certificate{
		ID: mint[acme.CertificateID](l.now), Order: o.ID, Account: o.Account, Directory: o.Directory, Member: o.Member, Backend: "local", Profile: o.Profile,
		Leaf: leaf, Chain: benchChain, Serial: random(16), AuthorityKeyID: benchChain[:20], KeyHash: sha256.Sum256(leaf), Identifiers: o.Identifiers,
		NotBefore: l.now, NotAfter: l.now.Add(90 * 24 * time.Hour), IssuedAt: l.now,
	}
	l.sub = storage.Submission{
		ID: mint[acme.SubmissionID](l.now), Key: fmt.Sprintf("%x", random(16)), Order: o.ID, Account: o.Account, Backend: "local", SentAt: l.now, Attempts: 1,
		CSR: random(400), Ticket: "1", CreatedAt: l.now, Deadline: l.now.Add(time.Hour),
		Contract: acme.Contract{Profile: o.Profile, Identifiers: o.Identifiers, KeyHash: l.cert.KeyHash, Usages: []acme.Usage{acme.ServerAuth, acme.ClientAuth}, Subject: acme.SubjectCommonName, CommonName: o.Identifiers[0].Value},
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// thousand is what a thousand orders took, on the clock and of the processor:
// the latter says how it would have been with the machine to itself.
type thousand struct{ clock, processor time.Duration }

func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail with these
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// makeOrders makes n orders with so many clients at once, each with an account
// of its own, and returns what each thousand took.
func makeOrders(tb testing.TB, s storage.Store, clients, n int) (thousands []thousand) {
	var (
		wg            sync.WaitGroup
		begun, ended  atomic.Int64
		mu            sync.Mutex
		last, lastCPU = time.Now(), processorTime()
	)
	for c := range clients {
		wg.Go(func() {
			account, member := mint[acme.AccountID](time.Now()), acme.MemberID(fmt.Sprintf("DEV/GOV/%d", c%8))
			for begun.Add(1) <= int64(n) {
				l := newLife(account, member)
				l.issue()
				for _, step := range []func(storage.Tx) error{l.newOrder, l.settle, l.deliver} {
					if err := s.Update(context.Background(), step); err != nil {
						tb.Errorf("Update: %v", err)
						return
					}
				}
				if ended.Add(1)%1000 == 0 {
					mu.Lock()
					now, cpu := time.Now(), processorTime()
					thousands = append(thousands, thousand{now.Sub(last), cpu - lastCPU})
					last, lastCPU = now, cpu
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return thousands
}

// written returns how many bytes this process has had written to the disk.
func written(tb testing.TB) (n int64) {
	b, err := os.ReadFile("/proc/self/io")
	if err != nil {
		tb.Fatalf("how much was written is read from /proc/self/io: %v", err)
	}
	for line := range strings.Lines(string(b)) {
		if _, err := fmt.Sscanf(line, "write_bytes: %d", &n); err == nil {
			return n
		}
	}
	tb.Fatal("/proc/self/io does not say write_bytes")
	return 0
}

// BenchmarkOrders measures the cost of whole orders under load: three commits
// each, from 32 clients. Its unit is not the iteration but the order; -orders
// says how many are made.
func BenchmarkOrders(b *testing.B) {
	for b.Loop() {
		dir := b.TempDir()
		s := open(b, dir)
		n := *ordersMade
		before, commits, start := written(b), s.durable.txid, time.Now()
		thousands := makeOrders(b, s, 32, n)
		took := time.Since(start)
		wrote, commits := written(b)-before, s.durable.txid-commits
		b.ReportMetric(float64(wrote)/float64(n), "B-written/order")
		b.ReportMetric(float64(commits)/float64(n), "commits/order")
		b.ReportMetric(float64(n)/took.Seconds(), "orders/s")
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(dir, "test.db"))
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(info.Size())/float64(n), "B-stored/order")
		if n := len(thousands); n > 1 {
			// The very first thousand has no garbage to collect yet, so the second
			// is given beside it.
			first, second, last := thousands[0], thousands[1], thousands[n-1]
			b.ReportMetric(first.clock.Seconds()/last.clock.Seconds(), "last/first")
			b.ReportMetric(second.clock.Seconds()/last.clock.Seconds(), "last/second")
			b.ReportMetric(second.processor.Seconds()/last.processor.Seconds(), "last/second-cpu")
			slices.SortFunc(thousands, func(a, b thousand) int { return int(a.clock - b.clock) })
			b.ReportMetric(float64(thousands[n/2].clock.Milliseconds()), "ms-median-thousand")
			b.ReportMetric(float64(thousands[n-1].clock.Milliseconds()), "ms-slowest-thousand")
		}
		b.ReportMetric(0, "ns/op")
	}
}

// BenchmarkLoneUpdate measures what one client waits for one update, and
// beside it what the disk takes to sync one page.
func BenchmarkLoneUpdate(b *testing.B) {
	dir := b.TempDir()
	s := open(b, dir)
	defer s.Close()
	account := mint[acme.AccountID](time.Now())
	b.ResetTimer()
	for range b.N {
		if err := s.Update(b.Context(), newLife(account, "m").newOrder); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(syncLatency(b, dir).Microseconds()), "µs-fdatasync")
}

func syncLatency(b *testing.B, dir string) time.Duration {
	f, err := os.Create(filepath.Join(dir, "sync"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, 4096)
	binary.BigEndian.PutUint64(page, 1)
	took := make([]time.Duration, 200)
	for i := range took {
		start := time.Now()
		if _, err := f.WriteAt(page, int64(i)*4096); err != nil {
			b.Fatal(err)
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
		took[i] = time.Since(start)
	}
	slices.Sort(took)
	return took[len(took)/2]
}

// BenchmarkNextAmongRemoved is the question when the next job is due, when so
// many jobs that were open at the last fold are gone.
func BenchmarkNextAmongRemoved(b *testing.B) {
	for _, n := range []int{0, 100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := open(b, b.TempDir(), func(c *Config) { c.foldAt, c.noSync = max(2*n, 2), true })
			defer s.Close()
			for round := range 2 { // folded, then gone
				err := s.Update(b.Context(), func(tx storage.Tx) error {
					for i := range n {
						id := storage.JobID(fmt.Sprintf("j%d", i))
						if err := tx.Jobs().Put(storage.Job{ID: id, Due: time.Unix(int64(i), 0)}); err != nil {
							return err
						}
						if err := tx.Authorizations().Put(acme.Authorization{ID: acme.AuthorizationID(id), Account: "a", Status: acme.AuthorizationValid}); err != nil {
							return err
						}
					}
					return tx.Jobs().Put(storage.Job{ID: "last", Due: time.Unix(1_000_000, 0)})
				})
				for i := 0; err == nil && round == 1 && i < n; i++ {
					err = s.Update(b.Context(), func(tx storage.Tx) error { return tx.Jobs().Delete(storage.JobID(fmt.Sprintf("j%d", i))) })
				}
				if err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				err := s.View(b.Context(), func(tx storage.Tx) error {
					_, _, err := tx.Jobs().Next()
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(s.durable.state.recent.Len()), "entries-in-memory")
		})
	}
}
