package main

import (
	"fmt"
	"io"
	"strings"

	"acmebridge/acme/engine"
	"acmebridge/internal/admin"
	"acmebridge/internal/egress"
)

// writeExplanation tells the life of an order in lines that a person reads from
// top to bottom, and ends with what to do.
func writeExplanation(w io.Writer, x admin.Explanation) {
	o := x.Order
	fmt.Fprintf(w, "Order %s is %s.\n", o.ID, o.Status)
	fmt.Fprintf(w, "  for         %s\n", show(namesOf(o.Identifiers)))
	fmt.Fprintf(w, "  account     %s, directory %s, member %s\n", o.Account, o.Directory, show(o.Member))
	fmt.Fprintf(w, "  profile     %s\n", o.Profile)
	fmt.Fprintf(w, "  created     %s, to be finalized before %s\n", when(o.CreatedAt), when(o.Expires))
	if s := o.Submitted; s != nil {
		fmt.Fprintf(w, "  submitted   %s\n", submitter(*s))
		if s.Vouch != "" {
			fmt.Fprintf(w, "  vouched     control of the names, by %s: %s\n", show(s.By), show(s.Vouch))
		}
	}
	if o.Replaces != "" {
		fmt.Fprintf(w, "  replaces    %s\n", show(o.Replaces))
	}
	if o.AttachedTo != "" {
		fmt.Fprintf(w, "  attached    to order %s: both share one certificate\n", o.AttachedTo)
	}
	for _, id := range x.Attached {
		fmt.Fprintf(w, "  shared by   order %s\n", id)
	}
	if o.Problem != nil {
		fmt.Fprintf(w, "  problem     %s: %s\n", o.Problem.Type, show(o.Problem.Detail))
		for _, part := range o.Problem.Parts {
			fmt.Fprintf(w, "              %s\n", show(part))
		}
	}

	fmt.Fprintln(w, "\nAuthorizations")
	for _, a := range x.Authorizations {
		name := a.Identifier.Value
		if a.Wildcard {
			name = "*." + name
		}
		fmt.Fprintf(w, "  %s is %s, until %s\n", show(name), a.Status, when(a.Expires))
		switch {
		case a.Order == "":
			fmt.Fprintln(w, "    proved ahead of any order")
		case a.Order != x.Order.ID:
			fmt.Fprintf(w, "    proved for order %s\n", a.Order)
		}
		if a.CAACheckedAt != nil {
			fmt.Fprintf(w, "    CAA records allowed it %s\n", when(a.CAACheckedAt))
		}
		for _, c := range a.Challenges {
			fmt.Fprintf(w, "    %s is %s", c.Type, c.Status)
			if c.Attempts > 0 {
				fmt.Fprintf(w, " after %s", attempts(c.Attempts))
			}
			if c.ValidatedAt != nil {
				fmt.Fprintf(w, ", proved %s", when(c.ValidatedAt))
			}
			fmt.Fprintln(w)
			if c.Problem != nil {
				fmt.Fprintf(w, "      %s: %s\n", c.Problem.Type, show(c.Problem.Detail))
			}
			for i, t := range c.Trials {
				fmt.Fprintf(w, "      attempt %d, %s\n", i+1, when(t.At))
				for _, step := range t.Steps {
					fmt.Fprintf(w, "        %s\n", show(step))
				}
				fmt.Fprintf(w, "        %s\n", show(t.Detail))
			}
		}
	}
	for _, j := range x.ValidationJobs {
		writeJob(w, j)
	}
	if s := x.Submission; s != nil {
		writeSubmission(w, *s, x)
	}
	if x.Job != nil {
		fmt.Fprintln(w, "\nNext step")
		writeJob(w, *x.Job)
	}
	if c := x.Certificate; c != nil {
		fmt.Fprintf(w, "\nCertificate %s\n  serial      %s\n  valid       %s to %s, issued %s\n", c.ID, c.Serial, when(c.NotBefore), when(c.NotAfter), when(c.IssuedAt))
		if r := c.Revocation; r != nil {
			fmt.Fprintf(w, "  revoked     %s by the %s, reason %s, told to the CA %s\n", when(r.At), r.By, reasonName(r.Reason), when(r.DoneAt))
		}
	}
	if len(o.History) > 0 {
		fmt.Fprintln(w, "\nHistory")
		for _, e := range o.History {
			fmt.Fprintf(w, "  %s  %s\n", when(&e.At), show(e.What))
		}
	}
	fmt.Fprintf(w, "\nWhat to do: %s\n", advice(x))
}

