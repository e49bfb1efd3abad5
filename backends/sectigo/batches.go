package sectigo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"acmebridge/internal/caclient"
)

// Batch is one request for one or more certificates.
type Batch struct {
	ID      int64 `json:"batchId" need:""`
	Order   int64 `json:"orderNumber"`
	Created Time  `json:"creationDate"`
	// Profile is its name, not its number.
	Profile string `json:"profile"`
	Size    int64  `json:"size"`
	// Status is the CA's word; Canonical says what it means.
	Status string `json:"status"`
	// Active says that the CA is at work on it.
	Active       bool   `json:"active"`
	Name         string `json:"batchName"`
	RejectReason string `json:"rejectReason"`
	// GeneratorValues are printed without the passwords in them.
	GeneratorValues Parameters `json:"generatorParametersValues"`
	UserID          int64      `json:"userId"`
	// Downloadable does not say that it can be downloaded.
	Downloadable bool `json:"downloadable"`
	Rejectable   bool `json:"rejectable"`
}

// Canonical is the status in one spelling.
func (b Batch) Canonical() Status { return ParseStatus(b.Status) }

// Processing counts the certificates of a batch. All zero means that the CA
// has not begun.
type Processing struct {
	Active  int64 `json:"active" need:""`
	Success int64 `json:"success" need:""`
	Failed  int64 `json:"failed" need:""`
}

// CreateSingle asks for a certificate whose key the CA makes.
type CreateSingle struct {
	AuthorityID int64             `json:"authorityId"`
	BatchName   string            `json:"batchName"`
	Params      map[string]string `json:"profileParams"`
}

// CreateSingle buys a certificate together with its key, as a PKCS #12 file in
// an archive. It is for people who want that; keys of ACME clients never leave
// them.
func (c *Client) CreateSingle(ctx context.Context, r CreateSingle) (Batch, error) {
	const op = "create a batch of one certificate"
	if len(r.Params) == 0 {
		return Batch{}, notSent(op, errors.New("profileParams must not be empty"))
	}
	for name, value := range r.Params {
		if strings.TrimSpace(value) == "" {
			return Batch{}, notSent(op, fmt.Errorf("the parameter %s has no value", name))
		}
	}
	body, err := json.Marshal(r)
	if err != nil {
		return Batch{}, notSent(op, err)
	}
	return c.buy(ctx, request{op: op, method: http.MethodPut, path: "/api/v1/batches/createSingleCertBatch", body: body, purchase: true})
}

// buy makes a request that creates a batch. Only the number of the batch is
// needed of the answer; without it the outcome is unknown.
func (c *Client) buy(ctx context.Context, r request) (Batch, error) {
	got, err := c.call(ctx, r)
	if err != nil {
		return Batch{}, err
	}
	var b Batch
	err = into(got, &b)
	if b.ID > 0 {
		return b, nil
	}
	if err == nil {
		err = got.Wrong(errors.New("it names no batch"))
	}
	return Batch{}, err
}

// Batch returns what the CA knows of a batch.
func (c *Client) Batch(ctx context.Context, id int64) (Batch, error) {
	op := fmt.Sprintf("look at batch %d", id)
	var b Batch
	got, err := c.call(ctx, request{op: op, method: http.MethodGet, path: batchPath(id, "")})
	if err != nil {
		return Batch{}, err
	}
	if err := into(got, &b); err != nil {
		return Batch{}, err
	}
	if b.ID != id {
		return Batch{}, got.Wrong(fmt.Errorf("it is about batch %d", b.ID))
	}
	return b, nil
}

// maxSentence bounds what the CA says of a batch or of an error.
const maxSentence = 64 << 10

// BatchStatus returns the CA's sentence about a batch. [ParseStatus] reads it.
func (c *Client) BatchStatus(ctx context.Context, id int64) (string, error) {
	op := fmt.Sprintf("ask for the status of batch %d", id)
	got, err := c.call(ctx, request{op: op, method: http.MethodGet, path: batchPath(id, "/status"), limit: maxSentence})
	if err != nil {
		return "", err
	}
	sentence := string(got.Body)
	var quoted string
	if json.Unmarshal(got.Body, &quoted) == nil {
		sentence = quoted
	}
	if strings.HasPrefix(strings.TrimSpace(sentence), "<") {
		return "", got.Wrong(errors.New("it is a page for people"))
	}
	return printable(sentence), nil
}

// Processing returns how far the CA is with a batch.
func (c *Client) Processing(ctx context.Context, id int64) (Processing, error) {
	var p Processing
	err := c.get(ctx, fmt.Sprintf("ask how far batch %d is", id), batchPath(id, "/processing_info"), &p)
	return p, err
}

// Audit returns what the CA has written down about a batch, as it is: what is in
// it is not documented.
func (c *Client) Audit(ctx context.Context, id int64) (Any, error) {
	var log Any
	err := c.get(ctx, fmt.Sprintf("fetch the log of batch %d", id), batchPath(id, "/auditLog"), &log)
	return log, err
}

// StatusOf is the status of a batch that was just looked at. A word that says
// nothing is followed by a look at the sentence, and that by a look at the
// counts: a CA that has no more to do is done, whatever it calls that. ended
// says so of a status that is still unknown.
func (c *Client) StatusOf(ctx context.Context, batch Batch) (status Status, ended bool, err error) {
	if status = batch.Canonical(); status != StatusUnknown {
		return status, false, nil
	}
	sentence, err := c.BatchStatus(ctx, batch.ID)
	if err != nil {
		return "", false, err
	}
	if status = ParseStatus(sentence); status != StatusUnknown {
		return status, false, nil
	}
	counts, err := c.Processing(ctx, batch.ID)
	if err != nil {
		return "", false, err
	}
	// All counts are zero in the beginning, so an end needs something done.
	done := counts.Success + counts.Failed
	ended = counts.Active == 0 && done > 0 && done >= batch.Size
	if ended && counts.Success == 0 {
		return StatusFailed, true, nil
	}
	return StatusUnknown, ended, nil
}

