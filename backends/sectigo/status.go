package sectigo

import "strings"

// Status is what has become of a batch, in one spelling of ours for the three
// that the CA has.
type Status string

// The statuses, with who moves them on.
const (
	// StatusCreated and StatusProcessing belong to the CA, and while the batch
	// is rejectable to an administrator of the tenant.
	StatusCreated    Status = "CREATED"
	StatusProcessing Status = "PROCESSING"
	// StatusReady: every certificate is there.
	StatusReady Status = "READY"
	// StatusCollected: the same, and somebody has downloaded them once.
	StatusCollected Status = "COLLECTED"
	// StatusPartial: some certificates are there, and no more will come.
	StatusPartial Status = "PARTIAL"
	// StatusFailed: the CA could not. StatusBroken: it would not, for what is
	// in the CSR. StatusRejected: a person said no.
	StatusFailed    Status = "FAILED"
	StatusBroken    Status = "BROKEN"
	StatusRejecting Status = "REJECTING"
	StatusRejected  Status = "REJECTED"
	// StatusExpired: the certificates were issued, and their archive is gone.
	StatusExpired Status = "EXPIRED"
	// StatusRevoking, StatusRevokeError and StatusRevoked: not to be
	// delivered any more.
	StatusRevoking    Status = "REVOKING"
	StatusRevokeError Status = "REVOKE_ERROR"
	StatusRevoked     Status = "REVOKED"
	// StatusUnknown is a word that nobody here has heard of, or none. It is
	// not an end: ask for the sentence and the counts.
	StatusUnknown Status = "UNKNOWN"
)

// spellings are the words of the interface, of its sentences and of the
// portal.
var spellings = map[string]Status{
	"CREATED": StatusCreated, "PENDING_CREATION": StatusCreated,
	"PROCESSING": StatusProcessing, "PENDING_ISSUE": StatusProcessing,
	"READY_FOR_DOWNLOAD": StatusReady, "READY": StatusReady,
	"COLLECTED": StatusCollected,
	"PARTIAL":   StatusPartial, "BATCH_ISSUED_PARTLY": StatusPartial, "ISSUED_PARTLY": StatusPartial, "PARTLY_ISSUED": StatusPartial,
	"FAILED": StatusFailed, "ABORTED": StatusFailed,
	"BROKEN":    StatusBroken,
	"REJECTING": StatusRejecting, "PROCESSING_REJECT": StatusRejecting,
	"REJECTED":                 StatusRejected,
	"REMOVED_AFTER_EXPIRATION": StatusExpired, "ZIP_REMOVED_AFTER_EXPIRATION": StatusExpired, "EXPIRED": StatusExpired,
	"REVOKING": StatusRevoking, "PROCESSING_REVOKE": StatusRevoking,
	"REVOKE_ERROR": StatusRevokeError, "REVOCATION_ERROR": StatusRevokeError,
	"REVOKED": StatusRevoked,
}

// ParseStatus reads the status of a batch, or the sentence about it. "Not
// Acceptable. Status: BROKEN" is about what comes after the colon.
func ParseStatus(text string) Status {
	word := normalize(text)
	if rest, ok := strings.CutPrefix(word, "NOT_ACCEPTABLE"); ok {
		word = strings.TrimPrefix(strings.TrimPrefix(rest, "_"), "STATUS_")
	}
	if s, ok := spellings[word]; ok {
		return s
	}
	return StatusUnknown
}

// normalize turns whatever is neither letter nor digit into one underscore.
func normalize(text string) string {
	var b strings.Builder
	gap := false
	for _, r := range strings.ToUpper(text) {
		if (r < 'A' || r > 'Z') && (r < '0' || r > '9') {
			gap = b.Len() > 0
			continue
		}
		if gap {
			b.WriteByte('_')
			gap = false
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Terminal reports whether the status will not change by itself any more, but
// for certificates that get collected, expire or are revoked.
func (s Status) Terminal() bool {
	switch s {
	case StatusReady, StatusCollected, StatusPartial, StatusFailed, StatusBroken, StatusRejected, StatusExpired, StatusRevoked:
		return true
	case StatusCreated, StatusProcessing, StatusRejecting, StatusRevoking, StatusRevokeError, StatusUnknown:
	}
	return false
}

// Downloadable reports whether there are certificates to fetch. The flag of
// that name in a [Batch] says something else: it is set for batches that have
// only just been created.
func (s Status) Downloadable() bool {
	return s == StatusReady || s == StatusCollected || s == StatusPartial
}
