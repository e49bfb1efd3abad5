package acme

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
	"slices"
	"strings"
	"testing"
)

// modulus returns an odd number of exactly that many bits without factors
// below 752, the same in every run. That it need not be the product of two
// primes is the point of the checks: none of them factors anything hard.
func modulus(bits int, seed string) *big.Int {
	n := new(big.Int)
	for block := sha256.Sum256([]byte(seed)); n.BitLen() < bits; block = sha256.Sum256(block[:]) {
		n.Lsh(n, 256).Or(n, new(big.Int).SetBytes(block[:]))
	}
	n.Rsh(n, uint(n.BitLen()-bits)).SetBit(n, 0, 1)
	for divisible(n) {
		n.Add(n, big.NewInt(2))
	}
	return n
}

// divisible tries every divisor below 752, which is slower than the code under
// test and not made from it.
func divisible(n *big.Int) bool {
	for d := int64(2); d < 752; d++ {
		if new(big.Int).Mod(n, big.NewInt(d)).Sign() == 0 {
			return true
		}
	}
	return false
}

// fermatWeak returns a modulus that Fermat's method factors after that many
// rounds: n = a^2 - b^2 needs b^2/2a of them.
func fermatWeak(rounds int64) *big.Int {
	a := modulus(1024, "fermat")
	a.SetBit(a, 1022, 1) // so that the square has 2048 bits
	b := new(big.Int).Mul(a, big.NewInt(2*rounds))
	b.Sqrt(b).SetBit(b, 0, 0)
	for n := new(big.Int); ; b.Add(b, big.NewInt(2)) {
		n.Mul(a, a).Sub(n, new(big.Int).Mul(b, b))
		if !divisible(n) {
			return n
		}
	}
}

// rocaWeak returns a modulus with the structure of the faulty chips: a power
// of 65537 modulo the product of the first 39 primes.
func rocaWeak() *big.Int {
	m := big.NewInt(2)
	for i := int64(3); i <= 167; i += 2 {
		if big.NewInt(i).ProbablyPrime(0) {
			m.Mul(m, big.NewInt(i))
		}
	}
	residue := new(big.Int).Exp(big.NewInt(65537), big.NewInt(1234567), m)
	k := modulus(2048, "roca")
	k.SetBit(k, 2046, 1).Div(k, m)
	for n := new(big.Int); ; k.Add(k, one) {
		if n.Mul(k, m).Add(n, residue); !divisible(n) {
			return n
		}
	}
}

// multiple returns a modulus of 2048 bits that is divisible by f.
func multiple(f int64) *big.Int {
	n := modulus(2048, "multiple")
	n.SetBit(n, 2046, 1).Div(n, big.NewInt(f)).SetBit(n, 0, 1)
	return n.Mul(n, big.NewInt(f))
}

func rsaKey(n *big.Int) *rsa.PublicKey { return &rsa.PublicKey{N: n, E: 65537} }

// TestKeyPolicy holds account keys (R8555-7.3-8) and certificate keys against
// the one policy, before anything is issued for them (R8555-10.5-1).
func TestKeyPolicy(t *testing.T) {
	t.Parallel()
	good := modulus(2048, "good")
	ec := func(c elliptic.Curve) *ecdsa.PublicKey {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return &k.PublicKey
	}
	p256 := ec(elliptic.P256())
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	square := modulus(1024, "square")
	square.SetBit(square, 1022, 1)
	for divisible(square) {
		square.Add(square, big.NewInt(2))
	}

	tests := []struct {
		name string
		key  crypto.PublicKey
		why  string // empty: acceptable
	}{
		{"RSA 2048", rsaKey(good), ""},
		{"RSA 3000", rsaKey(modulus(3000, "a")), ""}, // divisible by 8
		{"RSA 3072", rsaKey(modulus(3072, "b")), ""},
		{"RSA 4096", rsaKey(modulus(4096, "c")), ""},
		{"P-256", p256, ""},
		{"P-384", ec(elliptic.P384()), ""},
		{"P-521", ec(elliptic.P521()), ""},
		{"Ed25519", ed, ""},
		{"EK-1 RSA 1024", rsaKey(modulus(1024, "d")), "1024 bits"},
		{"EK-1 RSA 2047", rsaKey(modulus(2047, "e")), "2047 bits"},
		{"EK-1 RSA 2052", rsaKey(modulus(2052, "f")), "multiple of 8"},
		{"EK-1 RSA 4104", rsaKey(modulus(4104, "g")), "4104 bits"},
		{"EK-1 RSA 8192", rsaKey(modulus(8192, "h")), "8192 bits"},
		{"EK-15 RSA 16384", rsaKey(new(big.Int).Lsh(good, 16384-2048)), "more than 8192 bits"},
		{"EK-2 exponent 3", &rsa.PublicKey{N: good, E: 3}, "exponent is 3"},
		{"EK-2 exponent 1", &rsa.PublicKey{N: good, E: 1}, "exponent is 1"},
		{"EK-2 exponent 65539", &rsa.PublicKey{N: good, E: 65539}, "exponent is 65539"},
		{"EK-3 even", rsaKey(new(big.Int).SetBit(good, 0, 0)), "even"},
		{"EK-3 factor 3", rsaKey(multiple(3)), "factor below 752"},
		{"EK-3 factor 751", rsaKey(multiple(751)), "factor below 752"},
		{"EK-3 square", rsaKey(new(big.Int).Mul(square, square)), "too close"},
		{"EK-6 ROCA", rsaKey(rocaWeak()), "ROCA"},
		{"EK-7 Fermat at once", rsaKey(fermatWeak(1)), "too close"},
		{"EK-7 Fermat in 100 rounds", rsaKey(fermatWeak(100)), "too close"},
		{"EK-7 beyond the rounds", rsaKey(fermatWeak(10000)), ""},
		{"no modulus", &rsa.PublicKey{E: 65537}, "no RSA modulus"},
		{"negative modulus", rsaKey(new(big.Int).Neg(good)), "no RSA modulus"},
		{"nil RSA key", (*rsa.PublicKey)(nil), "no RSA modulus"},
		{"EK-4 P-224", ec(elliptic.P224()), "P-256"},
		{"EK-4 off the curve", &ecdsa.PublicKey{Curve: elliptic.P256(), X: p256.X, Y: new(big.Int).Add(p256.Y, big.NewInt(1))}, "on the curve"},
		{"EK-4 coordinate out of range", &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).Add(p256.X, elliptic.P256().Params().P), Y: p256.Y}, "on the curve"},
		{"EK-4 infinity", &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int), Y: new(big.Int)}, "on the curve"},
		{"nil EC key", (*ecdsa.PublicKey)(nil), "no key"},
		{"EC key without a curve", &ecdsa.PublicKey{}, "P-256"},
		{"short Ed25519", ed[:31], "32 bytes"},
		{"X25519", x.PublicKey(), "use an RSA"},
		{"nil", nil, "use an RSA"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			checkProblem(t, CheckAccountKey(tt.key), BadPublicKey, tt.why)
			checkProblem(t, CheckCertificateKey(tt.key, everyKey), BadCSR, tt.why)
		})
	}
}

