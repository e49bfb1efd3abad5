package server

import (
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/gorilla/mux"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/acme/jws"
	"acmebridge/acme/nonce"
)

// request is what a handler gets. For a POST, signed and account hold what was
// verified; nothing but authenticate sets them (SP-2).
type request struct {
	*answer
	signed jws.Verified
}

func (rq *request) variable(name string) string { return mux.Vars(rq.r)[name] }

// id returns a path variable that has to be an id; a name that no id can have
// is answered like one that does not exist.
func (rq *request) id(name string) (string, *acme.Problem) {
	if v := rq.variable(name); acme.ValidID(v) {
		return v, nil
	}
	return "", acme.NotFound()
}

// read returns nil for a POST-as-GET and refuses anything else (R8555-6.3-4).
func (rq *request) read() *acme.Problem {
	if !rq.signed.PostAsGet() {
		return acme.Problemf(acme.Malformed, "this resource is only read: send a POST-as-GET, with an empty payload")
	}
	return nil
}

// decode reads the payload.
func (rq *request) decode(into any) *acme.Problem {
	if rq.signed.PostAsGet() {
		return acme.Problemf(acme.Malformed, "the payload is empty; this resource takes a JSON object")
	}
	return jws.DecodePayload(rq.signed.Payload(), into)
}

// authenticate takes a POST through all gates in front of its payload.
func (st *site) authenticate(rq *request, class authClass) error {
	if p := checkEnvelope(rq.r); p != nil {
		return p
	}
	body, err := io.ReadAll(http.MaxBytesReader(rq.w, rq.r.Body, st.cfg.MaxBody))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return acme.Problemf(acme.Malformed, "the request is larger than %d bytes", st.cfg.MaxBody).WithStatus(http.StatusRequestEntityTooLarge)
		}
		return acme.Problemf(acme.Malformed, "the request body could not be read")
	}
	m, p := jws.Parse(body)
	if p != nil {
		return p
	}
	if p := checkKeySource(m, class); p != nil {
		return p
	}
	if p := st.limits.banned(rq.r); p != nil {
		return p
	}
	var account acme.Account
	key := m.Key()
	if key != nil && class == authKey {
		// Before the signature, which the library refuses to check with some
		// of the keys that a client ought to hear of. Not for revocation: a
		// weak key may still say that it is weak (R8555-7.6-14).
		if p := acme.CheckAccountKey(key.Public); p != nil {
			return p
		}
	}
	if key == nil {
		if account, key, err = st.signer(rq.r, m.KeyID()); err != nil {
			return err
		}
	}
	if rq.signed, err = st.verify(rq.r, m, key); err != nil {
		return err
	}
	rq.account = account
	if err := st.cfg.Nonces.Redeem(m.Nonce()); err != nil {
		return nonce.Problem(err)
	}
	// R8555-6.4-1: exactly the URL that was handed out.
	if want := st.base + rq.r.URL.RequestURI(); m.URL() != want {
		return acme.Problemf(acme.Unauthorized, "the request was signed for another URL than %s", want)
	}
	return nil
}

// checkEnvelope looks at the HTTP side of a POST.
func checkEnvelope(r *http.Request) *acme.Problem {
	// R8555-6.2-16, with media type parameters tolerated.
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/jose+json" {
		return acme.Problemf(acme.Malformed, "the content type has to be application/jose+json").WithStatus(http.StatusUnsupportedMediaType)
	}
	if _, sent := r.Header["Replay-Nonce"]; sent { // R8555-6.2-20
		return acme.Problemf(acme.Malformed, "the nonce belongs into the protected header of the JWS, not into a Replay-Nonce request header")
	}
	return nil
}

// checkKeySource holds what a request says about its key against its route.
func checkKeySource(m *jws.Message, class authClass) *acme.Problem {
	switch {
	case class == authKey && m.Key() == nil:
		return acme.Problemf(acme.Malformed, "this request has to carry its public key in jwk, not an account URL in kid")
	case class == authAccount && m.Key() != nil:
		return acme.Problemf(acme.Malformed, "this request has to name its account in kid, not carry a key in jwk")
	case class == authKey, class == authAccount, class == authEither, class == authNone:
		return nil
	default:
		return acme.Problemf(acme.ServerInternal, "the route has no rule for who may use it")
	}
}

// signer returns the account that a request claims to be from, and its key.
func (st *site) signer(r *http.Request, kid string) (acme.Account, *jws.Key, error) {
	id, ok := st.accountOf(kid)
	if !ok {
		return acme.Account{}, nil, acme.Problemf(acme.Malformed, "kid has to be the account URL exactly as the server gave it, such as %s", st.accountURL("..."))
	}
	account, err := st.cfg.Engine.Account(r.Context(), st.directory.Name, id)
	if err != nil {
		return account, nil, err
	}
	if p := engine.AccountStanding(account); p != nil {
		return account, nil, p
	}
	key, err := jws.ParseSPKI(account.Key, account.Thumbprint)
	return account, key, err
}

// verify checks the signature, so many at a time (SL-12).
func (st *site) verify(r *http.Request, m *jws.Message, key *jws.Key) (jws.Verified, error) {
	st.waiting.Add(1)
	select {
	case st.checks <- struct{}{}:
		st.waiting.Add(-1)
	case <-r.Context().Done():
		st.waiting.Add(-1)
		return jws.Verified{}, r.Context().Err()
	}
	defer func() { <-st.checks }()
	v, p := m.Verify(key)
	if p != nil {
		st.limits.badSignature(r)
		return v, p
	}
	return v, nil
}
