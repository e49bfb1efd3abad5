//go:build pkcs11

package hsm

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/miekg/pkcs11"
)

// Token is an open token. It may be used by several goroutines.
type Token struct {
	cfg Config
	ctx *pkcs11.Ctx

	mu   sync.Mutex // held while a session is in use, and for what follows
	slot uint
	open bool
	// session is one at a time: issuers sign seldom enough, and every module
	// can do that much.
	session pkcs11.SessionHandle
}

// Open logs in to a token.
func Open(c Config) (*Token, error) {
	c, err := c.check()
	if err != nil {
		return nil, fmt.Errorf("hsm: %w", err)
	}
	t := &Token{cfg: c, ctx: pkcs11.New(c.Module)}
	if t.ctx == nil {
		return nil, fmt.Errorf("hsm: %s cannot be loaded: is it the PKCS#11 module for this kind of machine?", c.Module)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.connect(); err != nil {
		return nil, fmt.Errorf("hsm: open the token %q of %s: %w", c.Token, c.Module, err)
	}
	return t, nil
}

// Close ends the session. The module stays loaded, since others in this process
// may have it open too.
func (t *Token) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.open {
		return nil
	}
	t.open = false
	return t.ctx.CloseSession(t.session)
}

func (t *Token) connect() error {
	if err := t.ctx.Initialize(); err != nil && !is(err, pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED) {
		return fmt.Errorf("initialize the module: %w", err)
	}
	slots, err := t.ctx.GetSlotList(true)
	if err != nil {
		return fmt.Errorf("list the tokens: %w", err)
	}
	var names []string
	found := 0
	for _, slot := range slots {
		info, err := t.ctx.GetTokenInfo(slot)
		if err != nil {
			continue // one that is being pulled out is not ours
		}
		names = append(names, info.Label)
		if info.Label == t.cfg.Token {
			t.slot = slot
			found++
		}
	}
	if found != 1 {
		return fmt.Errorf("%d tokens have this label, and one should; there are %q", found, names)
	}
	pin, err := t.cfg.PIN()
	if err != nil {
		return fmt.Errorf("get the PIN: %w", err)
	}
	if t.session, err = t.ctx.OpenSession(t.slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION); err != nil {
		return fmt.Errorf("open a session: %w", err)
	}
	if err := t.ctx.Login(t.session, pkcs11.CKU_USER, strings.TrimRight(string(pin), "\r\n")); err != nil && !is(err, pkcs11.CKR_USER_ALREADY_LOGGED_IN) {
		// Not tried again by itself: tokens lock after a few wrong PINs.
		return errors.Join(fmt.Errorf("log in: %w", err), t.ctx.CloseSession(t.session))
	}
	t.open = true
	return nil
}

// with does work in the session, and once more in a new one when the old one has
// gone, as after the hardware was started again.
func (t *Token) with(work func(*pkcs11.Ctx, pkcs11.SessionHandle) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.open {
		if err := t.connect(); err != nil {
			return err
		}
	}
	err := work(t.ctx, t.session)
	for _, gone := range []uint{pkcs11.CKR_SESSION_HANDLE_INVALID, pkcs11.CKR_SESSION_CLOSED, pkcs11.CKR_DEVICE_REMOVED, pkcs11.CKR_USER_NOT_LOGGED_IN, pkcs11.CKR_TOKEN_NOT_PRESENT, pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED} {
		if !is(err, gone) {
			continue
		}
		_ = t.ctx.CloseSession(t.session) // it is said to be gone
		t.open = false
		if err := t.connect(); err != nil {
			return err
		}
		return work(t.ctx, t.session)
	}
	return err
}

func is(err error, code uint) bool {
	var e pkcs11.Error
	return errors.As(err, &e) && uint(e) == code
}
