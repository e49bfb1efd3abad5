package sectigotest

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"acmebridge/internal/standin"
)

// shown is a batch as the service shows it.
func (ca *CA) shown(b *batch) map[string]any {
	word := ca.word(b)
	return map[string]any{
		"batchId": b.ID, "orderNumber": b.Order, "creationDate": b.Created.Format("2006-01-02T15:04:05.000-0700"),
		"profile": b.Profile, "size": b.size(), "status": word, "active": word == "PROCESSING", "batchName": b.Name,
		"rejectReason": b.reason(), "generatorParametersValues": nil, "userId": b.User,
		// True from the beginning, whatever the status.
		"downloadable": true, "rejectable": b.Done.IsZero(),
	}
}

func (ca *CA) lookup(c *standin.Call) *batch {
	b := ca.batches[id(c)]
	if b == nil {
		ca.fail(c, http.StatusNotFound, "Batch not found")
	}
	return b
}

func (ca *CA) showBatch(c *standin.Call) {
	if b := ca.lookup(c); b != nil {
		c.JSON(http.StatusOK, ca.shown(b))
	}
}

func (ca *CA) showStatus(c *standin.Call) {
	if b := ca.lookup(c); b != nil {
		c.Replace(http.StatusOK, "text/plain;charset=UTF-8", []byte(ca.sentence(b)))
	}
}

func (ca *CA) showProcessing(c *standin.Call) {
	if b := ca.lookup(c); b != nil {
		active, success, failed := ca.progress(b)
		c.JSON(http.StatusOK, map[string]int{"active": active, "success": success, "failed": failed})
	}
}

// showAudit tells what happened to a batch. The shape of the real one is not known.
func (ca *CA) showAudit(c *standin.Call) {
	b := ca.lookup(c)
	if b == nil {
		return
	}
	entry := func(at time.Time, what string) map[string]any {
		return map[string]any{"date": at.Format("2006-01-02T15:04:05.000-0700"), "event": what, "userId": b.User}
	}
	log := []map[string]any{entry(b.Created, "CREATED")}
	if !b.Done.IsZero() {
		log = append(log, entry(b.Done, or(strings.TrimSpace(ca.word(b)+" "+b.reason()), "READY_FOR_DOWNLOAD")))
	}
	c.JSON(http.StatusOK, log)
}

// listBatches shows the newest first.
func (ca *CA) listBatches(c *standin.Call) {
	if ca.cfg.List == "off" {
		ca.fail(c, http.StatusNotFound, "No such resource")
		return
	}
	all := []map[string]any{}
	ids := slices.Sorted(maps.Keys(ca.batches))
	slices.Reverse(ids)
	for _, id := range ids {
		if b := ca.batches[id]; !ca.Time().Before(b.Created.Add(ca.cfg.ListDelay)) {
			all = append(all, ca.shown(b))
		}
	}
	if ca.cfg.List == "" {
		c.JSON(http.StatusOK, all)
		return
	}
	number, _ := strconv.Atoi(c.URL.Query().Get("page")) // none is the first
	from := min(max(number, 0)*ca.cfg.PageSize, len(all))
	to := min(from+ca.cfg.PageSize, len(all))
	if ca.cfg.List == "items" {
		c.JSON(http.StatusOK, map[string]any{"totalCount": len(all), "items": all[from:to]})
		return
	}
	c.JSON(http.StatusOK, map[string]any{"totalElements": len(all), "content": all[from:to], "last": to == len(all), "number": number})
}

// add takes a new batch on: from here it costs money.
func (ca *CA) add(c *standin.Call, b *batch, p Profile, commonName string) bool {
	left := ca.tenant.Balances[p.AuthorityID]
	switch {
	case p.Disabled:
		ca.fail(c, http.StatusForbidden, "Authority is disabled")
		return false
	case left < int64(b.size()):
		ca.fail(c, http.StatusBadRequest, "Not enough balance: %d available, %d requested", left, b.size())
		return false
	}
	ca.tenant.LastBatch++
	b.ID, b.Order, b.Created = ca.tenant.LastBatch, ca.tenant.LastBatch+500_000, ca.Time()
	b.ProfileID, b.Profile, b.User = p.ID, p.Name, ca.tenant.LastUser
	if b.Outcome.Kind == "" {
		b.Outcome = ca.OutcomeFor(commonName)
	}
	ca.tenant.Balances[p.AuthorityID] -= int64(b.size())
	ca.tenant.Ordered += int64(b.size())
	ca.batches[b.ID], ca.pending[b.ID] = b, b
	e := standin.Event{Kind: "purchase", Endpoint: "", Batch: b.ID, BatchName: b.Name, Profile: p.ID, Size: b.size(), CommonName: commonName}
	for i, der := range b.CSRs {
		csr, err := readCSR(der)
		if err != nil {
			continue
		}
		key := fmt.Sprintf("%x", sha256.Sum256(csr.RawSubjectPublicKeyInfo))
		if i == 0 {
			e.KeySHA256 = key
		} else {
			e.MoreKeys = append(e.MoreKeys, key)
		}
	}
	ca.Log(e)
	shown := ca.shown(b) // before it has an outcome: a batch is always created first
	ca.settle()
	if err := ca.saveBatch(b); err != nil {
		ca.fail(c, http.StatusInternalServerError, "State was not kept: %v", err)
		return true
	}
	c.JSON(http.StatusCreated, shown)
	return true
}

func (ca *CA) createSingle(c *standin.Call) {
	var given struct {
		AuthorityID int64             `json:"authorityId"`
		BatchName   string            `json:"batchName"`
		Params      map[string]string `json:"profileParams"`
	}
	if err := json.Unmarshal(c.Content, &given); err != nil {
		ca.fail(c, http.StatusBadRequest, "Malformed request")
		return
	}
	i := slices.IndexFunc(ca.tenant.Profiles, func(p Profile) bool { return p.AuthorityID == given.AuthorityID })
	if i < 0 {
		ca.fail(c, http.StatusNotFound, "Authority not found")
		return
	}
	p := ca.tenant.Profiles[i]
	if wrong := p.check("SINGLE", given.Params); wrong != "" || len(given.Params) == 0 {
		ca.fail(c, http.StatusBadRequest, "%s", or(wrong, "profileParams is empty"))
		return
	}
	ca.add(c, &batch{Name: given.BatchName, Single: given.Params}, p, given.Params["commonName"])
}

func (ca *CA) download(c *standin.Call) {
	b := ca.lookup(c)
	if b == nil {
		return
	}
	if !ca.downloadable(b) {
		ca.fail(c, http.StatusBadRequest, "Batch is not ready for download. Status: %s", or(ca.word(b), "none"))
		return
	}
	content, err := ca.archive(b, c.Fault)
	if err != nil {
		ca.fail(c, http.StatusInternalServerError, "Archive: %v", err)
		return
	}
	b.Collected = true
	_ = ca.saveBatch(b) // collected once more after a restart is no harm
	ca.Log(standin.Event{Kind: "download", Batch: b.ID, BatchName: b.Name})
	c.Head().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%d.zip", b.ID))
	c.Replace(http.StatusOK, "application/octet-stream", content)
}
