package sectigotest

import (
	"time"
)

// batch is one request for certificates. What it is at a moment follows from
// its times and its outcome.
type batch struct {
	ID        int64     `json:"id"`
	Order     int64     `json:"order"`
	Created   time.Time `json:"created"`
	ProfileID int64     `json:"profileId"`
	Profile   string    `json:"profile"`
	Name      string    `json:"name"`
	User      int64     `json:"user"`
	Outcome   Outcome   `json:"outcome"`
	// CSRs are what was uploaded. A batch of kind single has none, and Single
	// in their place.
	CSRs   [][]byte          `json:"csrs"`
	Single map[string]string `json:"single,omitempty"`
	// Done is when the outcome came, zero while it has not.
	Done      time.Time `json:"done"`
	Collected bool      `json:"collected"`
	// Issued has one entry for each certificate asked for, nil for one that
	// was not issued.
	Issued  []*issued `json:"issued"`
	Archive []byte    `json:"archive,omitempty"` // of kind single
}

// issued is a certificate.
type issued struct {
	DER        []byte    `json:"der"`
	Serial     string    `json:"serial"`
	CommonName string    `json:"commonName"`
	Created    time.Time `json:"created"`
	Revoked    bool      `json:"revoked"`
	// Reason is that of the revocation.
	Reason int `json:"reason"`
}

func (b *batch) size() int {
	if b.Single != nil {
		return 1
	}
	return len(b.CSRs)
}

// settle gives every batch that is due its outcome.
func (ca *CA) settle() {
	if ahead := ca.Ahead(); ahead != ca.tenant.Offset {
		ca.tenant.Offset = ahead
		_ = ca.saveTenant() // a clock that is a little behind after a restart is no harm
	}
	if ca.held {
		return
	}
	now := ca.Time()
	for _, b := range ca.pending {
		if b.Outcome.Kind != Stuck && !now.Before(b.Created.Add(ca.cfg.Created+ca.cfg.Processing)) {
			ca.finish(b, b.Outcome)
			_ = ca.saveBatch(b) // what is not saved happens again after a restart
		}
	}
}

// finish gives a batch its outcome.
func (ca *CA) finish(b *batch, o Outcome) {
	delete(ca.pending, b.ID)
	b.Outcome, b.Done = o, ca.Time()
	b.Issued = make([]*issued, b.size())
	switch o.Kind {
	case Rejected, Broken, Failed:
		if ca.cfg.RefundRejected && o.Kind == Rejected {
			ca.tenant.Balances[ca.profile(b.ProfileID).AuthorityID] += int64(b.size())
		}
		return
	case Ready, Partial, Stuck, Strange, Wordless, Expired, Revoked, DropName, AddName, WrongKey, WrongSubject, Another:
	}
	for i := range b.Issued {
		if o.Kind == Partial && i < (b.size()+1)/2 {
			continue
		}
		ca.issue(b, i)
	}
}

// word is the status of a batch as JSON has it.
func (ca *CA) word(b *batch) string {
	if b.Done.IsZero() {
		if ca.Time().Before(b.Created.Add(ca.cfg.Created)) {
			return "CREATED"
		}
		return "PROCESSING"
	}
	switch b.Outcome.Kind {
	case Rejected:
		return "REJECTED"
	case Broken:
		return "BROKEN"
	case Failed:
		return "FAILED"
	case Strange:
		return "AWAITING_MOONRISE"
	case Wordless:
		return ""
	case Revoked:
		return "REVOKED"
	case Ready, Partial, Stuck, Expired, DropName, AddName, WrongKey, WrongSubject, Another:
	}
	switch {
	case ca.gone(b):
		return "REMOVED_AFTER_EXPIRATION"
	case b.Outcome.Kind == Partial:
		return "PARTIAL"
	case b.Collected:
		return "COLLECTED"
	}
	return "READY_FOR_DOWNLOAD"
}

// gone reports whether the archive has been removed.
func (ca *CA) gone(b *batch) bool {
	return b.Outcome.Kind == Expired || !ca.Time().Before(b.Done.Add(ca.cfg.TTL))
}

// downloadable reports whether the archive can be fetched.
func (ca *CA) downloadable(b *batch) bool {
	if b.Done.IsZero() || ca.gone(b) {
		return false
	}
	switch b.Outcome.Kind {
	case Rejected, Broken, Failed, Revoked, Expired, Stuck, Strange:
		return false
	case Ready, Partial, Wordless, DropName, AddName, WrongKey, WrongSubject, Another:
	}
	return true
}

// sentence is the status of a batch as the other endpoint has it.
func (ca *CA) sentence(b *batch) string {
	switch word := ca.word(b); word {
	case "CREATED", "PROCESSING":
		return "Processing"
	case "READY_FOR_DOWNLOAD", "COLLECTED", "":
		return "Ready for download"
	case "FAILED":
		return "Failed"
	default:
		return "Not Acceptable. Status: " + word
	}
}

// reason is what the service says about a batch that came to nothing.
func (b *batch) reason() string {
	switch {
	case b.Done.IsZero():
		return ""
	case b.Outcome.Reason != "":
		return b.Outcome.Reason
	case b.Outcome.Kind == Broken:
		return "Certificate subject name validation failed: subjectAltName dNSName is not present"
	case b.Outcome.Kind == Rejected:
		return "Rejected by administrator"
	}
	return ""
}

// progress counts the certificates of a batch. In the beginning all counts are
// zero.
func (ca *CA) progress(b *batch) (active, success, failed int) {
	if b.Done.IsZero() {
		if ca.word(b) == "CREATED" {
			return 0, 0, 0
		}
		return b.size(), 0, 0
	}
	for _, c := range b.Issued {
		if c == nil {
			failed++
		} else {
			success++
		}
	}
	return 0, success, failed
}
