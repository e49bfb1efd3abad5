package failpoint

// Point names a place. The numbers up to FP-22 are those of the security
// requirements, section 14; a point that ends in "-after" is the far side of a
// write that has only one number there.
type Point string

// Write is a durable write, with the points on its two sides.
type Write struct{ Before, After Point }

// The writes of the engine: every store commit is one of these, and each of
// these is used by exactly one kind of commit. A test holds this list against
// the source.
var (
	Finalize          = Write{"FP-02", "FP-03"}
	Intent            = Write{"FP-05", "FP-06"}
	Ticket            = Write{"FP-08", "FP-09"}
	Quarantine        = Write{"FP-12", "FP-13"}
	Deliver           = Write{"FP-14", "FP-15"}
	RevokeIntent      = Write{"FP-17", "FP-17-after"}
	RevokeResult      = Write{"FP-17-result", "FP-17-result-after"}
	NewAccount        = Write{"FP-18", "FP-18-after"}
	KeyChange         = Write{"FP-19", "FP-19-after"}
	Settle            = Write{"FP-20", "FP-20-after"}
	Reconcile         = Write{"FP-21", "FP-21-after"}
	PublishNumber     = Write{"FP-22", "FP-22-after"}
	Publish           = Write{"FP-22-signed", "FP-22-signed-after"}
	NewOrder          = Write{"FP-23", "FP-23-after"}
	UpdateAccount     = Write{"FP-24", "FP-24-after"}
	Deactivate        = Write{"FP-25", "FP-25-after"}
	Respond           = Write{"FP-26", "FP-26-after"}
	Expire            = Write{"FP-27", "FP-27-after"}
	Claim             = Write{"FP-04-claim", "FP-04"}
	Reschedule        = Write{"FP-28", "FP-28-after"}
	Fail              = Write{"FP-29", "FP-29-after"}
	ExternalKey       = Write{"FP-30", "FP-30-after"}
	Rescue            = Write{"FP-31", "FP-31-after"}
	Cancel            = Write{"FP-32", "FP-32-after"}
	OperatorDecision  = Write{"FP-33", "FP-33-after"}
	SchedulePublisher = Write{"FP-34", "FP-34-after"}
	Enforce           = Write{"FP-35", "FP-35-after"}
	CheckCAA          = Write{"FP-36", "FP-36-after"}
	NewAuthorization  = Write{"FP-37", "FP-37-after"}
	Advice            = Write{"FP-40", "FP-40-after"}
	Agree             = Write{"FP-41", "FP-41-after"}
	NoteRefusal       = Write{"FP-43", "FP-43-after"}
	Apart             = Write{"FP-44", "FP-44-after"}
	SetAside          = Write{"FP-45", "FP-45-after"}
	ReissueIntent     = Write{"FP-46", "FP-46-after"}
	ReissueTicket     = Write{"FP-47", "FP-47-after"}
)

// Writes lists them all.
func Writes() []Write {
	return []Write{
		Finalize, Intent, Ticket, Quarantine, Deliver, RevokeIntent, RevokeResult, NewAccount, KeyChange,
		Settle, Reconcile, PublishNumber, Publish, NewOrder, UpdateAccount, Deactivate, Respond, Expire,
		Claim, Reschedule, Fail, ExternalKey, Rescue, Cancel, OperatorDecision, SchedulePublisher, Enforce, CheckCAA, NewAuthorization,
		Advice, Agree, NoteRefusal, Apart, SetAside, ReissueIntent, ReissueTicket,
	}
}

// The points that are not beside a write of ours.
const (
	// FinalizeParsed: the CSR is checked, nothing is written.
	FinalizeParsed Point = "FP-01"
	// Sent: a request to a CA is out, its answer not read. A backend that
	// speaks HTTP hits it; the engine hits it when Submit has returned.
	Sent Point = "FP-07"
	// PollRead: the CA answered a poll, and nothing is written.
	PollRead Point = "FP-10"
	// DownloadHalf: half of a certificate was read from a CA.
	DownloadHalf Point = "FP-11"
	// RevokeSent: the CA was told of a revocation, and nothing is written.
	RevokeSent Point = "FP-17-sent"
	// AskAdvice: a CA is about to be asked when a certificate should be renewed.
	AskAdvice Point = "FP-40-ask"
	// AskSurvey: a CA is about to be looked at.
	AskSurvey Point = "FP-41-ask"
)

// Points lists them all.
func Points() []Point {
	return []Point{FinalizeParsed, Sent, PollRead, DownloadHalf, RevokeSent, AskAdvice, AskSurvey}
}
