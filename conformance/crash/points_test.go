package crash_test

import (
	"time"

	"acmebridge/internal/failpoint"
)

// silent are the points that the life of a server with that kind of issuance
// does not pass, and why. Every other point has to be passed, so a new one
// cannot be forgotten; and these must not be, so that a row goes when its
// reason does.
func silent(issue string) map[failpoint.Point]string {
	const (
		download = "for backends that read a certificate from a connection; this one makes it in memory"
		caa      = "no order of this life waits until its CAA records have to be looked at again; the engine's own tests crash there"
		refusal  = "a note for orders by X-Road Security Servers, of which there are none in this life; nothing depends on it"
		agree    = "for CAs whose profiles can change, which this one's cannot; the engine's own tests crash there"
		apart    = "for CAs that are asked for several certificates at once; TestBatchKill kills there"
		reissue  = "for CAs that issue again for nothing what was wrong; the engine's own tests crash there"
		advice   = "for CAs that say when to renew, which this one does not; the engine's own tests crash there"
	)
	if issue == "queued" {
		return map[failpoint.Point]string{
			failpoint.DownloadHalf:    download,
			failpoint.CheckCAA.Before: caa, failpoint.CheckCAA.After: caa,
			failpoint.AskAdvice: advice, failpoint.Advice.Before: advice, failpoint.Advice.After: advice,
			failpoint.Agree.Before: agree, failpoint.Agree.After: agree,
			failpoint.NoteRefusal.Before: refusal, failpoint.NoteRefusal.After: refusal,
			failpoint.Apart.Before: apart, failpoint.Apart.After: apart,
			failpoint.SetAside.Before: reissue, failpoint.SetAside.After: reissue,
			failpoint.ReissueIntent.Before: reissue, failpoint.ReissueIntent.After: reissue,
			failpoint.ReissueTicket.Before: reissue, failpoint.ReissueTicket.After: reissue,
		}
	}
	const inline = "only where issuing is a job: an inline issuer answers within finalize"
	return map[failpoint.Point]string{
		failpoint.DownloadHalf:         download,
		failpoint.CheckCAA.Before:      caa,
		failpoint.CheckCAA.After:       caa,
		failpoint.AskAdvice:            advice,
		failpoint.Advice.Before:        advice,
		failpoint.Agree.Before:         agree,
		failpoint.Agree.After:          agree,
		failpoint.Advice.After:         advice,
		failpoint.NoteRefusal.Before:   refusal,
		failpoint.NoteRefusal.After:    refusal,
		failpoint.Ticket.Before:        inline,
		failpoint.Ticket.After:         inline,
		failpoint.Quarantine.Before:    inline,
		failpoint.Quarantine.After:     inline,
		failpoint.Reconcile.Before:     inline,
		failpoint.Reconcile.After:      inline,
		failpoint.Sent:                 inline,
		failpoint.PollRead:             inline,
		failpoint.Fail.Before:          inline + ", and a local CA refuses only when its own certificate is about to end",
		failpoint.Fail.After:           inline + ", and a local CA refuses only when its own certificate is about to end",
		failpoint.Apart.Before:         apart,
		failpoint.Apart.After:          apart,
		failpoint.SetAside.Before:      reissue,
		failpoint.SetAside.After:       reissue,
		failpoint.ReissueIntent.Before: reissue,
		failpoint.ReissueIntent.After:  reissue,
		failpoint.ReissueTicket.Before: reissue,
		failpoint.ReissueTicket.After:  reissue,
	}
}

// road is what has to happen for a point to be passed.
type road struct {
	// first are the failpoints of the processes before the one with the point.
	first []string
	// clock is how far the time goes on before that one.
	clock time.Duration
	// restart ends the process before in order, with an order open.
	restart bool
	// mayFail: the order that is under way comes to a bad end, and rightly so.
	mayFail bool
}

// roads are the points that an ordinary life does not pass. The later process
// is a recovery, so a crash here is one within a recovery (SS-16).
func roads(issue string) map[failpoint.Write]road {
	const week = 200 * time.Hour // longer than an order and a submission may wait
	m := map[failpoint.Write]road{
		// A response was stored and its job leased when the process died.
		failpoint.Rescue: {first: []string{"FP-26-after=kill"}},
		failpoint.Expire: {first: []string{""}, clock: week, restart: true},
	}
	if issue == "queued" {
		// The intent is stored, and nobody knows whether the CA heard of it.
		m[failpoint.Reconcile] = road{first: []string{"FP-06=kill"}}
		// Finalized, never sent, and found a week later.
		m[failpoint.Fail] = road{first: []string{"FP-03=kill"}, clock: week, mayFail: true}
	}
	return m
}

// plan is how the processes of a life are started in which spec is to act on a
// point of w.
func (r road) plan(spec string) []launch {
	var all []launch
	for _, f := range r.first {
		all = append(all, launch{failpoints: f})
	}
	return append(all, launch{failpoints: spec, clock: r.clock})
}

// everyPoint lists the points, with the write that they belong to, if any.
func everyPoint() map[failpoint.Point]*failpoint.Write {
	all := map[failpoint.Point]*failpoint.Write{}
	for _, w := range failpoint.Writes() {
		all[w.Before], all[w.After] = &w, &w
	}
	for _, p := range failpoint.Points() {
		all[p] = nil
	}
	return all
}

// repeated are the points that a life passes more than once, of which later
// hits are worth a crash of their own.
var repeated = map[failpoint.Point]int{
	failpoint.Claim.Before:            4,
	failpoint.Claim.After:             4,
	failpoint.Reschedule.Before:       2,
	failpoint.Reschedule.After:        2,
	failpoint.PublishNumber.Before:    3,
	failpoint.PublishNumber.After:     3,
	failpoint.Publish.Before:          3,
	failpoint.Publish.After:           3,
	failpoint.Settle.Before:           3,
	failpoint.Settle.After:            3,
	failpoint.Deliver.Before:          2,
	failpoint.Deliver.After:           2,
	failpoint.UpdateAccount.Before:    2,
	failpoint.UpdateAccount.After:     2,
	failpoint.NewOrder.After:          4,
	failpoint.Enforce.Before:          2,
	failpoint.OperatorDecision.Before: 2,
	failpoint.OperatorDecision.After:  2,
	failpoint.Enforce.After:           2,
	failpoint.Finalize.Before:         2, // that of a CSR, which places its order too
	failpoint.Finalize.After:          2,
}