// checkProblem wants no problem when words is empty, else one of type want
// with these words in its detail.
func checkProblem(t *testing.T, p *Problem, want ProblemType, words string) {
	t.Helper()
	switch {
	case words == "" && p != nil:
		t.Errorf("refused: %v", p)
	case words != "" && p == nil:
		t.Errorf("accepted, want %s saying %q", want, words)
	case p != nil && (p.Type != want || !strings.Contains(p.Detail, words)):
		t.Errorf("got %v, want %s saying %q", p, want, words)
	case p != nil && p.Status != 400:
		t.Errorf("status %d, want 400", p.Status)
	}
}

func TestKeyTypesOfPolicy(t *testing.T) { // EK-5, R8555-7.4F-10
	t.Parallel()
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		key    crypto.PublicKey
		policy KeyPolicy
		why    string
	}{
		{"P-256 by default", &p256.PublicKey, KeyPolicy{}, ""},
		{"Ed25519 not by default", ed, KeyPolicy{}, "key of type ed25519"},
		{"Ed25519 where listed", ed, KeyPolicy{Types: []string{"p256", "ed25519"}}, ""},
		{"P-256 where not listed", &p256.PublicKey, KeyPolicy{Types: []string{"rsa", "p384"}}, "takes rsa, p384"},
		{"RSA where not listed", rsaKey(modulus(2048, "x")), KeyPolicy{Types: []string{"p256"}}, "key of type rsa"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			checkProblem(t, CheckCertificateKey(tt.key, tt.policy), BadCSR, tt.why)
		})
	}
}

// TestFermatFilter compares the filtered search with the plain one, so that no
// filter turns a square away.
func TestFermatFilter(t *testing.T) {
	t.Parallel()
	for _, rounds := range []int64{1, 2, 3, 10, 50, 90, 105, 115, 200} {
		n := fermatWeak(rounds)
		a := new(big.Int).Sqrt(n)
		want := new(big.Int).Mul(a, a).Cmp(n) == 0
		for range fermatRounds {
			a.Add(a, one)
			rest := new(big.Int).Mul(a, a)
			rest.Sub(rest, n)
			root := new(big.Int).Sqrt(rest)
			want = want || root.Mul(root, root).Cmp(rest) == 0
		}
		if got := fermatFactors(n); got != want {
			t.Errorf("%d rounds: factored %v, want %v", rounds, got, want)
		}
	}
}

func TestSmallPrimes(t *testing.T) {
	t.Parallel()
	var primes []int64
	for d := int64(3); d < 752; d++ {
		if !slices.ContainsFunc(primes, func(p int64) bool { return d%p == 0 }) && d%2 == 1 {
			primes = append(primes, d)
		}
	}
	for _, p := range primes {
		if new(big.Int).Mod(smallPrimes, big.NewInt(p)).Sign() != 0 {
			t.Errorf("%d is missing from the product", p)
		}
	}
	if len(primes) != 132 { // 133 primes below 752, without 2
		t.Errorf("counted %d odd primes, want 132", len(primes))
	}
}

func TestHashKey(t *testing.T) {
	t.Parallel()
	if got := HashKey([]byte("spki")); got != KeyHash(sha256.Sum256([]byte("spki"))) {
		t.Errorf("HashKey = %x", got)
	}
}

func BenchmarkCheckAccountKey(b *testing.B) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	for _, bm := range []struct {
		name string
		key  crypto.PublicKey
	}{
		{"P-256", &p256.PublicKey},
		{"P-384", &p384.PublicKey},
		{"RSA-2048", rsaKey(modulus(2048, "bench"))},
		{"RSA-4096", rsaKey(modulus(4096, "bench"))},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if p := CheckAccountKey(bm.key); p != nil {
					b.Fatal(p)
				}
			}
		})
	}
}
