package upstream

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Doer makes requests: see NewDoer.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// AcmeDNS answers dns-01 through acme-dns: the record of each name is an alias
// (CNAME) of a name there, for which an account was made beforehand. Records stay;
// the service keeps the last two values by itself.
type AcmeDNS struct {
	// URL is where the service is.
	URL string
	// Accounts returns the accounts, in the JSON form in which clients of
	// acme-dns keep them: an object of accounts by name.
	Accounts func() ([]byte, error)
	// Client makes the requests. Required.
	Client Doer
}

// acmeDNSAccount is one of the accounts.
type acmeDNSAccount struct {
	Username  string `json:"username"`
	Password  string `json:"password"`
	Subdomain string `json:"subdomain"`
}

// Type implements Solver.
func (AcmeDNS) Type() string { return "dns-01" }

// Present implements Solver.
func (a AcmeDNS) Present(ctx context.Context, p Proof) error {
	accounts, err := a.accounts()
	if err != nil {
		return err
	}
	account, ok := accounts[p.Name]
	if !ok {
		return fmt.Errorf("there is no acme-dns account for %s: register one, and point %s at it", p.Name, p.Record)
	}
	return post(ctx, a.Client, strings.TrimSuffix(a.URL, "/")+"/update", map[string]string{
		"X-Api-User": account.Username, "X-Api-Key": account.Password,
	}, map[string]string{"subdomain": account.Subdomain, "txt": p.Value})
}

// CleanUp implements Solver. There is nothing to do, and no call to do it by.
func (AcmeDNS) CleanUp(context.Context, Proof) error { return nil }

// Check implements backends.Checker.
func (a AcmeDNS) Check(context.Context) error {
	_, err := a.accounts()
	return err
}

func (a AcmeDNS) accounts() (all map[string]acmeDNSAccount, err error) {
	text, err := a.Accounts()
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("the accounts of acme-dns are no JSON object: %w", err)
	}
	return all, nil
}

// HTTPRequest answers dns-01 through a service of the operator's: it posts
// {"fqdn": ..., "value": ...} to URL/present and URL/cleanup.
type HTTPRequest struct {
	URL string
	// Authorization returns the value of the header of that name; nil sends none.
	Authorization func() (string, error)
	// Client makes the requests. Required.
	Client Doer
}

// Type implements Solver.
func (HTTPRequest) Type() string { return "dns-01" }

// Present implements Solver.
func (h HTTPRequest) Present(ctx context.Context, p Proof) error { return h.call(ctx, "present", p) }

// CleanUp implements Solver.
func (h HTTPRequest) CleanUp(ctx context.Context, p Proof) error { return h.call(ctx, "cleanup", p) }

func (h HTTPRequest) call(ctx context.Context, verb string, p Proof) error {
	headers := map[string]string{}
	if h.Authorization != nil {
		value, err := h.Authorization()
		if err != nil {
			return err
		}
		headers["Authorization"] = strings.TrimSpace(value)
	}
	return post(ctx, h.Client, strings.TrimSuffix(h.URL, "/")+"/"+verb, headers, map[string]string{"fqdn": p.Record, "value": p.Value})
}

// post sends JSON, and wants a status that says yes.
func post(ctx context.Context, client Doer, url string, headers, content map[string]string) error {
	body, err := json.Marshal(content)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // only read
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return nil
	}
	said, _ := io.ReadAll(io.LimitReader(resp.Body, 512)) // for people, as far as it goes
	where := *req.URL
	where.RawQuery = ""
	return fmt.Errorf("%s says %s: %q", where.Redacted(), resp.Status, without(string(said), req, headers))
}

// without takes out of a text what a service was sent to prove who we are: some
// repeat that in their errors (SK-9).
func without(text string, req *http.Request, headers map[string]string) string {
	var secrets []string
	for _, value := range headers {
		secrets = append(append(secrets, value), strings.Fields(value)...)
	}
	if user := req.URL.User; user != nil {
		password, _ := user.Password()
		secrets = append(secrets, password, base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
	for _, s := range secrets {
		const short = 4 // a word of a few letters is no secret, and may be part of any
		if len(s) > short {
			text = strings.ReplaceAll(text, s, "[secret]")
		}
	}
	return text
}

// Command answers dns-01 by a program of the operator's, which is called as
//
//	PROGRAM ARGS... present _acme-challenge.example.org. VALUE
//	PROGRAM ARGS... cleanup _acme-challenge.example.org. VALUE
//
// without a shell, and with nothing of our environment but PATH and HOME. It is
// done when it ends with status 0.
type Command struct {
	// Argv is the program and its first arguments.
	Argv []string
	// Timeout bounds one call; 20 s when zero.
	Timeout time.Duration
}

// Type implements Solver.
func (Command) Type() string { return "dns-01" }

// Present implements Solver.
func (c Command) Present(ctx context.Context, p Proof) error { return c.call(ctx, "present", p) }

// CleanUp implements Solver.
func (c Command) CleanUp(ctx context.Context, p Proof) error { return c.call(ctx, "cleanup", p) }

// Check implements backends.Checker.
func (c Command) Check(context.Context) error {
	if len(c.Argv) == 0 {
		return errors.New("there is no command")
	}
	_, err := exec.LookPath(c.Argv[0])
	return err
}

func (c Command) call(ctx context.Context, verb string, p Proof) error {
	if len(c.Argv) == 0 {
		return errors.New("there is no command")
	}
	timeout := c.Timeout
	if timeout == 0 {
		timeout = 20 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	args := append(append([]string{}, c.Argv[1:]...), verb, p.Record, p.Value)
	cmd := exec.CommandContext(ctx, c.Argv[0], args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	cmd.WaitDelay = time.Second // a child of its may hold the output open
	said := &bounded{most: 4 << 10}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w: %q", c.Argv[0], verb, err, said.text)
	}
	return nil
}

// bounded keeps the beginning of what is written.
type bounded struct {
	text []byte
	most int
}

func (b *bounded) Write(p []byte) (int, error) {
	b.text = append(b.text, p[:min(len(p), b.most-len(b.text))]...)
	return len(p), nil
}
