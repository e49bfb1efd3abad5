package admin_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/internal/admin"
	"acmebridge/storage"
)

// Over the socket the kernel says who decides; within the process it is the user
// that runs it. Here both are the same person.
func TestApprovals(t *testing.T) {
	t.Parallel()
	f := newFixture(t, database{}, false)
	dir := t.TempDir()
	l, err := admin.Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: f.handler, ConnContext: admin.ConnContext, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	socket, err := admin.Dial(dir)
	if err != nil {
		t.Fatal(err)
	}
	err = f.store.Update(t.Context(), func(tx storage.Tx) error {
		for _, id := range []string{"1", "2", "3"} {
			err := errors.Join(
				tx.Orders().Put(acme.Order{ID: acme.OrderID(id), Account: "a", Profile: "tls", Status: acme.OrderProcessing, Submission: acme.SubmissionID("s" + id)}),
				tx.Submissions().Put(storage.Submission{
					ID: acme.SubmissionID("s" + id), Key: "k" + id, Order: acme.OrderID(id), Backend: "local", CreatedAt: now, ApproveBy: now.Add(time.Hour),
				}),
				tx.Jobs().Put(storage.Job{ID: storage.JobID("order/" + id), Kind: storage.JobApprove, Subject: id, Due: now.Add(time.Hour), Waits: storage.ApproverHere}),
			)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	waiting, err := admin.Get[admin.Page[admin.Waiting]](t.Context(), socket, "/v1/orders/waiting-approval")
	if err != nil || len(waiting.Items) != 3 || waiting.Items[0].Approver != "here" || !waiting.Items[0].Until.Equal(now.Add(time.Hour)) || waiting.Items[0].Order.ID != "1" {
		t.Errorf("waiting are %+v, %v", waiting.Items, err)
	}
	var who []string
	for id, c := range map[string]*admin.Client{"1": socket, "2": admin.InProcess(f.handler)} {
		if _, err := admin.Post[admin.Done](t.Context(), c, "/v1/orders/"+id+"/approve", admin.Decision{Reason: " fine "}); err != nil {
			t.Fatal(err)
		}
		x, err := admin.Get[admin.Explanation](t.Context(), c, "/v1/orders/"+id)
		if err != nil || x.Submission == nil || x.Submission.Approval == nil {
			t.Fatalf("order %s: %+v, %v", id, x, err)
		}
		if a := x.Submission.Approval; a.By == "" || a.Reason != "fine" || !a.At.Equal(now) || !strings.Contains(x.Order.History[0].What, "approved by "+a.By+": fine") {
			t.Errorf("order %s: %+v, history %+v", id, a, x.Order.History)
		}
		who = append(who, x.Submission.Approval.By)
	}
	if who[0] != who[1] {
		t.Errorf("one person has two names: %q", who)
	}
	for reason, status := range map[string]int{"": 400, "  ": 400, strings.Repeat("x", 501): 400} {
		var failed *admin.Error
		if _, err := admin.Post[admin.Done](t.Context(), socket, "/v1/orders/3/reject", admin.Decision{Reason: reason}); !errors.As(err, &failed) || failed.Status != status {
			t.Errorf("the reason %.10q: %v", reason, err)
		}
	}
	if _, err := admin.Post[admin.Done](t.Context(), socket, "/v1/orders/3/reject", admin.Decision{Reason: "not our name"}); err != nil {
		t.Error(err)
	}
	o, err := admin.Get[admin.Explanation](t.Context(), socket, "/v1/orders/3")
	if err != nil || o.Order.Status != "invalid" || !strings.Contains(o.Order.Problem.Detail, "not our name") {
		t.Errorf("the rejected order is %+v, %v", o.Order, err)
	}
	var failed *admin.Error
	if _, err := admin.Post[admin.Done](t.Context(), socket, "/v1/orders/nobody/approve", admin.Decision{Reason: "x"}); !errors.As(err, &failed) || failed.Status != 404 {
		t.Errorf("an order that is not there: %v", err)
	}
}