// submitter says who brought a CSR without ACME, and how.
func submitter(s admin.Submitter) string {
	if s.Via == "member_api" {
		return "as a CSR over the member API, by " + show(s.By)
	}
	return "as a CSR by " + show(s.By) + ", who operates the server"
}

func writeSubmission(w io.Writer, s admin.Submission, x admin.Explanation) {
	fmt.Fprintf(w, "\nRequest to the CA\n  backend     %s\n  our key     %s\n  recorded    %s\n", s.Backend, s.Key, when(s.CreatedAt))
	if a := s.Approval; a != nil {
		fmt.Fprintf(w, "  approved    %s by %s: %s\n", when(&a.At), show(a.By), show(a.Reason))
	} else if s.ApproveBy != nil && x.Order.Status == "processing" {
		fmt.Fprintf(w, "  approval    missing; the order ends without one at %s\n", when(s.ApproveBy))
	}
	switch {
	case s.SentAt != nil:
		fmt.Fprintf(w, "  sent        %s, %s\n", when(s.SentAt), attempts(s.Attempts))
	case x.Certificate != nil:
		fmt.Fprintln(w, "  sent        nowhere: it was signed here, at once")
	default:
		fmt.Fprintln(w, "  sent        not yet")
	}
	if s.Batch != "" {
		fmt.Fprintf(w, "  together    with others, under the key %s\n", s.Batch)
	}
	if s.Ticket != "" {
		fmt.Fprintf(w, "  its ticket  %s\n", clean(s.Ticket, 100))
	}
	if s.Quarantined > 0 {
		fmt.Fprintf(w, "  quarantine  %d certificates that the CA sent and that are not delivered; --json shows them\n", s.Quarantined)
	}
	if s.Misses > 0 {
		fmt.Fprintf(w, "  looked for  %d times without finding it at the CA\n", s.Misses)
	}
	if s.Evidence != "" {
		fmt.Fprintf(w, "  evidence    %s\n", clean(s.Evidence, wholeError))
	}
	if x.Order.Status == "processing" {
		fmt.Fprintf(w, "  given up    %s, unless it is issued before\n", when(s.Deadline))
	}
}

func writeJob(w io.Writer, j admin.Job) {
	fmt.Fprintf(w, "  %s", j.Kind)
	switch {
	case j.Waits == "here":
		fmt.Fprintf(w, " waits for an operator until %s\n", when(j.Due))
	case j.Parked != "":
		fmt.Fprintf(w, " is parked after %s: %s\n", attempts(j.Attempt), clean(j.Parked, wholeError))
	case j.LeasedUntil != nil:
		fmt.Fprintf(w, " is at work, %s\n", attempts(j.Attempt))
	default:
		fmt.Fprintf(w, " is due %s, %s so far\n", when(j.Due), attempts(j.Attempt))
	}
	if j.LastError != "" {
		fmt.Fprintf(w, "    last error: %s\n", clean(j.LastError, wholeError))
	}
}

// wholeError is more than an error that is kept has: its end says most.
const wholeError = 2048

func attempts(n int) string { return counted(n, "attempt") }

