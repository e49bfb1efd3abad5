package server

import (
	"fmt"
	"net/http"
	"time"
)

// renewalObject is the wire form of renewal information (RFC 9773, 4.2).
type renewalObject struct {
	Window      windowObject `json:"suggestedWindow"`
	Explanation string       `json:"explanationURL,omitempty"`
}

type windowObject struct {
	Start string `json:"start"`
	End   string `json:"end"`
}

// keepFor is how long caches may keep an answer (R9773-6-1): long enough that a
// crowd behind one of them costs one question, and no longer than an operator
// who moves a window has to wait.
const keepFor = 5 * time.Minute

// renewalInfo says when a certificate should be renewed. Anybody may ask. Every
// answer says when to ask again: clients take its absence for a fault
// (R9773-4.3-1).
func (st *site) renewalInfo(rq *request) error {
	s, err := st.cfg.Engine.RenewalInfo(rq.r.Context(), rq.variable("certID"))
	if err != nil {
		return err
	}
	rq.retryAfter(s.Again)
	rq.w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(min(keepFor, s.Again).Seconds())))
	return rq.json(http.StatusOK, renewalObject{
		Window: windowObject{Start: stamp(s.Window.Start), End: stamp(s.Window.End)}, Explanation: s.Explanation,
	})
}
