package acme

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/titanous/rocacheck"
)

// The names of key types, as KeyPolicy.Types lists them.
const (
	keyRSA     = "rsa"
	keyP256    = "p256"
	keyP384    = "p384"
	keyP521    = "p521"
	keyEd25519 = "ed25519"
)

// Bounds of RSA keys. The hard one is checked before any arithmetic, so that
// nobody buys minutes of our time with one enormous modulus (EK-15, PX-3).
const (
	minRSABits    = 2048
	maxRSABits    = 4096
	hardRSABits   = 8192
	rsaExponent   = 65537
	fermatRounds  = 110
	smallestPrime = 752
)

// HashKey returns the hash by which a key is known, whatever it is used for.
func HashKey(spki []byte) KeyHash { return sha256.Sum256(spki) }

// CheckAccountKey returns nil when pub may sign for an account, or a
// badPublicKey problem that says what is wrong with it (R8555-6.2-15,
// R8555-7.3-8). Every algorithm that a request may be signed with is welcome
// here (EK-11); what goes into certificates is the profile's business.
func CheckAccountKey(pub crypto.PublicKey) *Problem {
	if _, why := examineKey(pub); why != "" {
		return Problemf(BadPublicKey, "the account key is not acceptable: %s", why)
	}
	return nil
}

// CheckCertificateKey returns nil when pub may be in a certificate of a
// profile with that policy, or a badCSR problem (R8555-7.4F-10).
func CheckCertificateKey(pub crypto.PublicKey, policy KeyPolicy) *Problem {
	kind, why := examineKey(pub)
	if why != "" {
		return Problemf(BadCSR, "the key of the CSR is not acceptable: %s", why)
	}
	if types := policy.types(); !slices.Contains(types, kind) {
		return Problemf(BadCSR, "the CSR has a key of type %s; this profile takes %s", kind, strings.Join(types, ", "))
	}
	return nil
}

// types returns what the policy accepts. Ed25519 has to be asked for: few CAs
// can put it into a certificate (EK-5).
func (p KeyPolicy) types() []string {
	if len(p.Types) > 0 {
		return p.Types
	}
	return []string{keyRSA, keyP256, keyP384, keyP521}
}

// examineKey names the type of a sound key. For any other it says why not, in
// words for the person who made the key.
func examineKey(pub crypto.PublicKey) (kind, why string) {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		return examineEC(k)
	case *rsa.PublicKey:
		return keyRSA, examineRSA(k)
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return keyEd25519, fmt.Sprintf("an Ed25519 key has %d bytes, this one has %d", ed25519.PublicKeySize, len(k))
		}
		return keyEd25519, ""
	default:
		return "", "use an RSA, P-256, P-384, P-521 or Ed25519 key"
	}
}

// examineEC accepts the three NIST curves and only points that are on them
// (EK-4); their cofactor is 1, so a point on the curve has the right order.
func examineEC(k *ecdsa.PublicKey) (kind, why string) {
	if k == nil {
		return "", "there is no key"
	}
	var curve ecdh.Curve
	var size int // bytes of a coordinate
	switch k.Curve {
	case elliptic.P256():
		kind, curve, size = keyP256, ecdh.P256(), 32
	case elliptic.P384():
		kind, curve, size = keyP384, ecdh.P384(), 48
	case elliptic.P521():
		kind, curve, size = keyP521, ecdh.P521(), 66
	default:
		return "", "the elliptic curve must be P-256, P-384 or P-521"
	}
	if !onCurve(k, curve, size) {
		return kind, "its point is not on the curve"
	}
	return kind, ""
}

// onCurve leaves the arithmetic to the decoder of encoded points, which takes
// neither infinity nor a coordinate that is out of range. The method of the key
// that does the same checks twice, and every request comes through here.
//
//nolint:staticcheck // SA1019: the coordinates are only read, to be judged
func onCurve(k *ecdsa.PublicKey, curve ecdh.Curve, size int) bool {
	if k.X == nil || k.Y == nil || k.X.Sign() < 0 || k.Y.Sign() < 0 || k.X.BitLen() > size*8 || k.Y.BitLen() > size*8 {
		return false
	}
	const uncompressed = 4
	point := make([]byte, 1+2*size)
	point[0] = uncompressed
	k.X.FillBytes(point[1 : 1+size])
	k.Y.FillBytes(point[1+size:])
	_, err := curve.NewPublicKey(point)
	return err == nil
}