// advice says who has to do what next.
func advice(x admin.Explanation) string {
	id := x.Order.ID
	if by := successor(x.Order); by != "" {
		return fmt.Sprintf("nothing; order %[1]s has what was asked for here, and 'acmebridge order explain %[1]s' how that stands", show(by))
	}
	if says := adviceForXRoad(x); says != "" {
		return says
	}
	switch x.Order.Status {
	case "pending":
		for _, j := range x.ValidationJobs {
			if j.Parked == "" {
				return offlineOr(x, "nothing, a challenge is being tried") + ifSilent(x)
			}
		}
		return "nothing here; its client has to answer a challenge of every authorization that is pending"
	case "ready":
		return "nothing here; its client has to finalize it"
	case "valid":
		if x.Certificate != nil && x.Certificate.Revocation != nil {
			return "nothing; the certificate is revoked"
		}
		if x.Order.Submitted != nil && x.Certificate != nil {
			return fmt.Sprintf("nothing; 'acmebridge cert export %s' writes the certificate", x.Certificate.ID)
		}
		return "nothing; its client can download the certificate"
	case "invalid":
		if silence := ifSilent(x); silence != "" {
			return "its client has to place a new order when the DNS answers again" + silence
		}
		if x.Order.Submitted != nil {
			return "remove the cause given above, and have the CSR submitted again"
		}
		return "its client has to remove the cause given above and place a new order"
	}
	switch {
	case x.Job == nil:
		return fmt.Sprintf("no step will move it on, which should not happen: 'order abandon %s --reason TEXT' ends it", id)
	case x.Job.Credentials:
		return badCredentials(x)
	case x.Job.Waits == "here":
		return fmt.Sprintf(`look at what is ordered, and by whom. Then
  to go on:   acmebridge order approve %[1]s --reason TEXT
  to end it:  acmebridge order reject %[1]s --reason TEXT`, id)
	case x.Job.Waits == "ca" && x.Job.Parked == "":
		return offlineOr(x, "have the request approved at the CA; it goes on by itself then")
	case x.Order.AttachedTo != "" && x.Job.Parked != "":
		return fmt.Sprintf("see what 'acmebridge order explain %s' says: that order waits for a person", x.Order.AttachedTo)
	case x.Job.Parked == "" && x.Job.Failures > manyFailures && !x.Offline:
		return fmt.Sprintf(`find out why this fails for so long: it has %s behind it since it last got somewhere. Look at the last error above,
at whether backend %s can be reached from this machine and is at work, and at the log of this server. Then it goes on by itself`,
			counted(x.Job.Failures, "failure"), show(x.Job.Backend))
	case x.Job.Parked == "":
		return offlineOr(x, "nothing, it goes on by itself")
	case x.Submission != nil && x.Submission.SentAt != nil && x.Submission.Ticket == "":
		return fmt.Sprintf(`find out at the CA whether it has the request with our key or for these names. Then
  it has it not:        acmebridge order retry %[1]s --resend
  it can be found now:  acmebridge order retry %[1]s
  it will not issue:    acmebridge order abandon %[1]s --reason TEXT`, id)
	default:
		return fmt.Sprintf(`remove the cause given above. Then
  to go on:   acmebridge order retry %[1]s
  to end it:  acmebridge order abandon %[1]s --reason TEXT`, id)
	}
}

// successor is the order that took the place of one that ended, if one did.
func successor(o admin.Order) (id string) {
	if o.Problem == nil {
		return ""
	}
	if _, err := fmt.Sscanf(o.Problem.Detail, engine.TookItsPlace, &id); err != nil {
		return ""
	}
	return id
}

// manyFailures is how many in a row are no passing trouble: with the pauses
// between them, they are half an hour and more.
const manyFailures = 10

// badCredentials is for a CA that does not let us in, which only the operator can
// change.
func badCredentials(x admin.Explanation) string {
	then := "; it goes on by itself then, after a while"
	switch {
	case x.Job.Parked != "":
		then = fmt.Sprintf(". Then\n  acmebridge order retry %s", x.Order.ID)
	case x.Offline:
		then = ", and start the server"
	}
	return fmt.Sprintf("correct what backend %[1]s logs in with (backends.%[1]s: username, password_file): its CA does not accept that, and is not asked again before it changes.\n"+
		"What is new in password_file counts without a restart, a change of the configuration after one%[2]s", show(x.Job.Backend), then)
}

// ifSilent is what to look at when no DNS server answered a question of a
// challenge. That can be ours as well as the client's.
func ifSilent(x admin.Explanation) string {
	silent := func(detail string) bool { return strings.Contains(detail, egress.ErrNoAnswer.Error()) }
	for _, a := range x.Authorizations {
		for _, c := range a.Challenges {
			switch n := len(c.Trials); {
			case c.Status == "valid":
			case c.Problem != nil && silent(c.Problem.Detail), n > 0 && silent(c.Trials[n-1].Detail):
				return fmt.Sprintf(". No DNS server answered for %s:\nif that is so for other names too, see to the resolvers of this server (validation.resolvers, or those of the machine without it);\n"+
					"if it is for this one alone, its own name servers are silent", show(a.Identifier.Value))
			}
		}
	}
	return ""
}

func offlineOr(x admin.Explanation, otherwise string) string {
	if x.Offline {
		return "start the server; it goes on by itself then"
	}
	return otherwise
}
