package server

import (
	"net/http"
	"time"
)

// Row is a row of the table of routes, for tests that hold the server against it.
type Row struct{ Path, Entry, Auth, Methods string }

// Rows returns the table.
func Rows() []Row {
	var rows []Row
	for _, r := range routes {
		rows = append(rows, Row{r.path, r.entry, string(r.auth), r.methods})
	}
	return rows
}

// OccupySignatureChecks takes all slots of SL-12 until release is called.
func (s *Server) OccupySignatureChecks() (release func()) {
	n := cap(s.checks)
	for range n {
		s.checks <- struct{}{}
	}
	return func() {
		for range n {
			<-s.checks
		}
	}
}

// PageSize is how many orders one page lists.
const PageSize = pageSize

// ComeBack writes the Retry-After of something that is on its way for d.
func ComeBack(w http.ResponseWriter, d time.Duration) { (&answer{w: w}).comeBack(d) }
