package sectigo

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"acmebridge/backends"
)

// The groups of facts.
const (
	aboutAuthority  = "authority/"
	aboutProfile    = "profile/"
	aboutTemplate   = "template/"
	aboutParameters = "parameters/"
)

// Survey implements backends.Surveyor (SC-7, SC-16, SC-19). It resolves the
// profile, reads what is known of it, counts what is left, and looks through
// the batches.
func (b *Backend) Survey(ctx context.Context) (backends.Survey, error) {
	s := backends.Survey{Subject: b.subject(), Facts: map[string]string{}}
	if _, err := b.client.Login(ctx); err != nil {
		return s, err
	}
	b.mu.Lock()
	b.account.seen = time.Time{}
	b.mu.Unlock()
	authority, err := b.authority(ctx)
	switch {
	case errors.Is(err, ErrNoAuthority), errors.Is(err, ErrAmbiguousAuthority):
		s.Findings = append(s.Findings, backends.Finding{
			Kind: backends.FindingProfile, Stops: backends.StopAll,
			Text: err.Error() + ". Correct profile or profile_id, or have the CA's administrator give the account its right back",
		})
		s.Unseen = append(s.Unseen, group(aboutAuthority), group(aboutProfile), group(aboutTemplate), group(aboutParameters))
		return s, b.sight(ctx, &s)
	case err != nil:
		return s, err
	}
	s.Facts[aboutAuthority+"number"] = fmt.Sprint(authority.ID)
	s.Facts[aboutAuthority+"profile"] = fmt.Sprintf("%d %s", authority.ProfileID, printable(authority.ProfileName))
	for _, look := range []func(context.Context, Authority, *backends.Survey) error{b.weigh, b.describeProfile, b.describeParameters} {
		if err := look(ctx, authority, &s); err != nil {
			return s, err
		}
	}
	return s, b.sight(ctx, &s)
}

// subject names what the configuration asks for: another profile is another
// subject, and no drift.
func (b *Backend) subject() string {
	return fmt.Sprintf("%s profile %d %q", b.client.origin, b.cfg.ProfileID, b.cfg.Profile)
}

func group(prefix string) string { return strings.TrimSuffix(prefix, "/") }

// weigh counts what is left. Whoever buys by hand counts as well.
func (b *Backend) weigh(ctx context.Context, authority Authority, s *backends.Survey) error {
	left, err := b.count(ctx, authority.ID)
	if err != nil {
		return err
	}
	s.Balance = &left
	f := backends.Finding{Kind: backends.FindingBalance}
	switch {
	case left <= 0:
		f.Stops, f.Text = backends.StopAll, "no certificate is left to the profile; order more at the CA"
	case left <= b.cfg.Floor:
		f.Stops = backends.StopNew
		f.Text = fmt.Sprintf("%d left, and the floor of %d is kept for renewals: order more at the CA, or lower balance_floor", left, b.cfg.Floor)
	case left <= b.cfg.Low:
		f.Text = fmt.Sprintf("%d left: order more at the CA before the floor of %d is reached", left, b.cfg.Floor)
	default:
		return nil
	}
	s.Findings = append(s.Findings, f)
	return nil
}

// describeProfile reads what a template fixes. An account may lack the right to.
func (b *Backend) describeProfile(ctx context.Context, authority Authority, s *backends.Survey) error {
	all, err := b.client.Profiles(ctx)
	if unseen, err := hidden(err, aboutProfile, s); err != nil {
		return err
	} else if !unseen {
		i := slices.IndexFunc(all, func(p Profile) bool { return p.ID == authority.ProfileID })
		if i < 0 {
			s.Unseen = append(s.Unseen, group(aboutProfile))
		} else {
			s.Facts[aboutProfile+"algorithms"] = fact(strings.Join(slices.Sorted(slices.Values(all[i].Algorithms)), ", "))
			s.Facts[aboutProfile+"ca"] = fact(all[i].CA)
		}
	}
	detail, err := b.client.Profile(ctx, authority.ProfileID)
	if unseen, err := hidden(err, aboutTemplate, s); err != nil || unseen {
		return err
	}
	s.Facts[aboutTemplate+"key algorithms"] = fact(detail.KeyAlgorithmInfo)
	var fields map[string]any
	if json.Unmarshal([]byte(detail.RawConfig), &fields) != nil {
		s.Facts[aboutTemplate+"configuration"] = fact(detail.RawConfig)
		return nil
	}
	for name, value := range fields {
		// Encoded anew, so that neither blanks nor the order of keys matter.
		text, err := json.Marshal(value)
		if err != nil {
			return err
		}
		s.Facts[aboutTemplate+fact(name)] = fact(string(text))
	}
	return nil
}

