package admin

import (
	"io"
	"net/http"
)

// checkTrailer carries the end of a stream: "ok", or why it is incomplete. A
// stream that breaks off would otherwise look like one that is whole.
const checkTrailer = "Acmebridge-Outcome"

func (h *handler) mountDatabase(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/database/backup", func(w http.ResponseWriter, r *http.Request) {
		h.stream(w, "application/octet-stream", func(w io.Writer) error { return h.Database.Backup(r.Context(), w) })
	})
	mux.HandleFunc("GET /v1/database/check", h.answer(func(r *http.Request) (any, error) {
		if err := h.Database.Check(r.Context()); err != nil {
			return nil, err
		}
		return Done{}, nil
	}))
}

// stream writes what may be long, and its outcome at the end.
func (h *handler) stream(w http.ResponseWriter, contentType string, fn func(io.Writer) error) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Trailer", checkTrailer)
	outcome := "ok"
	if err := fn(w); err != nil {
		outcome = headerText(err.Error())
	}
	w.Header().Set(checkTrailer, outcome)
}

// headerText makes a text fit for a header field.
func headerText(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = ' '
		}
	}
	return string(b[:min(len(b), 1024)])
}
