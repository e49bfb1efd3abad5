package storagetest

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"reflect"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/storage"
)

// start is when the fixtures begin: with nanoseconds, which a store that keeps
// microseconds would lose.
var start = time.Date(2026, time.March, 1, 12, 30, 15, 123456789, time.UTC)

// farFuture is the end of a certificate that has none (RFC 5280, 4.1.2.5).
var farFuture = time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC)

// at returns the moment n minutes after start.
func at(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }

// mint returns the n-th identifier of a kind, shaped like those of production.
func mint[ID ~string](kind string, n int) ID {
	h := sha256.Sum256(fmt.Appendf(nil, "%s %d", kind, n))
	id, err := acme.MintID[ID](at(n), &repeating{h: h})
	if err != nil {
		panic(err) // repeating never fails
	}
	return id
}

type repeating struct{ h [sha256.Size]byte }

func (r *repeating) Read(p []byte) (int, error) { return copy(p, r.h[:]), nil }

func hash(kind string, n int) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%s hash %d", kind, n))
}

func blob(kind string, n, size int) []byte {
	h := hash(kind, n)
	b := make([]byte, 0, size+len(h))
	for len(b) < size {
		b = append(b, h[:]...)
		h = sha256.Sum256(h[:])
	}
	return b[:size]
}

func member(n int) acme.MemberID     { return acme.MemberID(fmt.Sprintf("DEV/GOV/%d", 1000+n)) }
func accountID(n int) acme.AccountID { return mint[acme.AccountID]("account", n) }
func orderID(n int) acme.OrderID     { return mint[acme.OrderID]("order", n) }
func jobID(n int) storage.JobID      { return mint[storage.JobID]("job", n) }
func name(n int) acme.Identifier {
	return acme.Identifier{Type: acme.DNSIdentifier, Value: fmt.Sprintf("h%d.example.org", n), Sent: fmt.Sprintf("H%d.example.org", n)}
}
func need(n int) acme.Need            { return hash("need", n) }
func certID(n int) acme.CertificateID { return mint[acme.CertificateID]("certificate", n) }

func problem(n int) *acme.Problem {
	return &acme.Problem{
		Type: acme.Compound, Detail: fmt.Sprintf("problem %d", n), Status: 403, Instance: "/problem/1", RetryAfter: 90*time.Second + 1,
		Subproblems: []acme.Subproblem{{Type: acme.CAA, Detail: "not for us", Identifier: name(n)}},
	}
}

func account(n int) acme.Account {
	return full(acme.Account{
		ID: accountID(n), Directory: "default", Status: acme.AccountValid, Key: blob("key", n, 91), KeyHash: hash("account key", n),
		Thumbprint: fmt.Sprintf("thumb-%d", n), Contact: []string{"mailto:a@example.org", "mailto:b@example.org"}, CreatedAt: at(n),
		TermsAgreedAt: at(n + 1), ExternalKey: mint[acme.KeyID]("eab", n), Member: member(n), Binding: blob("binding", n, 64),
		EarlierThumbprints: []string{"thumb-before"},
	})
}

func order(n int) acme.Order {
	return full(acme.Order{
		ID: orderID(n), Account: accountID(n), Directory: "default", Profile: "tls", Member: member(n), Status: acme.OrderProcessing,
		Identifiers: []acme.Identifier{name(n), name(n + 1)}, Authorizations: []acme.AuthorizationID{mint[acme.AuthorizationID]("authz", n)},
		NotBefore: at(n), NotAfter: at(n + 100), CreatedAt: at(n), Expires: at(n + 50), Problem: problem(n),
		Submission: mint[acme.SubmissionID]("submission", n), CSRHash: hash("csr", n), Certificate: certID(n),
		History:  []acme.Event{{At: at(n), What: "ordered"}, {At: at(n).Add(1), What: "finalized"}},
		Replaces: "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE",
	})
}