// describeParameters reads what goes along with a request, and holds what is
// configured against it.
func (b *Backend) describeParameters(ctx context.Context, authority Authority, s *backends.Survey) error {
	known, err := b.client.ProfileParams(ctx, authority.ProfileID)
	if unseen, err := hidden(err, aboutParameters, s); err != nil || unseen {
		return err
	}
	complain := func(stops backends.Stop, format string, args ...any) {
		s.Findings = append(s.Findings, backends.Finding{Kind: backends.FindingParameters, Stops: stops, Text: fmt.Sprintf(format, args...)})
	}
	for _, name := range slices.Sorted(maps.Keys(b.cfg.Params)) {
		if !slices.ContainsFunc(known, func(p ProfileParam) bool { return p.Name == name }) {
			complain(backends.StopAll, "profile %d takes no parameter %s: take it out of params", authority.ProfileID, name)
		}
	}
	for _, p := range known {
		s.Facts[aboutParameters+fact(p.Name)] = fact(describeParam(p))
		value, given := b.cfg.Params[p.Name]
		switch pattern, err := regexp.Compile(p.ValidationPattern); {
		case !given && p.Required && empty(p.Value) && slices.Contains(p.Scopes, scopeCSR):
			complain(backends.StopAll, "profile %d wants a parameter %s with each request: add it to params", authority.ProfileID, p.Name)
		case !given && p.Required && empty(p.Value) && len(p.Scopes) == 0:
			// It may be meant for keys that the CA makes, which we never ask for.
			complain(backends.StopNothing, "profile %d has a required parameter %s; if requests are refused for want of it, add it to params", authority.ProfileID, p.Name)
		case given && !Placeholder(value) && err == nil && p.ValidationPattern != "" && !pattern.MatchString(value):
			// The CA's dialect of patterns is not ours, so it has the last word.
			complain(backends.StopNothing, "the parameter %s does not look as profile %d wants it: %s", p.Name, authority.ProfileID, or(printable(p.Message), p.ValidationPattern))
		}
	}
	return nil
}

// scopeCSR is the scope of parameters that go with an uploaded CSR.
const scopeCSR = "CSR"

func describeParam(p ProfileParam) string {
	parts := []string{"optional"}
	if p.Required {
		parts[0] = "required"
	}
	if p.ValidationPattern != "" {
		parts = append(parts, "like "+p.ValidationPattern)
	}
	if !empty(p.Value) {
		parts = append(parts, "value "+string(p.Value))
	}
	if len(p.Scopes) > 0 {
		parts = append(parts, "for "+strings.Join(slices.Sorted(slices.Values(p.Scopes)), " and "))
	}
	return strings.Join(parts, ", ")
}

func empty(v Any) bool { return len(v) == 0 || string(v) == "null" || string(v) == `""` }

// sight looks through the batches for those that bear our mark.
func (b *Backend) sight(ctx context.Context, s *backends.Survey) error {
	list, err := b.client.Batches(ctx)
	if denied(err) {
		s.Findings = append(s.Findings, backends.Finding{
			Kind: backends.FindingOther,
			Text: "the account cannot list its batches, so a request whose reply is lost waits for a person: give it that right",
		})
		return nil
	}
	if err != nil {
		return err
	}
	slices.SortFunc(list.Batches, func(a, b Batch) int { return int(a.ID - b.ID) })
	for _, batch := range list.Batches {
		server, key, ours := readName(batch.Name)
		if !ours {
			continue
		}
		together := ""
		if first, _, ok := strings.Cut(key, "-"); ok {
			key, together = first, key
		}
		status := batch.Canonical()
		s.Requests = append(s.Requests, backends.Sighting{
			Key: key, Batch: together, Elsewhere: server != "" && server != b.cfg.Server, At: batch.Created.Time, Label: fmt.Sprintf("batch %d, %q, %s", batch.ID, printable(batch.Name), status),
			Over: status == StatusRevoked || status == StatusRejected || status == StatusBroken || status == StatusFailed,
		})
	}
	return nil
}

// hidden says whether a group of facts is kept from the account, which is no
// error: rights differ.
func hidden(err error, about string, s *backends.Survey) (bool, error) {
	if denied(err) {
		s.Unseen = append(s.Unseen, group(about))
		return true, nil
	}
	return false, err
}

// fact bounds a value; what is cut off still counts.
func fact(text string) string {
	const most = 200
	if len(text) <= most {
		return printable(text)
	}
	sum := sha256.Sum256([]byte(text))
	return fmt.Sprintf("%s... (%x)", printable(strings.ToValidUTF8(text[:most], "")), sum[:8])
}
