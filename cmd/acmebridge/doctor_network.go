package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"acmebridge/cmd/acmebridge/config"
	"acmebridge/internal/egress"
)

// certificate looks at the pair of files. Our own is made and renewed by the
// server.
func (d *doctor) certificate() {
	const check = "certificate"
	if d.cfg.TLS.Cert == "" {
		d.report(checkOK, check, "the server makes its own; its clients have to trust %s", filepath.Join(absolute(d.cfg.DataDir), tlsRootFile))
		return
	}
	pair, err := tls.LoadX509KeyPair(d.cfg.TLS.Cert, d.cfg.TLS.Key)
	if err != nil {
		d.report(checkFail, check, "%v", err)
		return
	}
	leaf := pair.Leaf
	for _, host := range d.hosts() {
		if err := leaf.VerifyHostname(host); err != nil {
			d.report(checkFail, check, "%s is not for %s, which clients ask for: %v", d.cfg.TLS.Cert, host, err)
			return
		}
	}
	now := d.now()
	switch until := leaf.NotAfter; {
	case now.Before(leaf.NotBefore):
		d.report(checkFail, check, "%s is valid only from %s on", d.cfg.TLS.Cert, leaf.NotBefore.UTC().Format(time.RFC3339))
	case !now.Before(until):
		d.report(checkFail, check, "%s ended %s: renew it", d.cfg.TLS.Cert, until.UTC().Format(time.RFC3339))
	case until.Sub(now) < expiryAlarm:
		d.report(checkWarn, check, "%s ends %s: renew it", d.cfg.TLS.Cert, until.UTC().Format(time.RFC3339))
	case len(pair.Certificate) == 1 && string(leaf.RawIssuer) != string(leaf.RawSubject):
		d.report(checkWarn, check, "%s has no intermediate certificate, which most clients need: put it behind the first", d.cfg.TLS.Cert)
	default:
		d.report(checkOK, check, "%s is good until %s", d.cfg.TLS.Cert, until.UTC().Format(time.RFC3339))
	}
}

// hosts are the names by which clients reach the directories.
func (d *doctor) hosts() (all []string) {
	if u, err := url.Parse(d.cfg.BaseURL); err == nil {
		all = append(all, u.Hostname())
	}
	for _, dir := range d.cfg.AcmeDirectories() {
		if dir.Host != "" {
			all = append(all, dir.Host)
		}
	}
	return all
}

// setAddress is where the configuration has the server listen, and the setting
// that says so.
type setAddress struct{ key, address string }

func listeners(cfg *config.Config) (all []setAddress) {
	for _, l := range []setAddress{{"listen", cfg.Listen}, {"pki_listen", cfg.PKIListen}, {"admin_listen", cfg.AdminListen}} {
		if l.address != "" {
			all = append(all, l)
		}
	}
	return all
}

// listeners are free while no server runs, and answer while one does.
func (d *doctor) listeners(ctx context.Context) {
	for _, l := range listeners(d.cfg) {
		if d.running != nil {
			d.answers(ctx, l.key, l.address)
			continue
		}
		free, err := listen(l.key, l.address)
		if err != nil {
			d.report(checkFail, l.key, "%v", err)
			continue
		}
		_ = free.Close() // it was only asked for
		d.report(checkOK, l.key, "%s is free", l.address)
	}
}

func (d *doctor) answers(ctx context.Context, key, address string) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "0" {
		d.report(checkOK, key, "the system has chosen the port")
		return
	}
	if a, err := netip.ParseAddr(host); host == "" || err == nil && a.IsUnspecified() {
		host = "localhost"
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		d.report(checkFail, key, "the server does not answer on %s: %v; was the configuration changed since its start?", address, err)
		return
	}
	_ = c.Close() // it answered
	d.report(checkOK, key, "the server answers on %s", address)
}

// baseURL is what clients see, so it is looked at as they do: by its name, and
// where a server runs, by fetching a directory.
func (d *doctor) baseURL(ctx context.Context) {
	const check = "base_url"
	u, err := url.Parse(d.cfg.BaseURL)
	if err != nil {
		d.report(checkFail, check, "%v", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for _, host := range d.hosts() {
		if _, err := new(net.Resolver).LookupNetIP(ctx, "ip", host); err != nil {
			d.report(checkFail, check, "%s has no address here: %v; give it one, or correct base_url", host, err)
			return
		}
	}
	_, listens, _ := net.SplitHostPort(d.cfg.Listen)
	port := u.Port()
	if port == "" {
		port = "443"
	}
	if d.running == nil {
		if port != listens {
			d.report(checkWarn, check, "clients come to port %s, and the server listens on %s: something has to forward that", port, listens)
			return
		}
		d.report(checkOK, check, "%s has an address; whether clients reach it shows when the server runs", u.Hostname())
		return
	}
	for _, dir := range d.cfg.AcmeDirectories() {
		where := d.cfg.BaseURL
		if dir.Host != "" {
			where = "https://" + net.JoinHostPort(dir.Host, port)
		}
		where = strings.TrimRight(where, "/") + dir.Path
		if err := d.fetchDirectory(ctx, where); err != nil {
			d.report(checkFail, check, "directory %s: %v", dir.Name, err)
			continue
		}
		d.report(checkOK, check, "%s answers", where)
	}
}

func (d *doctor) fetchDirectory(ctx context.Context, where string) error {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if own, err := os.ReadFile(filepath.Join(d.cfg.DataDir, tlsRootFile)); err == nil && d.cfg.TLS.Cert == "" {
		roots.AppendCertsFromPEM(own)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return err
	}
	res, err := trusting(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}).Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // it was read
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK || !strings.Contains(string(body), `"newNonce"`) {
		return fmt.Errorf("%s answers %s, and not with a directory: does something else listen there?", where, res.Status)
	}
	return nil
}

// resolvers are asked for a name that nobody has: that it is not there is an
// answer, too.
func (d *doctor) resolvers(ctx context.Context) {
	const check, nobody = "name servers", "doctor.invalid"
	worst := checkWarn
	for _, p := range d.cfg.AcmeProfiles() {
		if p.Authorization.AsksProof() {
			worst = checkFail
		}
	}
	servers := d.cfg.Validation.Resolvers
	if len(servers) == 0 {
		servers = []string{""}
	}
	for _, server := range servers {
		cfg := resolverConfig(d.cfg)
		name := "those of this machine"
		if server != "" {
			cfg.Servers, name = []string{server}, server
		}
		r, err := egress.NewResolver(cfg)
		if err == nil {
			_, err = r.LookupAddrs(ctx, nobody)
		}
		if errors.Is(err, egress.ErrNoAnswer) || r == nil {
			also := ""
			if cfg.TCPFirst {
				also = ", or set validation.dns.tcp_first: false if they answer over UDP alone"
			}
			d.report(worst, check, "%s: %v; correct validation.resolvers, or /etc/resolv.conf%s", name, err, also)
			continue
		}
		d.report(checkOK, check, "%s: answered", name)
	}
}