func authorization(n int) acme.Authorization {
	return full(acme.Authorization{
		ID: mint[acme.AuthorizationID]("authz", n), Account: accountID(n), Directory: "default", Order: orderID(n), Identifier: name(n),
		Wildcard: true, Status: acme.AuthorizationValid, Expires: at(n + 1000),
		Challenges: []acme.Challenge{{
			Type: acme.DNS01, Status: acme.ChallengeValid, Token: fmt.Sprintf("token-%d", n), KeyAuthorization: "token.thumb",
			ValidatedAt: at(n + 2), Attempts: 3, Problem: problem(n), IssuerDomainNames: []string{"ca.example"},
			Trials: []acme.Trial{{At: at(n + 1), Type: acme.DNS, Detail: "no answer", Steps: []string{"TXT a: 0 records", "TXT b: 1 record"}}},
		}},
		CAA:     &acme.CAACheck{At: at(n + 3), Issuers: []string{"ca.example"}},
		Sharing: []acme.OrderID{orderID(n), orderID(n + 1)}, ReuseUntil: at(n + 900), Profile: "tls",
	})
}

func job(n int) storage.Job {
	return full(storage.Job{
		ID: jobID(n), Kind: storage.JobValidate, Due: at(n), Attempt: 2, Lease: storage.Lease{Holder: "run-1", Until: at(n + 5)},
		Account: accountID(n), Subject: string(orderID(n)), Challenge: acme.HTTP01, Parked: "waits for an operator", LastError: "nobody answered", Backend: "local",
	})
}

// dueJob is a job that nobody works on and that waits for nobody.
func dueJob(n int) storage.Job {
	j := job(n)
	j.Parked, j.Lease = "", storage.Lease{}
	return j
}

func submission(n int) storage.Submission {
	return full(storage.Submission{
		ID: mint[acme.SubmissionID]("submission", n), Key: fmt.Sprintf("reference-%d", n), Order: orderID(n), Account: accountID(n), Backend: "local",
		CSR: blob("csr", n, 400), SentAt: at(n + 1), Attempts: 2, Ticket: "batch 17", CreatedAt: at(n), Deadline: at(n + 600),
		Quarantine: [][]byte{blob("leaf", n, 50), blob("issuer", n, 60)}, Evidence: "found by label", Misses: 2, FirstMiss: at(n + 7), Need: need(n),
		Contract: acme.Contract{
			Profile: "tls", Identifiers: []acme.Identifier{name(n)}, KeyHash: hash("certificate key", n), Usages: []acme.Usage{acme.ServerAuth, acme.ClientAuth},
			Subject: acme.SubjectCommonName, CommonName: name(n).Value, NotBefore: at(n), NotAfter: at(n + 100),
		},
	})
}

func certificate(n int) acme.Certificate {
	return full(acme.Certificate{
		ID: certID(n), Order: orderID(n), Account: accountID(n), Directory: "default", Member: member(n), Backend: "local", Profile: "tls",
		Leaf: blob("leaf", n, 700), Chain: hash("chain", 1), Alternates: []acme.ChainHash{hash("chain", 2), hash("chain", 3)}, Serial: blob("serial", n, 16), AuthorityKeyID: blob("aki", 1, 20),
		KeyHash: hash("certificate key", n), Identifiers: []acme.Identifier{name(n)}, NotBefore: at(n), NotAfter: at(n + 100), IssuedAt: at(n),
		Revocation: &acme.Revocation{At: at(n + 3), Reason: acme.Superseded, By: "operator", DoneAt: at(n + 4)},
	})
}

func chain(n int) acme.Chain {
	return full(acme.Chain{Hash: hash("chain", n), Certificates: [][]byte{blob("issuer", n, 500), blob("root", n, 600)}})
}

func externalKey(n int) acme.ExternalAccountKey {
	return full(acme.ExternalAccountKey{
		ID: mint[acme.KeyID]("eab", n), Directory: "default", Member: member(n), Sealed: blob("sealed", n, 60), Profiles: []acme.ProfileName{"tls", "auth"},
		Identifiers: []string{".example.org", "*"}, Uses: 3, Used: 1, CreatedAt: at(n), Expires: at(n + 10), RevokedAt: at(n + 5),
	})
}

