package sectigo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"acmebridge/internal/caclient"
	"acmebridge/internal/secret"
)

const jsonType = "application/json;charset=UTF-8"

// request is one call. Its body is kept whole, so that it can be sent anew
// after a 401, by us and by nobody else.
type request struct {
	op           string // what is attempted, for errors
	method, path string
	query        url.Values
	contentType  string // the JSON type unless set
	accept       string // the same as contentType unless set
	body         []byte
	limit        int64         // of the reply; MaxReply unless set
	timeout      time.Duration // CallTimeout unless set
	purchase     bool          // costs money
}

// exchange sends r once and reads the answer. With an empty token there is no
// Authorization header.
func (c *Client) exchange(ctx context.Context, r request, token secret.Secret) (caclient.Reply, error) {
	contentType := or(r.contentType, jsonType)
	header := http.Header{"Content-Type": {contentType}, "Accept": {or(r.accept, contentType)}}
	if !token.Empty() {
		header.Set("Authorization", "Bearer "+string(token.Reveal()))
	}
	return c.web.Do(ctx, caclient.Call{
		Op: r.op, Method: r.method, Path: r.path, Query: r.query, Header: header, Content: r.body, Purchase: r.purchase,
		Timeout: r.timeout, MaxReply: r.limit, Secrets: append(c.session.secrets(), token),
	})
}

// complaint reads the body of an error: JSON of either shape that is known, or
// plain text.
func complaint(body []byte) (code, message string) {
	// A damaged field leaves the others readable.
	if looksLikeJSON(body) && json.Valid(body) {
		var shape struct {
			Message string `json:"message"`
			Error   string `json:"error"`
			Code    int64  `json:"errorCode"`
		}
		_ = decode(body, &shape)
		if shape.Code != 0 {
			code = strconv.FormatInt(shape.Code, 10)
		}
		return code, or(shape.Message, shape.Error)
	}
	if strings.HasPrefix(http.DetectContentType(body), "text/plain") {
		return "", string(body)
	}
	return "", ""
}

func looksLikeJSON(body []byte) bool {
	body = bytes.TrimLeft(body, " \t\r\n")
	return len(body) > 0 && (body[0] == '{' || body[0] == '[')
}

// into decodes the JSON of a reply. Whether the body is labelled as JSON does
// not matter when it is JSON of the right shape: after a purchase what it says
// is worth more than its label.
func into(got caclient.Reply, v any) error {
	if len(bytes.TrimSpace(got.Body)) == 0 {
		return got.Wrong(errEmpty)
	}
	if err := decode(got.Body, v); err != nil {
		return got.Wrong(err)
	}
	return nil
}

// get fetches JSON.
func (c *Client) get(ctx context.Context, op, path string, v any) error {
	got, err := c.call(ctx, request{op: op, method: http.MethodGet, path: path})
	if err != nil {
		return err
	}
	return into(got, v)
}

// post sends JSON.
func (c *Client) post(ctx context.Context, op, path string, body any) (caclient.Reply, error) {
	content, err := json.Marshal(body)
	if err != nil {
		return caclient.Reply{}, notSent(op, err)
	}
	return c.call(ctx, request{op: op, method: http.MethodPost, path: path, body: content})
}

func printable(text string) string { return caclient.Printable(text) }

func batchPath(id int64, rest string) string { return fmt.Sprintf("/api/v1/batches/%d%s", id, rest) }
