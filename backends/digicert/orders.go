package digicert

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"acmebridge/internal/caclient"
)

// Wish is what a certificate is asked to be.
type Wish struct {
	CommonName string   `json:"common_name"`
	Names      []string `json:"dns_names"`
	// CSR is a CSR or a public key in PEM, in one line.
	CSR      string   `json:"csr"`
	Hash     string   `json:"signature_hash"`
	Usages   []string `json:"key_usages,omitempty"`
	Extended []string `json:"extended_key_usages,omitempty"`
	// Profile is what public products have in place of lists of usages.
	Profile string `json:"profile_option,omitempty"`
}

// Days is how long an order is good for.
type Days struct {
	Days int `json:"days"`
}

// Field is one of the account's own.
type Field struct {
	ID    int64  `json:"metadata_id"`
	Value string `json:"value"`
}

// Ref is something by its number.
type Ref struct {
	ID int64 `json:"id"`
}

// Purchase is what is bought. What it does not say, such as an automatic
// renewal, which would make orders that nobody here knows of, is not wanted.
type Purchase struct {
	Certificate  Wish    `json:"certificate"`
	Organization Ref     `json:"organization"`
	Validity     Days    `json:"order_validity"`
	Container    *Ref    `json:"container,omitempty"`
	Comments     string  `json:"comments,omitempty"`
	Payment      string  `json:"payment_method,omitempty"`
	SkipApproval bool    `json:"skip_approval"`
	RenewalOf    int64   `json:"renewal_of_order_id,omitempty"`
	Reference    string  `json:"alternative_order_id,omitempty"`
	CustomFields []Field `json:"custom_fields,omitempty"`
}

// Request is one that an administrator may have to decide on.
type Request struct {
	ID       Number
	Type     string
	Status   string
	Comments string
}

// Placed is the answer to an order. It has a certificate when nothing was left
// to be done, and a request that is not approved when somebody has to.
type Placed struct {
	ID          Number
	Requests    []Request
	Certificate Number `json:"certificate_id"`
}

// Place buys. It is never repeated here: see caclient.OutcomeOf.
func (c *Client) Place(ctx context.Context, product string, p Purchase) (Placed, error) {
	return c.place(ctx, "place an order", "order/certificate/"+url.PathEscape(product), p)
}

func (c *Client) place(ctx context.Context, op, path string, body any) (p Placed, err error) {
	r, err := c.web.Do(ctx, caclient.Call{Op: op, Method: http.MethodPost, Path: path, Body: body, Purchase: true})
	if err != nil {
		return p, err
	}
	if err := r.JSON(&p); err != nil {
		return p, err
	}
	if p.ID <= 0 {
		return p, r.Wrong(errors.New("it has no number of an order"))
	}
	return p, nil
}

// Order is what the CA shows of one.
type Order struct {
	ID          Number
	Status      string
	Certificate struct {
		ID         Number
		CommonName string   `json:"common_name"`
		Names      []string `json:"dns_names"`
		CSR        string
		ValidTill  Moment `json:"valid_till"`
	}
	Organization Object[ID]
	Requests     []Request
	Notes        []struct{ Text string }
	Reference    string `json:"alternative_order_id"`
	Created      Moment `json:"date_created"`
}

// Order looks at one.
func (c *Client) Order(ctx context.Context, id int64) (o Order, err error) {
	err = c.get(ctx, "look at order "+strconv.FormatInt(id, 10), orderPath(id, ""), nil, &o)
	return o, err
}

func orderPath(id int64, below string) string {
	path := "order/certificate/" + strconv.FormatInt(id, 10)
	if below != "" {
		path += "/" + below
	}
	return path
}

// maxPages bounds how much of a list is read, 1000 orders a page.
const maxPages = 20

// Orders lists those that fit the filters. complete is false when the CA has
// more than can be read.
func (c *Client) Orders(ctx context.Context, filters map[string]string) (all []Order, complete bool, err error) {
	const limit = 1000
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	for name, value := range filters {
		query.Set("filters["+name+"]", value)
	}
	for range maxPages {
		var page struct {
			Orders []Order
			Page   Object[struct{ Total Number }]
		}
		query.Set("offset", strconv.Itoa(len(all)))
		if err := c.get(ctx, "list orders", "order/certificate", query, &page); err != nil {
			return nil, false, err
		}
		all = append(all, page.Orders...)
		total := int64(page.Page.Value.Total)
		// A full page that does not say how much there is may be a part.
		if len(page.Orders) == 0 || int64(len(all)) >= total && (total > 0 || len(page.Orders) < limit) {
			return all, true, nil
		}
	}
	return all, false, nil
}

