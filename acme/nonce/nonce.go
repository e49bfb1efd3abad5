package nonce

import (
	"container/heap"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"acmebridge/acme"
)

// Why a nonce is refused.
var (
	// ErrMalformed means that it is not base64url, so nobody can have issued
	// it (R8555-6.5-8).
	ErrMalformed = errors.New("the nonce is not base64url without padding")
	// ErrUnknown means that it was not issued here, or is spent, or is too
	// old. A client may try again with a fresh one (R8555-6.5-4).
	ErrUnknown = errors.New("the nonce was not issued by this server, was used before or is too old")
)

// DefaultWindow is how many spent nonces are remembered unless told otherwise.
const DefaultWindow = 65536

// encodedLength is that of one cipher block in base64url.
const encodedLength = (aes.BlockSize*8 + 5) / 6

// encoding is strict, or one nonce had several spellings.
var encoding = base64.RawURLEncoding.Strict()

// Config says how a [Source] works; the zero value is good.
type Config struct {
	// Window is how many spent nonces are remembered, at some 40 bytes each;
	// 0 means DefaultWindow.
	Window int
	// Random is where the key comes from; nil means crypto/rand.
	Random io.Reader
}

// Source issues and redeems. It may be used from any goroutine.
type Source struct {
	// block is a permutation of all 16-byte values that looks random to
	// whoever lacks the key. As the valid nonces are the images of the few
	// blocks that are a counter and eight zeros, the next one can be guessed
	// no better than 128 random bits (R8555-6.5-7), and so can any other.
	block  cipher.Block
	window int

	issued atomic.Uint64 // the last counter given out

	mu    sync.Mutex
	floor uint64              // guarded by mu: nothing up to here is accepted
	used  map[uint64]struct{} // guarded by mu: spent, and above the floor
	order counters            // guarded by mu: the same, smallest first

	redeemed, malformed, foreign, spent, old atomic.Uint64
}

// New returns a Source with a key of its own.
func New(cfg Config) (*Source, error) {
	if cfg.Window == 0 {
		cfg.Window = DefaultWindow
	}
	if cfg.Window < 0 {
		return nil, fmt.Errorf("nonce: a window of %d: it must be positive, or 0 for %d", cfg.Window, DefaultWindow)
	}
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	var key [32]byte
	if _, err := io.ReadFull(cfg.Random, key[:]); err != nil {
		return nil, fmt.Errorf("nonce: make the key: %w", err)
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("nonce: make the cipher: %w", err)
	}
	return &Source{block: block, window: cfg.Window, used: make(map[uint64]struct{})}, nil
}

// Issue returns a nonce that was never returned before, fit for a header
// (R8555-6.5-6).
func (s *Source) Issue() string {
	var b [aes.BlockSize]byte
	binary.BigEndian.PutUint64(b[:8], s.issued.Add(1))
	s.block.Encrypt(b[:], b[:])
	return encoding.EncodeToString(b[:])
}

// Redeem spends a nonce. Of any number of calls with the same value, in
// whatever order or at once, one returns nil (R8555-6.5-3, DN-3); the others
// and all calls with values not from Issue return ErrMalformed or ErrUnknown.
func (s *Source) Redeem(nonce string) error {
	if !wellFormed(nonce) {
		s.malformed.Add(1)
		return ErrMalformed
	}
	counter, ok := s.open(nonce)
	if !ok {
		s.foreign.Add(1)
		return ErrUnknown
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if counter <= s.floor {
		s.old.Add(1)
		return ErrUnknown
	}
	if _, ok := s.used[counter]; ok {
		s.spent.Add(1)
		return ErrUnknown
	}
	s.spend(counter)
	s.redeemed.Add(1)
	return nil
}

// open returns the counter that nonce is the encryption of.
func (s *Source) open(nonce string) (uint64, bool) {
	// A nonce of another length is some other server's, and no less worth a
	// retry than one of ours that is spent.
	if len(nonce) != encodedLength {
		return 0, false
	}
	var b [aes.BlockSize]byte
	if _, err := encoding.Decode(b[:], []byte(nonce)); err != nil {
		return 0, false
	}
	s.block.Decrypt(b[:], b[:])
	counter := binary.BigEndian.Uint64(b[:8])
	ours := binary.BigEndian.Uint64(b[8:]) == 0 && counter != 0 && counter <= s.issued.Load()
	return counter, ours
}

// spend remembers counter. The caller holds mu.
func (s *Source) spend(counter uint64) {
	s.used[counter] = struct{}{}
	heap.Push(&s.order, counter)
	// Where everything from the floor on is spent there is nothing to tell
	// apart. Clients that use what they are given keep the set nearly empty.
	for len(s.order) > 0 && s.order[0] == s.floor+1 {
		s.raise()
	}
	if len(s.order) > s.window {
		s.raise()
		for len(s.order) > 0 && s.order[0] == s.floor+1 {
			s.raise()
		}
	}
}

// raise moves the floor up to the smallest of the used set. The caller holds mu.
func (s *Source) raise() {
	s.floor = heap.Pop(&s.order).(uint64)
	delete(s.used, s.floor)
}

// Stats counts what happened since New (DN-4).
type Stats struct {
	Issued   uint64
	Redeemed uint64
	// Malformed counts refusals of what is not base64url, Foreign of what was
	// not issued by this process, Spent of nonces seen to be used before, and
	// Old of those below the window, spent or not.
	Malformed uint64
	Foreign   uint64
	Spent     uint64
	Old       uint64
	// Remembered is the present size of the used set.
	Remembered int
}

// Stats returns the counters.
func (s *Source) Stats() Stats {
	s.mu.Lock()
	remembered := len(s.order)
	s.mu.Unlock()
	return Stats{
		Issued:     s.issued.Load(),
		Redeemed:   s.redeemed.Load(),
		Malformed:  s.malformed.Load(),
		Foreign:    s.foreign.Load(),
		Spent:      s.spent.Load(),
		Old:        s.old.Load(),
		Remembered: remembered,
	}
}

// Problem returns what to tell the client about an error of Redeem.
func Problem(err error) *acme.Problem {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrMalformed):
		return acme.Problemf(acme.Malformed, "%v", ErrMalformed)
	}
	// acme.sh recognises the case by the first words (C-SH-1), lego by the
	// status together with the type (C-LG-1).
	return acme.Problemf(acme.BadNonce, "JWS has an invalid anti-replay nonce: it was not issued by this server, was used before or is too old; repeat the request with the one in the Replay-Nonce header of this answer").
		WithStatus(http.StatusBadRequest)
}

// wellFormed reports whether nonce is base64url, of any length but none. The
// standard decoder alone will not do: it skips line breaks.
func wellFormed(nonce string) bool {
	for _, c := range []byte(nonce) {
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	if nonce == "" || len(nonce)%4 == 1 {
		return false
	}
	// Only the last group can have stray bits.
	var last [3]byte
	_, err := encoding.Decode(last[:], []byte(nonce[(len(nonce)-1)/4*4:]))
	return err == nil
}

// counters is a heap with the smallest on top.
type counters []uint64

func (c counters) Len() int           { return len(c) }
func (c counters) Less(i, j int) bool { return c[i] < c[j] }
func (c counters) Swap(i, j int)      { c[i], c[j] = c[j], c[i] }
func (c *counters) Push(v any)        { *c = append(*c, v.(uint64)) }
func (c *counters) Pop() any {
	last := len(*c) - 1
	v := (*c)[last]
	*c = (*c)[:last]
	return v
}
