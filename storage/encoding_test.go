package storage_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/storage"
)

// fill sets every field of a record to something random: now and then nothing,
// now and then at the edge of what a field can be.
func fill(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		texts := []string{"", "x", "06b1l2m3n4o5p6q7r8s9t0u1v2a3b4c5d6eg", "2026-11-20T20:44:00.123456789Z", "ümlaut\x00", "with \xff in it", string(bytes.Repeat([]byte("long "), 100))}
		v.SetString(texts[r.IntN(len(texts))])
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(r.Uint64()) >> r.IntN(64))
	case reflect.Uint8:
		v.SetUint(uint64(r.IntN(256)))
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Pointer:
		if r.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(r, v.Elem())
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(r, v.Index(i))
		}
	case reflect.Slice:
		if n := r.IntN(5); n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				fill(r, v.Index(i))
			}
		}
	case reflect.Struct:
		if _, ok := v.Interface().(time.Time); ok {
			times := []time.Time{
				{}, time.Unix(0, int64(r.Uint64()>>1)).UTC(), time.Unix(r.Int64N(4e9), 0).UTC(), time.Unix(r.Int64N(4e9), 1e8).UTC(),
				time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC), time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC), time.Unix(-1, 5).UTC(),
			}
			v.Set(reflect.ValueOf(times[r.IntN(len(times))]))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("cbor") != "-" {
				fill(r, v.Field(i))
			}
		}
	default:
		panic(fmt.Sprintf("a %s is stored and this test does not know how to fill it", v.Kind()))
	}
}

// comesBack checks that random records of a type survive, as they were.
func comesBack[R any](t *testing.T) {
	t.Helper()
	r := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		var in R
		fill(r, reflect.ValueOf(&in).Elem())
		b, err := storage.Encode(in)
		if err != nil {
			t.Fatalf("Encode(%+v): %v", in, err)
		}
		out, err := storage.Decode[R](b)
		if err != nil {
			t.Fatalf("Decode of %+v: %v", in, err)
		}
		if !reflect.DeepEqual(out, in) {
			t.Fatalf("%T came back as\n%+v, went in as\n%+v", in, out, in)
		}
	}
}

func TestEveryRecordComesBack(t *testing.T) {
	t.Parallel()
	comesBack[acme.Account](t)
	comesBack[acme.Order](t)
	comesBack[acme.Authorization](t)
	comesBack[acme.Certificate](t)
	comesBack[acme.Chain](t)
	comesBack[acme.ExternalAccountKey](t)
	comesBack[storage.Job](t)
	comesBack[storage.Submission](t)
	comesBack[storage.BlockedKey](t)
	comesBack[storage.Publication](t)
	comesBack[[]byte](t)
}

// decoded is a RevokedEntry that nothing reads quickly: the type has its fields
// and not its methods.
type decoded storage.RevokedEntry

// sameAsDecoded holds what is read of a record quickly against what the decoder
// says of it.
func sameAsDecoded(t *testing.T, record []byte) (found bool) {
	t.Helper()
	want, failed := storage.DecodePart[decoded](record)
	got, err := storage.DecodePart[storage.RevokedEntry](record)
	if failed == nil && (err != nil || !reflect.DeepEqual(decoded(got), want)) {
		t.Errorf("read as\n%+v, %v, and decoded as\n%+v", got, err, want)
	}
	return failed == nil
}

