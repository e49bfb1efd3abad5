package digicerttest

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// find takes the number of an order, or a serial number of its first
// certificate.
func (ca *CA) find(c *call) *order {
	if o := ca.orders[c.id()]; o != nil {
		return o
	}
	for _, o := range ca.orders {
		if len(o.certificates) > 0 && strings.EqualFold(o.certificates[0].serial(), c.PathValue("id")) {
			return o
		}
	}
	c.fail(http.StatusNotFound, "not_found|order", "no such order")
	return nil
}

func (ca *CA) row(o *order) map[string]any {
	cert := map[string]any{"common_name": o.wish.commonName, "dns_names": o.wish.names, "signature_hash": o.wish.hash}
	if issued := o.latest(); issued != nil {
		cert["id"], cert["serial_number"] = issued.id, issued.serial()
		cert["valid_from"], cert["valid_till"] = issued.cert.NotBefore.Format(time.DateOnly), issued.cert.NotAfter.Format(time.DateOnly)
	}
	return map[string]any{
		"id": o.id, "certificate": cert, "status": o.word(), "date_created": stamp(o.created), "organization": map[string]any{"id": o.organization},
		"product": map[string]any{"name_id": o.product}, "has_duplicates": slices.ContainsFunc(o.certificates, func(c *issued) bool { return c.duplicate }),
	}
}

func (ca *CA) showOrder(c *call) {
	o := ca.find(c)
	if o == nil {
		return
	}
	row := ca.row(o)
	row["certificate"].(map[string]any)["csr"] = o.wish.csr //nolint:forcetypeassert // made above
	row["alternative_order_id"] = o.alternative
	row["is_renewal"] = o.renewalOf != 0
	requests := []map[string]any{{"id": o.request, "type": "new_request", "status": o.requestStatus(), "comments": o.comments}}
	if o.reissue != nil {
		requests = append(requests, map[string]any{"id": o.reissue.request, "type": "reissue", "status": "approved"})
	}
	row["requests"] = requests
	if o.outcome.Reason != "" && !o.open() {
		row["notes"] = []map[string]any{{"id": 1, "text": o.outcome.Reason}}
	}
	c.JSON(http.StatusOK, row)
}

// window is what of a list is to be shown.
func window(c *call, total int) (from, to int) {
	number := func(name string, otherwise int) int {
		n, err := strconv.Atoi(c.URL.Query().Get(name))
		if err != nil || n < 0 {
			return otherwise
		}
		return n
	}
	const most = 1000
	from = min(number("offset", 0), total)
	return from, min(from+min(number("limit", most), most), total)
}

func (ca *CA) listOrders(c *call) {
	filters := map[string]string{}
	for name, values := range c.URL.Query() {
		switch name {
		case "offset", "limit", "sort":
			continue
		}
		inner, ok := strings.CutPrefix(name, "filters[")
		inner, closed := strings.CutSuffix(inner, "]")
		if !ok || !closed || !slices.Contains([]string{"id", "status", "organization_id", "product_name_id", "common_name", "domain_name", "date_created", "serial_number"}, inner) {
			c.fail(http.StatusBadRequest, "bad_request_format", "there is no "+name)
			return
		}
		filters[inner] = values[0]
	}
	list := []map[string]any{}
	for _, id := range slices.Sorted(maps.Keys(ca.orders)) {
		if o := ca.orders[id]; ca.fits(o, filters) {
			list = append(list, ca.row(o))
		}
	}
	from, to := window(c, len(list))
	c.JSON(http.StatusOK, map[string]any{"orders": list[from:to], "page": map[string]int{"total": len(list), "offset": from, "limit": to - from}})
}

func (ca *CA) fits(o *order, filters map[string]string) bool {
	for name, want := range filters {
		var ok bool
		switch name {
		case "id":
			ok = want == strconv.FormatInt(o.id, 10)
		case "status":
			ok = strings.EqualFold(want, o.word())
		case "organization_id":
			ok = want == strconv.FormatInt(o.organization, 10)
		case "product_name_id":
			ok = want == o.product
		case "common_name":
			ok = want == o.wish.commonName
		case "domain_name":
			ok = want == o.wish.commonName || slices.Contains(o.wish.names, want)
		case "date_created":
			ok = within(o.created, want)
		case "serial_number":
			ok = slices.ContainsFunc(o.certificates, func(i *issued) bool { return strings.EqualFold(i.serial(), want) })
		}
		if !ok {
			return false
		}
	}
	return true
}

