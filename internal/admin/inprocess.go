package admin

import (
	"io"
	"net/http"
)

// direct is a RoundTripper that calls a handler in this process. The body is
// handed over as it is written, because a backup may be larger than memory.
type direct struct{ h http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	pr, pw := io.Pipe()
	w := &pipeWriter{header: http.Header{}, body: pw, began: make(chan struct{})}
	resp := &http.Response{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r, Body: pr, ContentLength: -1, Trailer: http.Header{}}
	if r.Body == nil {
		r = r.Clone(r.Context())
		r.Body = http.NoBody
	}
	go func() {
		d.h.ServeHTTP(w, r)
		w.WriteHeader(http.StatusOK)
		// Read by the caller after the end of the body, as from a network.
		for _, name := range w.trailers {
			resp.Trailer[name] = w.header[name]
		}
		_ = pw.Close() // never fails
	}()
	select {
	case <-w.began:
	case <-r.Context().Done():
		_ = pr.Close() // the handler's writes fail from now on
		return nil, r.Context().Err()
	}
	resp.StatusCode, resp.Status, resp.Header = w.status, http.StatusText(w.status), w.sent
	return resp, nil
}

// pipeWriter is the handler's side.
type pipeWriter struct {
	header   http.Header
	body     *io.PipeWriter
	began    chan struct{} // closed when status, sent and trailers are set
	status   int
	sent     http.Header
	trailers []string
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) WriteHeader(status int) {
	if w.status != 0 {
		return
	}
	w.status, w.sent = status, w.header.Clone()
	for _, name := range w.header.Values("Trailer") {
		w.trailers = append(w.trailers, http.CanonicalHeaderKey(name))
	}
	close(w.began)
}

func (w *pipeWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}
