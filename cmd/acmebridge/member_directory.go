package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"acmebridge/cmd/acmebridge/config"
	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/admin"
	"acmebridge/internal/egress"
	"acmebridge/internal/roster"
)

// directorySource is the directory of a framework, to import members from.
type directorySource struct {
	url, caFile  string
	certificates []string
}

func (d *directorySource) flags(c *cobra.Command) {
	c.Flags().StringVar(&d.url, "url", "", "https URL at which the directory of a framework publishes its members and applications (JSON-LD), in place of a file")
	c.Flags().StringVar(&d.caFile, "ca-file", "", "PEM file with the roots that the certificate of the directory must lead to (default: those of the system)")
	c.Flags().StringArrayVar(&d.certificates, "certificate", []string{"client", "signing"}, "kind of certificate that applications may have that are new here (may be repeated)")
}

const (
	directoryPages   = 100
	directoryTimeout = time.Minute
)

// fetch reads all parts of the directory. It connects to public addresses and to
// the one that the URL itself names, and follows nobody to another host.
func (d *directorySource) fetch(ctx context.Context, cfg *config.Config) ([]roster.Member, error) {
	first, err := url.Parse(d.url)
	if err != nil || first.Scheme != "https" || first.Hostname() == "" || first.User != nil {
		return nil, usage.Errorf("--url: write an https URL, such as https://directory.core.trust.ib1.org/members.json")
	}
	client, err := d.client(cfg, first)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, directoryTimeout)
	defer cancel()
	var pages []roster.Page
	for at := first; ; {
		if len(pages) == directoryPages {
			return nil, fmt.Errorf("%s has more than %d parts", d.url, directoryPages)
		}
		p, err := get(ctx, client, at)
		if err != nil {
			return nil, fmt.Errorf("read the directory at %s: %w", show(at.String()), err)
		}
		if pages = append(pages, p); p.Next == "" {
			return roster.Members(pages...)
		}
		if at, err = at.Parse(p.Next); err != nil || at.Scheme != first.Scheme || at.Host != first.Host {
			return nil, fmt.Errorf("the directory at %s leads to another host: %s", d.url, show(p.Next))
		}
	}
}

// readDirectory reads the directory as the configuration lets it be reached.
func (p *program) readDirectory(c *cobra.Command, d *directorySource, from source) ([]roster.Member, error) {
	if from.signedBy != "" || from.signature != "" {
		return nil, usage.Errorf("--signed-by and --signature are for files; a directory is known by its certificate")
	}
	cfg, _, err := p.config()
	if err != nil {
		return nil, err
	}
	found, err := d.fetch(c.Context(), cfg)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("there is no member in the directory at %s", d.url)
	}
	return found, err
}

func (d *directorySource) client(cfg *config.Config, first *url.URL) (*http.Client, error) {
	roots, err := x509.SystemCertPool()
	if d.caFile != "" {
		var text []byte
		if text, err = os.ReadFile(d.caFile); err == nil {
			if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM(text) {
				err = fmt.Errorf("there is no certificate in %s", d.caFile)
			}
		}
	}
	if err != nil {
		return nil, err
	}
	var opened []netip.Prefix
	if a, err := netip.ParseAddr(first.Hostname()); err == nil {
		a = a.Unmap()
		opened = append(opened, netip.PrefixFrom(a, a.BitLen()))
	}
	policy, err := egress.NewPolicy(egress.PolicyConfig{Allow: append(opened, cfg.Validation.Allow...), Deny: cfg.Validation.Deny})
	if err != nil {
		return nil, err
	}
	resolver, err := egress.NewResolver(resolverConfig(cfg))
	if err != nil {
		return nil, err
	}
	dialer, err := egress.NewDialer(egress.DialerConfig{Policy: policy, Resolver: resolver})
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Transport: &http.Transport{DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("it leads elsewhere; give the URL that it leads to")
		},
	}, nil
}

func get(ctx context.Context, client *http.Client, at *url.URL) (p roster.Page, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return p, err
	}
	r.Header.Set("Accept", "application/ld+json, application/json")
	r.Header.Set("User-Agent", "acmebridge/"+version())
	res, err := client.Do(r)
	if err != nil {
		return p, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return p, fmt.Errorf("it answers %s", show(res.Status))
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, importSize+1))
	if err != nil {
		return p, err
	}
	if len(text) > importSize {
		return p, fmt.Errorf("a part of it has more than %d bytes", importSize)
	}
	return roster.Read(text)
}

// importDirectory brings in what the directory says. Members that it does not
// have any more are told of, and not removed: whether somebody has left is for a
// person to say.
func (p *program) importDirectory(ctx context.Context, a *admin.Client, d *directorySource, found []roster.Member, mode admin.ImportMode, asJSON bool) error {
	mode.Versioned = true
	var gone []string
	err := change(func() (err error) {
		var members []admin.UpdateMember
		if members, gone, err = d.members(ctx, a, found); err != nil {
			return err
		}
		return p.importTo(ctx, a, "/v1/member-import", members, mode, asJSON)
	})
	for _, id := range gone {
		fmt.Fprintf(p.stderr, "member %s is not in the directory any more; 'member remove %s --revoke' ends its membership here\n", show(id), show(id))
	}
	return err
}

// members are the entries of an import: what the directory says, and for the rest
// what the registry has. Those that are gone are only in the registry.
func (d *directorySource) members(ctx context.Context, a *admin.Client, found []roster.Member) (members []admin.UpdateMember, gone []string, err error) {
	have := map[string]admin.Member{}
	stored, err := collect[admin.Member](ctx, a, "/v1/members", nil, nil)
	if err != nil {
		return nil, nil, err
	}
	for _, m := range stored {
		have[m.ID] = m
	}
	for _, f := range found {
		m := admin.UpdateMember{MemberContent: have[f.ID].MemberContent, Version: have[f.ID].Version}
		m.ID, m.Name, m.Country, m.Roles = f.ID, f.Name, f.Country, f.Roles
		known := m.Applications
		m.Applications = []admin.Application{}
		for _, x := range f.Applications {
			next := admin.Application{Certificates: d.certificates}
			if i := slices.IndexFunc(known, func(k admin.Application) bool { return k.URL == x.URL }); i >= 0 {
				next = admin.Application{Certificates: known[i].Certificates, Handle: known[i].Handle}
			}
			next.URL, next.Name, next.Roles = x.URL, x.Name, x.Roles
			m.Applications = append(m.Applications, next)
		}
		members = append(members, m)
		delete(have, f.ID)
	}
	for _, m := range stored {
		if _, missing := have[m.ID]; missing && len(m.Applications) > 0 && m.Status != "removed" {
			gone = append(gone, m.ID)
		}
	}
	return members, gone, nil
}