// within reads a range, "A...B", in UTC.
func within(t time.Time, text string) bool {
	from, to, ok := strings.Cut(text, "...")
	begin, err := time.Parse(time.DateTime, from)
	end, errEnd := time.Parse(time.DateTime, to)
	return ok && err == nil && errEnd == nil && !t.Truncate(time.Second).Before(begin) && !t.Truncate(time.Second).After(end)
}

func (ca *CA) statusChanges(c *call) {
	list := []map[string]any{}
	for _, id := range slices.Sorted(maps.Keys(ca.orders)) {
		o := ca.orders[id]
		if !within(o.updated, c.URL.Query().Get("filters[status_last_updated]")) {
			continue
		}
		row := map[string]any{"order_id": o.id, "status": o.word()}
		if issued := o.latest(); issued != nil {
			row["certificate_id"] = issued.id
		}
		list = append(list, row)
	}
	c.JSON(http.StatusOK, map[string]any{"orders": list})
}

func (ca *CA) alternate(c *call) {
	list := []map[string]any{}
	for _, id := range slices.Sorted(maps.Keys(ca.orders)) {
		o := ca.orders[id]
		if o.alternative == "" || o.alternative != c.PathValue("id") || ca.Time().Before(o.created.Add(ca.cfg.Visibility)) {
			continue
		}
		row := map[string]any{"order_id": o.id, "status": o.word()}
		if issued := o.latest(); issued != nil {
			row["certificate_id"] = issued.id
		}
		list = append(list, row)
	}
	c.JSON(http.StatusOK, map[string]any{"orders": list, "page": map[string]int{"total": len(list), "offset": 0, "limit": 1000}})
}

func (ca *CA) validation(c *call) {
	o := ca.find(c)
	if o == nil {
		return
	}
	org := ca.organization(o.organization)
	word := func(ok bool) string {
		if ok {
			return "active"
		}
		return "pending"
	}
	names := []map[string]any{}
	all, _, _ := splitNames(append([]string{o.wish.commonName}, o.wish.names...))
	for _, name := range all {
		names = append(names, map[string]any{"domain_id": "501", "name_scope": "base_domain", "status": word(ca.domainValid(name, o.organization)), "method": "dns-txt-token", "dns_names": []string{name}})
	}
	c.JSON(http.StatusOK, map[string]any{
		"order_status": o.word(), "order_name_scope": "base_domain", "order_dcv_method": "dns-txt-token", "dns_name_validations": names,
		"organization_validations": []map[string]any{{"type": "x9", "name": "X9 PKI", "status": word(ca.Time().Before(org.ValidUntil)), "validated_until": stamp(org.ValidUntil)}},
	})
}

func (ca *CA) randomValue(c *call) {
	if o := ca.find(c); o != nil {
		c.JSON(http.StatusOK, map[string]any{"dcv_random_value": "random-" + strconv.FormatInt(o.id, 10), "expiration_date": stamp(ca.Time().AddDate(0, 0, 30))})
	}
}

func (ca *CA) checkDCV(c *call) {
	o := ca.find(c)
	switch {
	case o == nil:
	case !ca.validated(o):
		c.fail(http.StatusBadRequest, "invalid_dns_txt", "the record was not found")
	default:
		c.JSON(http.StatusOK, map[string]any{"order_status": o.word(), "dcv_status": "valid"})
	}
}

func (ca *CA) listReissues(c *call) {
	o := ca.find(c)
	if o == nil {
		return
	}
	list := []map[string]any{}
	for i, cert := range o.certificates {
		if i == 0 || cert.duplicate {
			continue // the first is no reissue
		}
		list = append(list, map[string]any{
			"id": cert.id, "serial_number": cert.serial(), "status": "approved", "date_created": stamp(cert.at), "date_issued": stamp(cert.at),
			"common_name": cert.wish.commonName, "dns_names": cert.wish.names, "csr": cert.wish.csr,
		})
	}
	if o.reissue != nil {
		list = append(list, map[string]any{"status": "pending", "date_created": stamp(o.reissue.since), "csr": o.reissue.wish.csr})
	}
	c.JSON(http.StatusOK, map[string]any{"certificates": list})
}
