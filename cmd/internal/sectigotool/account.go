package sectigotool

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"acmebridge/backends/sectigo"
	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/secret"
)

// account is which account at which endpoint, as the flags say it.
type account struct {
	username, password, passwordFile string
	endpoint, environment, profile   string
	caFile, envFile, cacheFile       string
	noCache                          bool
}

func (a *account) flags(root *cobra.Command) {
	// These two have another meaning after some verbs.
	root.Flags().StringVarP(&a.password, "password", "p", "", "password of the account, before the verb; every user of the machine can read a command line, so use --password-file")
	root.Flags().StringVarP(&a.profile, "profile", "P", "", "name of the profile to use by default, or the number of its template, before the verb ($SECTIGO_PROFILE)")
	flags := root.PersistentFlags()
	flags.StringVarP(&a.username, "username", "u", "", "name of the account ($SECTIGO_USERNAME)")
	flags.StringVar(&a.passwordFile, "password-file", "", "file with the password of the account, - for standard input ($SECTIGO_PASSWORD_FILE)")
	flags.StringVarP(&a.endpoint, "endpoint", "e", "", "where the service is, also --url (default "+sectigo.Production+", $SECTIGO_ENDPOINT)")
	flags.StringVarP(&a.environment, "environment", "E", "", "a safeguard, also --env: production, staging, docker or testing ($SECTIGO_ENVIRONMENT)")
	flags.StringVar(&a.caFile, "ca-file", "", "file of the roots to trust in place of those of the system ($SECTIGO_CA_FILE)")
	flags.StringVar(&a.envFile, "env-file", "", "file of variables NAME=VALUE; those of the environment win")
	flags.StringVar(&a.cacheFile, "cache-file", "", "file to keep the tokens in ($SECTIGO_CACHE_FILE)")
	flags.BoolVar(&a.noCache, "no-cache", false, "keep no tokens and use none")
}

// connect returns a client that is logged in. What is missing is asked for
// when there is a person to ask.
func (t *tool) connect(ctx context.Context) (*sectigo.Client, error) {
	cfg, err := t.clientConfig()
	if err != nil {
		return nil, err
	}
	if cfg.Password.Empty() && cfg.Cache == nil {
		if err := t.ask(ctx, &cfg); err != nil {
			return nil, err
		}
	}
	client, err := sectigo.New(cfg)
	if err != nil {
		return nil, usage.Error(err)
	}
	_, err = client.Login(ctx)
	if errors.Is(err, sectigo.ErrNoCredentials) && cfg.Password.Empty() && t.terminal() {
		if err = t.ask(ctx, &cfg); err == nil {
			if err = client.SetCredentials(ctx, cfg.Username, cfg.Password); err == nil {
				_, err = client.Login(ctx)
			}
		}
	}
	if err != nil {
		client.Close()
		return nil, explainLogin(err)
	}
	return client, nil
}

// explainLogin adds what to do.
func explainLogin(err error) error {
	switch {
	case errors.Is(err, sectigo.ErrCertificateLogin):
		return fmt.Errorf("%w; switch two-factor login off for this user in the portal", err)
	case errors.Is(err, sectigo.ErrNoCredentials):
		return fmt.Errorf("%w: --username with --password-file, or the command auth", err)
	case errors.Is(err, sectigo.ErrLoginRefused):
		return fmt.Errorf("%w; the service locks accounts after a few failed logins, so make sure of the password before the next try", err)
	}
	return err
}