// Download is the archive of a batch.
type Download struct {
	// Name is what the CA calls it, cleaned: a label and never a path (SC-12).
	Name    string
	Content []byte
}

// Download fetches the archive of a batch. [ReadArchive] opens it.
func (c *Client) Download(ctx context.Context, id int64) (Download, error) {
	const octets = "application/octet-stream"
	op := fmt.Sprintf("download batch %d", id)
	got, err := c.call(ctx, request{
		op: op, method: http.MethodGet, path: batchPath(id, "/download"), contentType: octets,
		limit: c.cfg.MaxDownload, timeout: c.cfg.TransferTimeout,
	})
	if err != nil {
		return Download{}, err
	}
	// An error that comes with a success must not be kept as if it were what
	// was bought.
	if !strings.HasPrefix(string(got.Body), "PK") {
		_, says := complaint(got.Body[:min(len(got.Body), maxSentence)])
		return Download{}, got.Wrong(fmt.Errorf("it is not a ZIP archive; the CA says %q", printable(caclient.Redact(says, c.session.secrets()))))
	}
	return Download{Name: label(got.Header.Get("Content-Disposition"), id), Content: got.Body}, nil
}

// label makes a file name of what the CA proposes.
func label(disposition string, id int64) string {
	otherwise := strconv.FormatInt(id, 10) + ".zip"
	_, params, err := mime.ParseMediaType(disposition)
	if err != nil {
		return otherwise
	}
	return clean(path.Base(strings.ReplaceAll(params["filename"], `\`, "/")), otherwise)
}

// clean keeps of a name what no file system and no terminal takes for
// something else.
func clean(name, otherwise string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
			return r
		}
		return '_'
	}, name)
	if len(name) > 100 {
		name = name[len(name)-100:]
	}
	name = strings.TrimLeft(name, ".-") // last, so that nothing comes to stand in front
	if strings.Trim(name, "._-") == "" {
		return otherwise
	}
	return name
}

// BatchList is what the CA lists.
type BatchList struct {
	Batches []Batch
	// Complete says that nothing was left out. Of a list that is not, no one
	// may conclude that something does not exist.
	Complete bool
}

// maxPages bounds how long a list is followed.
const maxPages = 50

// Batches lists the batches of the account. Whether and how the CA divides the
// list is not documented, so both a plain list and one in pages are read, and
// pages are asked for until they bring nothing new.
func (c *Client) Batches(ctx context.Context) (BatchList, error) {
	const op = "list the batches"
	list, seen := BatchList{}, map[int64]bool{}
	for number := range maxPages {
		r := request{op: op, method: http.MethodGet, path: "/api/v1/batches"}
		if number > 0 {
			r.query = url.Values{"page": {strconv.Itoa(number)}}
		}
		got, err := c.call(ctx, r)
		if err != nil {
			return BatchList{}, err
		}
		p, err := readPage[Batch](got)
		if err != nil {
			return BatchList{}, err
		}
		fresh := 0
		for _, b := range p.items {
			if !seen[b.ID] {
				seen[b.ID] = true
				fresh++
				list.Batches = append(list.Batches, b)
			}
		}
		if p.whole || (p.total >= 0 && int64(len(list.Batches)) >= p.total) {
			list.Complete = true
			return list, nil
		}
		if fresh == 0 {
			return list, nil
		}
	}
	return list, nil
}

// page is one answer of a list.
type page[T any] struct {
	items []T
	total int64 // -1 when it does not say
	whole bool  // it is all there is
}

func readPage[T any](got caclient.Reply) (page[T], error) {
	var plain []T
	if body := strings.TrimSpace(string(got.Body)); strings.HasPrefix(body, "[") {
		err := into(got, &plain)
		return page[T]{items: plain, whole: true}, err
	}
	var shape struct {
		Items   *list[T] `json:"items"`
		Content *list[T] `json:"content"`
		Batches *list[T] `json:"batches"`
		Count   *count   `json:"totalCount"`
		Total   *count   `json:"totalElements"`
		Last    *last    `json:"last"`
	}
	if err := into(got, &shape); err != nil {
		return page[T]{}, err
	}
	p := page[T]{total: -1}
	for _, l := range []*list[T]{shape.Items, shape.Content, shape.Batches} {
		if l != nil {
			p.items = *l
			for _, n := range []*count{shape.Count, shape.Total} {
				if n != nil {
					p.total = int64(*n)
				}
			}
			p.whole = shape.Last != nil && bool(*shape.Last)
			return p, nil
		}
	}
	return page[T]{}, got.Wrong(errors.New("there is no list in it"))
}

// list, count and last tell an absent field from an empty one.
type (
	list[T any] []T
	count       int64
	last        bool
)

func (l *list[T]) UnmarshalJSON(raw []byte) error { return decode(raw, (*[]T)(l)) }
func (n *count) UnmarshalJSON(raw []byte) error   { return decode(raw, (*int64)(n)) }
func (b *last) UnmarshalJSON(raw []byte) error    { return decode(raw, (*bool)(b)) }
