package server

import (
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

// askAgain is when a client should look again whether its window has moved.
// It goes with every answer: clients take its absence for a fault (R9773-4.3-1).
const askAgain = 6 * time.Hour

// renewalInfo says when a certificate should be renewed. Anybody may ask, and
// the answer may be kept for as long as nobody needs to ask again.
func (st *site) renewalInfo(rq *request) error {
	w, explanation, err := st.cfg.Engine.RenewalInfo(rq.r.Context(), rq.variable("certID"))
	if err != nil {
		return err
	}
	rq.retryAfter(askAgain)
	return rq.json(http.StatusOK, renewalObject{
		Window: windowObject{Start: stamp(w.Start), End: stamp(w.End)}, Explanation: explanation,
	})
}