// between is a range of times as filters have it.
func between(from, to time.Time) string {
	return from.UTC().Format(time.DateTime) + "..." + to.UTC().Format(time.DateTime)
}

// Change is that of an order's status.
type Change struct {
	Order       Number `json:"order_id"`
	Certificate Number `json:"certificate_id"`
	Status      string
}

// Changes are the orders whose status changed in that time: one call for all
// that wait.
func (c *Client) Changes(ctx context.Context, from, to time.Time) ([]Change, error) {
	var list struct{ Orders []Change }
	query := url.Values{"filters[status_last_updated]": {between(from, to)}}
	err := c.get(ctx, "ask what has changed", "order/certificate/status-changes", query, &list)
	return list.Orders, err
}

// ByReference are the orders with that alternative order id, which is a label
// and may be that of several.
func (c *Client) ByReference(ctx context.Context, reference string) ([]Change, error) {
	var list struct{ Orders []Change }
	err := c.get(ctx, "look for a reference", "order/alternate/"+url.PathEscape(reference), nil, &list)
	if hasCode(err, "not_found|order") {
		return nil, nil
	}
	return list.Orders, err
}

// Reissued is a certificate, or the wish for one, in place of an earlier one of
// the same order.
type Reissued struct {
	ID     Number
	Serial string `json:"serial_number"`
	Status string
	CSR    string
}

// Reissues are those of an order.
func (c *Client) Reissues(ctx context.Context, id int64) ([]Reissued, error) {
	var list struct{ Certificates []Reissued }
	err := c.get(ctx, "list the reissues of order "+strconv.FormatInt(id, 10), orderPath(id, "reissue"), nil, &list)
	return list.Certificates, err
}

// Reissue asks for another certificate on an order that is issued. It costs
// nothing, but changes what the order shows, so it is not repeated either.
func (c *Client) Reissue(ctx context.Context, id int64, w Wish) (Placed, error) {
	return c.place(ctx, "reissue order "+strconv.FormatInt(id, 10), orderPath(id, "reissue"), struct {
		Certificate  Wish `json:"certificate"`
		SkipApproval bool `json:"skip_approval"`
	}{w, true})
}

// change is a call whose answer says nothing.
func (c *Client) change(ctx context.Context, op, path string, body any) error {
	_, err := c.web.Do(ctx, caclient.Call{Op: op, Method: http.MethodPut, Path: path, Body: body})
	return err
}

// SwapCSR gives an order that is not issued another CSR. The path is from a
// single source; where it does not exist, the CA says ErrNotFound.
func (c *Client) SwapCSR(ctx context.Context, id int64, csr string) error {
	return c.change(ctx, "swap the CSR of order "+strconv.FormatInt(id, 10), orderPath(id, "csr"), map[string]string{"csr": csr})
}

// Cancel ends an order that is not issued. The CA wants to know why.
func (c *Client) Cancel(ctx context.Context, id int64, note string) error {
	return c.change(ctx, "cancel order "+strconv.FormatInt(id, 10), orderPath(id, "status"), map[string]string{"status": "canceled", "note": note})
}

// Approve is an administrator's yes to a request.
func (c *Client) Approve(ctx context.Context, id int64) error {
	return c.change(ctx, "approve request "+strconv.FormatInt(id, 10), "request/"+strconv.FormatInt(id, 10)+"/status",
		map[string]string{"status": "approved", "processor_comment": "by acmebridge"})
}

// Validation is what the CA has looked at of an order.
type Validation struct {
	Organizations []struct{ Name, Status string } `json:"organization_validations"`
	Names         []struct {
		Status string
		Names  []string `json:"dns_names"`
	} `json:"dns_name_validations"`
}

// Validation looks at what is missing of an order.
func (c *Client) Validation(ctx context.Context, id int64) (v Validation, err error) {
	err = c.get(ctx, "look at what order "+strconv.FormatInt(id, 10)+" waits for", orderPath(id, "validation"), nil, &v)
	return v, err
}