// TestRevokedEntriesAsDecoded: certificates of all sorts, times that have no short
// form and fields that are text of another one among them.
func TestRevokedEntriesAsDecoded(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(9, 10))
	for range 3000 {
		var c acme.Certificate
		fill(r, reflect.ValueOf(&c).Elem())
		b, err := storage.Encode(c)
		if err != nil {
			t.Fatal(err)
		}
		if !sameAsDecoded(t, b) {
			t.Fatalf("%+v cannot be read", c)
		}
	}
	for name, payload := range map[string]string{
		"an id twice": "\xa2\x01\x61a\x01\x61b", "a field beyond 63": "\xa2\x18\x40\x01\x01\x61a", "a serial of null": "\xa2\x01\x61a\x0a\xf6",
		"something behind it": "\xa1\x01\x61a\x00", "an array too long": "\xa2\x01\x61a\x0d\x9b\x7f\xff\xff\xff\xff\xff\xff\xff", "a text too long": "\xa1\x01\x7a\xff\xff\xff\xff",
		"an id for a time": "\xa1\x0f\xc7\x56abcdefghijklmnopqrstuv", "cut short": "\xa2\x01\x61a",
	} {
		if sameAsDecoded(t, sealed([]byte(payload))) != (name == "a field beyond 63" || name == "a serial of null") {
			t.Errorf("%s: whether it can be decoded has changed", name)
		}
		if got, err := storage.DecodePart[storage.RevokedEntry](sealed([]byte(payload))); err != nil && (!errors.Is(err, storage.ErrDamaged) || got.ID != "") {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// FuzzRevokedEntry: whatever the decoder makes sense of is read quickly as the
// same.
func FuzzRevokedEntry(f *testing.F) {
	r := rand.New(rand.NewPCG(11, 12))
	for range 20 {
		var c acme.Certificate
		fill(r, reflect.ValueOf(&c).Elem())
		b, err := storage.Encode(c)
		if err != nil {
			f.Fatal(err)
		}
		payload, err := storage.Verify(b)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(payload)
	}
	f.Fuzz(func(t *testing.T, payload []byte) { sameAsDecoded(t, sealed(payload)) })
}

func TestTimesComeBackInUTC(t *testing.T) {
	t.Parallel()
	for _, in := range []time.Time{
		time.Now(), // with a monotonic part and a place
		time.Date(2026, 3, 29, 2, 30, 0, 1, time.FixedZone("", 2*60*60)),
		time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC),
	} {
		b, err := storage.Encode(acme.Event{At: in})
		if err != nil {
			t.Fatal(err)
		}
		out, err := storage.Decode[acme.Event](b)
		if err != nil || !out.At.Equal(in) || out.At.Location() != time.UTC {
			t.Errorf("%s came back as %s, %v", in.Format(time.RFC3339Nano), out.At.Format(time.RFC3339Nano), err)
		}
	}
}

func testOrder() acme.Order {
	now := time.Date(2026, 11, 20, 20, 44, 0, 123456789, time.UTC)
	id := func(c string) string { return "06b1l2m3n4o5p6q7r8s9t0u1v2a3b4c5d6" + c + "g" }
	return acme.Order{
		ID: acme.OrderID(id("1")), Account: acme.AccountID(id("2")), Directory: "default", Profile: "tls", Member: "DEV/GOV/1234", Status: acme.OrderValid,
		Identifiers: []acme.Identifier{{Type: acme.DNSIdentifier, Value: "www.example.org"}}, Authorizations: []acme.AuthorizationID{acme.AuthorizationID(id("3"))},
		CreatedAt: now, Expires: now.Add(time.Hour), Submission: acme.SubmissionID(id("4")), CSRHash: acme.KeyHash{1}, Certificate: acme.CertificateID(id("5")),
		History: []acme.Event{{At: now, What: "ordered"}, {At: now, What: "challenge http-01 met"}, {At: now, What: "finalized"}, {At: now, What: "certificate stored"}},
	}
}

// TestFlippedBits flips every bit of a stored record, one at a time (SS-9 asks
// for 500 of them).
func TestFlippedBits(t *testing.T) {
	t.Parallel()
	b, err := storage.Encode(testOrder())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 8 * len(b) {
		b[i/8] ^= 1 << (i % 8)
		o, err := storage.Decode[acme.Order](b)
		if !errors.Is(err, storage.ErrDamaged) || o.ID != "" {
			t.Errorf("bit %d of %d flipped: %v, and order %q", i, 8*len(b), err, o.ID)
		}
		b[i/8] ^= 1 << (i % 8)
	}
	for n := range len(b) {
		if _, err := storage.Decode[acme.Order](b[:n]); !errors.Is(err, storage.ErrDamaged) {
			t.Errorf("the first %d bytes: %v, want ErrDamaged", n, err)
		}
	}
	if _, err := storage.Decode[acme.Order](append(b, 0)); !errors.Is(err, storage.ErrDamaged) {
		t.Errorf("a byte too many: %v, want ErrDamaged", err)
	}
}

// TestUnknownFieldIsDamage: half of a record that a newer program wrote is
// worse than none.
func TestUnknownFieldIsDamage(t *testing.T) {
	t.Parallel()
	type newer struct {
		ID     acme.OrderID `cbor:"1,keyasint"`
		Future string       `cbor:"99,keyasint"`
	}
	b, err := storage.Encode(newer{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	if o, err := storage.Decode[acme.Order](b); !errors.Is(err, storage.ErrDamaged) || o.ID != "" {
		t.Errorf("Decode: %q, %v; want ErrDamaged", o.ID, err)
	}
}

func TestDecodedSharesNothing(t *testing.T) {
	t.Parallel()
	b, err := storage.Encode(acme.Certificate{ID: "c", Leaf: []byte("leaf"), Serial: []byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := storage.Decode[acme.Certificate](b)
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	if string(c.Leaf) != "leaf" || c.ID != "c" || c.Serial[0] != 1 {
		t.Errorf("the certificate changed with the bytes it was decoded from: %+v", c)
	}
}

// FuzzDecode: nothing makes Decode panic, and what it takes comes back the same
// once more.
func FuzzDecode(f *testing.F) {
	b, err := storage.Encode(testOrder())
	if err != nil {
		f.Fatal(err)
	}
	payload, err := storage.Verify(b)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(payload)
	f.Add([]byte{0xa0})
	f.Add([]byte("\xa1\v\x1bH\xfeHH\xffHHH")) // created in the year 166,673,921,972
	f.Add([]byte{0xa1, 0x01, 0x7a, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0xa1, 0x11, 0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, payload []byte) {
		if _, err := storage.Decode[acme.Order](payload); err != nil && !errors.Is(err, storage.ErrDamaged) {
			t.Errorf("Decode: %v, want ErrDamaged", err)
		}
		o, err := storage.Decode[acme.Order](sealed(payload))
		if err != nil {
			return
		}
		if farAway(reflect.ValueOf(o)) {
			return // a year of five digits, which nothing here writes
		}
		again, err := storage.Encode(o)
		if err != nil {
			t.Fatalf("Encode of what was decoded: %v", err)
		}
		o2, err := storage.Decode[acme.Order](again)
		if err != nil || !equal(o, o2) {
			t.Errorf("%+v\ncame back as %+v, %v", o, o2, err)
		}
	})
}

// farAway reports whether a time in v has a year that RFC 3339 cannot write.
func farAway(v reflect.Value) bool {
	if at, ok := v.Interface().(time.Time); ok {
		return at.Year() < 0 || at.Year() > 9999
	}
	switch v.Kind() {
	case reflect.Pointer:
		return !v.IsNil() && farAway(v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			if farAway(v.Index(i)) {
				return true
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && farAway(v.Field(i)) {
				return true
			}
		}
	}
	return false
}

// equal compares orders with their times by Equal.
func equal(a, b acme.Order) bool {
	x, err := storage.Encode(a)
	y, err2 := storage.Encode(b)
	return err == nil && err2 == nil && bytes.Equal(x, y)
}

func BenchmarkEncodeOrder(b *testing.B) {
	o := testOrder()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := storage.Encode(o); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeOrder(b *testing.B) {
	stored, err := storage.Encode(testOrder())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ReportMetric(float64(len(stored)), "B")
	for b.Loop() {
		if _, err := storage.Decode[acme.Order](stored); err != nil {
			b.Fatal(err)
		}
	}
}
