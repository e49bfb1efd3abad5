package acme

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ApprovalPolicy says whether a person has to look at each order of a profile
// before its CA hears of it: the client is one pair of eyes, the approver the
// other. The zero value wants nobody.
type ApprovalPolicy struct {
	// Required makes every finalized order wait.
	Required bool
	// Approvers are the users who may approve; whoever may operate the server,
	// when there are none.
	Approvers []string
	// Within is how long an order waits; then it ends.
	Within time.Duration
}

// ErrNoApprover says that somebody decides on an order who may not.
var ErrNoApprover = errors.New("only the approvers of the profile may decide on its orders")

// Approval says who approved an order.
type Approval struct {
	By     string    `cbor:"1,keyasint,omitempty"`
	At     time.Time `cbor:"2,keyasint,omitzero"`
	Reason string    `cbor:"3,keyasint,omitempty"`
}

// May returns nil when a user may approve or reject orders, and otherwise an
// error that says who may.
func (p ApprovalPolicy) May(user string) error {
	if len(p.Approvers) == 0 || slices.Contains(p.Approvers, user) {
		return nil
	}
	return fmt.Errorf("%w: %q is none; they are %s", ErrNoApprover, user, strings.Join(p.Approvers, ", "))
}

// MayOther returns nil unless a user would approve what he has submitted himself,
// where the profile says who approves: it wants two pairs of eyes. Without such
// a list there may be nobody else.
func (p ApprovalPolicy) MayOther(user string, o Order) error {
	if s := o.Submitted; s == nil || s.Via != ByOperator || s.By != user || len(p.Approvers) == 0 {
		return nil
	}
	return fmt.Errorf("%w, and not on what they have submitted themselves: %q brought the CSR of order %s, so somebody else has to look at it", ErrNoApprover, user, o.ID)
}
