package ocsp

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Path is where a responder is mounted, and what certificates point at below
// the URL of the PKI listener.
const Path = "/ocsp"

// maxPath is the longest path of a GET that is decoded: RFC 6960, appendix A,
// wants GET for requests of less than 255 bytes, and the long way of writing a
// byte takes three.
const maxPath = 4 << 10

// ServeHTTP answers POST to Path and GET of the request in base64 below it.
// Errors of OCSP have status 200, because clients look into nothing else.
func (r *Responder) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	var der []byte
	var err error
	switch q.Method {
	case http.MethodPost:
		der, err = io.ReadAll(http.MaxBytesReader(w, q.Body, MaxRequest))
		var tooLong *http.MaxBytesError
		if err != nil && !errors.As(err, &tooLong) {
			return // there is nobody any more who would read an answer
		}
	case http.MethodGet, http.MethodHead:
		der, err = fromPath(q.URL.EscapedPath())
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, "OCSP requests come by GET or POST", http.StatusMethodNotAllowed)
		return
	}
	a := refuse(malformedRequest)
	if err == nil {
		a = r.Answer(q.Context(), der)
	}
	r.write(w, q, a)
}

// fromPath decodes the rest of a path. Base64 has slashes, which some clients
// escape and others do not, so this must not go through a router that tidies
// paths up.
func fromPath(escaped string) ([]byte, error) {
	rest, ok := strings.CutPrefix(escaped, Path+"/")
	if !ok || len(rest) > maxPath {
		return nil, malformed("the path holds no request")
	}
	text, err := url.PathUnescape(rest)
	if err != nil {
		return nil, malformed("the path is not well escaped")
	}
	// Some leave the padding away.
	der, err := base64.RawStdEncoding.Strict().DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		return nil, malformed("the path is not base64")
	}
	return der, nil
}

func (r *Responder) write(w http.ResponseWriter, q *http.Request, a Answer) {
	h := w.Header()
	h.Set("Content-Type", "application/ocsp-response")
	// RFC 5019, section 6.2. A POST is nothing that caches keep.
	if q.Method == http.MethodPost || !a.Shared {
		h.Set("Cache-Control", "no-store")
	} else {
		h.Set("ETag", a.ETag)
		h.Set("Last-Modified", a.At.Format(http.TimeFormat))
		h.Set("Expires", a.Until.Format(http.TimeFormat))
		// What comes out of a cache is to be fresh as well, with a margin.
		age := min(r.cfg.CacheFor, a.At.Add(r.cfg.Freshness/4*3).Sub(r.cfg.Now()))
		h.Set("Cache-Control", "max-age="+strconv.Itoa(max(0, int(age/time.Second)))+", public, no-transform, must-revalidate")
		if q.Header.Get("If-None-Match") == a.ETag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(a.Body)))
	_, _ = w.Write(a.Body) // whoever has hung up asks again
}