// examineRSA goes from cheap to dear, so that a bad key costs less than a good one.
func examineRSA(k *rsa.PublicKey) string {
	if k == nil || k.N == nil || k.N.Sign() <= 0 {
		return "there is no RSA modulus"
	}
	bits := k.N.BitLen()
	switch {
	case bits > hardRSABits:
		return fmt.Sprintf("the RSA modulus has more than %d bits; use %d to %d", hardRSABits, minRSABits, maxRSABits)
	case bits < minRSABits || bits > maxRSABits: // EK-1
		return fmt.Sprintf("the RSA modulus has %d bits; use %d to %d", bits, minRSABits, maxRSABits)
	case bits%8 != 0: // EK-1
		return fmt.Sprintf("the RSA modulus has %d bits, which is not a multiple of 8", bits)
	case k.E != rsaExponent: // EK-2
		return fmt.Sprintf("the RSA exponent is %d; use %d", k.E, rsaExponent)
	case k.N.Bit(0) == 0: // EK-3
		return "the RSA modulus is even"
	case hasSmallFactor(k.N): // EK-3
		return fmt.Sprintf("the RSA modulus has a prime factor below %d", smallestPrime)
	case rocacheck.IsWeak(k): // EK-6
		return "it was made by a faulty Infineon chip and can be broken (ROCA, CVE-2017-15361); make a new key elsewhere"
	case fermatFactors(k.N): // EK-7, and the square of a prime (EK-3)
		return "the primes of the RSA modulus are too close together, so it can be factored; make a new key with other software"
	}
	return ""
}

// smallPrimes is the product of the odd primes below smallestPrime: one common
// divisor with it replaces a hundred divisions.
var smallPrimes = productOfOddPrimesBelow(smallestPrime)

func productOfOddPrimesBelow(n int64) *big.Int {
	product := big.NewInt(1)
	for i := int64(3); i < n; i += 2 {
		if p := big.NewInt(i); p.ProbablyPrime(0) { // exact for numbers this small
			product.Mul(product, p)
		}
	}
	return product
}

func hasSmallFactor(n *big.Int) bool {
	var g big.Int
	return g.GCD(nil, nil, n, smallPrimes).Cmp(one) != 0
}

var one = big.NewInt(1)

// isSquareMod tells which residues modulo squareModulus squares leave. With
// the last bits it turns away 98 of 100 candidates for the price of a short
// division instead of a square root.
const squareModulus = 3 * 3 * 5 * 7 * 11 * 13

var isSquareMod = squaresModulo(squareModulus)

func squaresModulo(m int) []bool {
	is := make([]bool, m)
	for i := range m {
		is[i*i%m] = true
	}
	return is
}

// fermatFactors reports whether Fermat's method factors n within fermatRounds:
// it looks for a with a*a-n a perfect square, starting at the root of n, and
// finds one quickly when the two primes are neighbours.
func fermatFactors(n *big.Int) bool {
	var a, rest, step, root, word, quotient big.Int
	a.Sqrt(n)
	if rest.Mul(&a, &a).Cmp(n) == 0 {
		return true
	}
	a.Add(&a, one)
	rest.Mul(&a, &a).Sub(&rest, n)
	step.Lsh(&a, 1).Add(&step, one) // (a+1)^2 - a^2
	modulus := big.NewInt(squareModulus)
	two := big.NewInt(2)
	for range fermatRounds {
		// The last bits of a square are few, and free to look at.
		if low := rest.Bits(); len(low) == 0 || squareLowBits(uint(low[0])) {
			quotient.QuoRem(&rest, modulus, &word)
			if isSquareMod[word.Int64()] && root.Mul(root.Sqrt(&rest), &root).Cmp(&rest) == 0 {
				return true
			}
		}
		rest.Add(&rest, &step)
		step.Add(&step, two)
	}
	return false
}

// squareLowBits reports whether a number ending in these bits may be a square:
// squares are 0, 1 or 4 modulo 8.
func squareLowBits(w uint) bool {
	low := w & 7
	return low == 0 || low == 1 || low == 4
}