// clientConfig is what flags and variables say, in that order.
func (t *tool) clientConfig() (cfg sectigo.Config, err error) {
	if cfg.URL, err = t.endpoint(); err != nil {
		return cfg, err
	}
	if cfg.Username, err = t.setting(t.account.username, "SECTIGO_USERNAME"); err != nil {
		return cfg, err
	}
	if cfg.Password, err = t.accountPassword(); err != nil {
		return cfg, err
	}
	environment, err := t.environment()
	if err != nil {
		return cfg, err
	}
	if environment == "testing" && cfg.Password.Empty() && (cfg.Username == "" || cfg.Username == standinUser) {
		cfg.Username, cfg.Password = standinUser, secret.New([]byte(standinPassword))
	}
	if !t.account.noCache {
		if cfg.Cache, err = t.cache(); err != nil {
			return cfg, err
		}
	}
	roots, err := t.setting(t.account.caFile, "SECTIGO_CA_FILE")
	if err != nil {
		return cfg, err
	}
	if roots != "" {
		pem, err := os.ReadFile(roots)
		if err != nil {
			return cfg, fmt.Errorf("read the roots to trust: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return cfg, fmt.Errorf("read the roots to trust: there is no PEM certificate in %s", roots)
		}
	}
	cfg.Dial = dial
	cfg.UserAgent, cfg.Now = "acmebridge-sectigo", t.Now
	return cfg, nil
}

func (t *tool) cache() (*sectigo.Cache, error) {
	path, err := t.setting(t.account.cacheFile, "SECTIGO_CACHE_FILE")
	if err != nil {
		return nil, err
	}
	if path != "" {
		return sectigo.NewCache(path), nil
	}
	cache, err := sectigo.DefaultCache()
	if err != nil {
		return nil, fmt.Errorf("%w with --cache-file, or keep none with --no-cache", err)
	}
	return cache, nil
}

// environments are the safeguards.
var environments = []string{"production", "staging", "docker", "testing"}

func (t *tool) environment() (string, error) {
	name, err := t.setting(t.account.environment, "SECTIGO_ENVIRONMENT")
	if err != nil {
		return "", err
	}
	name = strings.ToLower(name)
	if name != "" && !slices.Contains(environments, name) {
		return "", usage.Errorf("--environment %q: one of %s", name, strings.Join(environments, ", "))
	}
	return name, nil
}

// endpoint is where the service is. An environment keeps trials away from the
// real service, and real tokens away from everything else.
func (t *tool) endpoint() (string, error) {
	environment, err := t.environment()
	if err != nil {
		return "", err
	}
	endpoint, err := t.setting(t.account.endpoint, "SECTIGO_ENDPOINT")
	if err != nil {
		return "", err
	}
	if endpoint == "" {
		switch environment {
		case "", "production":
			return sectigo.Production, nil
		case "testing":
			return "http://" + standinListen, nil
		}
		return "", usage.Errorf("the environment %s has no endpoint of its own: name it with --endpoint", environment)
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", usage.Errorf("--endpoint: it cannot be read; it should look like %s", sectigo.Production)
	}
	host := strings.ToLower(u.Hostname())
	real := host == "sectigo.com" || strings.HasSuffix(host, ".sectigo.com")
	switch {
	case environment == "production" && (u.Scheme != "https" || host != "iot.sectigo.com"):
		return "", usage.Errorf("the environment is production, and the endpoint %s is not %s", endpoint, sectigo.Production)
	case (environment == "staging" || environment == "docker") && real:
		return "", usage.Errorf("the environment is %s, and the endpoint %s is the real service", environment, endpoint)
	case environment == "testing" && !here(host):
		return "", usage.Errorf("the environment is testing, and the endpoint %s is not on this machine", endpoint)
	}
	return endpoint, nil
}

func here(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && addr.IsLoopback())
}

// setting is the value of a flag, else that of a variable.
func (t *tool) setting(flag, variable string) (string, error) {
	if flag != "" || variable == "" {
		return flag, nil
	}
	if v := lookup(t.Environ, variable); v != "" || t.account.envFile == "" {
		return v, nil
	}
	content, err := os.ReadFile(t.account.envFile)
	if err != nil {
		return "", fmt.Errorf("read the variables: %w", err)
	}
	value := lookup(variables(content), variable)
	if value != "" && strings.HasSuffix(variable, "PASSWORD") {
		// It is a file with a secret in it, so it has to be as private (SK-2).
		if _, err := secret.FromFile(t.account.envFile); err != nil {
			return "", fmt.Errorf("there is a password among the variables: %w", err)
		}
	}
	return value, nil
}

// variables are the lines of a file of them.
func variables(content []byte) (all []string) {
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		line := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(lines.Text()), "export "))
		name, value, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		value = strings.TrimSpace(value)
		if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		all = append(all, strings.TrimSpace(name)+"="+value)
	}
	return all
}

// lookup returns the last value of a variable, as os/exec would.
func lookup(env []string, name string) (value string) {
	for _, entry := range env {
		if n, v, ok := strings.Cut(entry, "="); ok && n == name {
			value = v
		}
	}
	return value
}

// defaultProfile is the profile to use when a command names none.
func (t *tool) defaultProfile() (string, error) {
	return t.setting(t.account.profile, "SECTIGO_PROFILE")
}

// someProfile wants the command or a default to name a profile.
func (t *tool) someProfile(given int64) error {
	name, err := t.defaultProfile()
	if err == nil && name == "" && given == 0 {
		return usage.Errorf("which profile? Give its number with --profile; 'authorities' lists them")
	}
	return err
}

// profileID is the number that was given, else that of the default profile.
func (t *tool) profileID(ctx context.Context, c *sectigo.Client, given int64) (int64, error) {
	if given != 0 {
		return given, nil
	}
	a, err := t.profileAuthority(ctx, c)
	return a.ProfileID, err
}

// profileAuthority is the authority of the default profile, which is named by
// its name or by the number of its template.
func (t *tool) profileAuthority(ctx context.Context, c *sectigo.Client) (sectigo.Authority, error) {
	name, err := t.defaultProfile()
	if err != nil {
		return sectigo.Authority{}, err
	}
	all, err := c.Authorities(ctx)
	if err != nil {
		return sectigo.Authority{}, err
	}
	if _, err := strconv.Atoi(name); err != nil {
		return sectigo.FindAuthority(all, 0, name)
	}
	var fitting []sectigo.Authority
	for _, a := range all {
		if strings.HasSuffix(a.ProfileName, "_#"+name) {
			fitting = append(fitting, a)
		}
	}
	a, err := sectigo.FindAuthority(fitting, 0, "")
	if err != nil {
		return a, fmt.Errorf("template %s: %w", name, err)
	}
	return a, nil
}