func registered(n int) acme.Member {
	return full(acme.Member{
		ID: member(n), Version: n + 1, Name: fmt.Sprintf("Member %d", n), Status: acme.MemberRemoved, Identifiers: []string{".example.org", "*"},
		Profiles: []acme.ProfileName{"tls", "auth"}, OpenOrders: 5, Certificates: 50,
		Attributes: map[string]string{"class": "GOV", "code": fmt.Sprint(n)}, ChangedAt: at(n), Reason: "left",
		Enforcement: &acme.Enforcement{Since: at(n), Revoke: true, Reason: acme.CessationOfOperation, OrderCursor: orderID(n), CertificateCursor: certID(n), Orders: 3, Certificates: 4, DoneAt: at(n + 1)},
	})
}

func blockedKey(n int) storage.BlockedKey {
	return full(storage.BlockedKey{Hash: hash("blocked", n), Reason: "published on the web", At: at(n)})
}

func publication(n int) storage.Publication {
	return full(storage.Publication{
		Name: fmt.Sprintf("crl/local-%02d.crl", n), Backend: "local", ContentType: "application/pkix-crl", Body: blob("crl", n, 300),
		Number: int64(n + 1), At: at(n), Next: at(n + 60),
	})
}

// full sets what a fixture leaves zero, so that a field that is added to a
// record is tried from its first day on.
func full[R any](r R) R {
	fillZero(reflect.ValueOf(&r).Elem())
	return r
}

func fillZero(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == timeType {
			if v.IsZero() {
				v.Set(reflect.ValueOf(at(77)))
			}
			return
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Tag.Get("cbor") != "-" {
				fillZero(v.Field(i))
			}
		}
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		fillZero(v.Elem())
	case reflect.Slice:
		if v.Len() == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		if v.Type().Elem().Kind() != reflect.Uint8 {
			for i := range v.Len() {
				fillZero(v.Index(i))
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			fillZero(v.Index(i))
		}
	case reflect.Uint8:
		if v.IsZero() {
			v.SetUint(77)
		}
	case reflect.String:
		if v.IsZero() {
			v.SetString("filled")
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if v.IsZero() {
			v.SetInt(77)
		}
	}
}

// fixturesAreFull fails when a record has a field that its fixture leaves
// zero: a store that drops that field would pass everything below.
func fixturesAreFull(t *testing.T) {
	for _, r := range []any{
		account(1), order(1), authorization(1), job(1), submission(1), certificate(1), chain(1), externalKey(1), registered(1), blockedKey(1), publication(1),
	} {
		for _, path := range zeroFields(reflect.ValueOf(r), fmt.Sprintf("%T", r)) {
			t.Errorf("%s is zero in its fixture", path)
		}
	}
}

// zeroFields returns the paths of what is zero in v, and of what is stored by
// no encoding although it could be.
func zeroFields(v reflect.Value, path string) []string {
	if v.IsZero() {
		return []string{path}
	}
	var zero []string
	switch v.Kind() {
	case reflect.Pointer:
		return zeroFields(v.Elem(), path)
	case reflect.Slice:
		if v.Len() == 0 {
			return []string{path}
		}
		if v.Type().Elem().Kind() != reflect.Uint8 {
			for i := range v.Len() {
				zero = append(zero, zeroFields(v.Index(i), fmt.Sprintf("%s[%d]", path, i))...)
			}
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return nil
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Tag.Get("cbor") != "-" {
				zero = append(zero, zeroFields(v.Field(i), path+"."+f.Name)...)
			}
		}
	}
	return zero
}

// counter reads a number kept in meta, zero when there is none yet.
func counter(b []byte, err error) (uint64, error) {
	if isNotFound(err) {
		return 0, nil
	}
	if err != nil || len(b) != 8 {
		return 0, fmt.Errorf("a counter of %d bytes: %w", len(b), err)
	}
	return binary.BigEndian.Uint64(b), nil
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
