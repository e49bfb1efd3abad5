package sectigo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Authority is a right to have certificates of one profile issued.
type Authority struct {
	ID                  int64  `json:"id" need:""`
	EcosystemID         int64  `json:"ecosystemId"`
	SignerCertificateID int64  `json:"signerCertificateId"`
	EcosystemName       string `json:"ecosystemName"`
	// FieldBalance may be out of date; Balance asks for the one that counts.
	FieldBalance int64 `json:"balance"`
	// Enabled has to be set before anything can be issued.
	Enabled bool `json:"enabled"`
	// ProfileID is the number to use for uploads and revocations.
	ProfileID int64 `json:"profileId" need:""`
	// ProfileName ends in the number of its template, "CipherTrace EE_#17".
	ProfileName string `json:"profileName"`
}

// Profile is what certificates of one kind are like.
type Profile struct {
	ID         int64    `json:"profileId" need:""`
	Algorithms []string `json:"algorithms"`
	CA         string   `json:"ca"`
}

// ProfileDetail is more of a profile.
type ProfileDetail struct {
	ID               int64  `json:"profileId" need:""`
	ProfileName      string `json:"profileName"`
	RawConfig        string `json:"rawProfileConfig"`
	Name             string `json:"name"`
	KeyAlgorithmInfo string `json:"keyAlgorithmInfo"`
}

// ProfileParam is one value that a profile takes with a request.
type ProfileParam struct {
	Name string `json:"name" need:""`
	// Required is the test for a parameter that must be there.
	Required          bool     `json:"required"`
	InputType         string   `json:"inputType"`
	ValidationPattern string   `json:"validationPattern"`
	Message           string   `json:"message"`
	Value             Any      `json:"value"`
	Placeholder       Any      `json:"placeholder"`
	Title             string   `json:"title"`
	Scopes            []string `json:"scopes"`
	Dynamic           bool     `json:"dynamic"`
}

// Organization is the tenant.
type Organization struct {
	ID                  int64             `json:"organizationId" need:""`
	Name                string            `json:"organizationName"`
	Address             string            `json:"address"`
	PrimaryContactName  string            `json:"primaryContactName"`
	PrimaryContactEmail string            `json:"primaryContactEmail"`
	PrimaryContactPhone string            `json:"primaryContactPhone"`
	ManufactureID       string            `json:"manufactureId"`
	Logo                string            `json:"logo"`
	Authorities         []Authority       `json:"authorities"`
	EcosystemID         int64             `json:"ecosystemId"`
	Parameters          map[string]string `json:"organizationParameters"`
	Status              string            `json:"orgStatus"`
}

// Licenses counts certificates over all authorities.
type Licenses struct {
	Ordered int64 `json:"ordered" need:""`
	Issued  int64 `json:"issued" need:""`
}

// Licenses returns how many certificates were paid for, and how many issued.
func (c *Client) Licenses(ctx context.Context) (Licenses, error) {
	var l Licenses
	err := c.get(ctx, "count the licences", "/api/v1/devices", &l)
	return l, err
}

// Authorities returns what the account may have issued.
func (c *Client) Authorities(ctx context.Context) ([]Authority, error) {
	var list []Authority
	err := c.get(ctx, "list the authorities", "/api/v1/authorities/allowed", &list)
	return list, err
}

// Balance returns how many certificates are left to an authority.
func (c *Client) Balance(ctx context.Context, authority int64) (int64, error) {
	op := fmt.Sprintf("ask for the balance of authority %d", authority)
	got, err := c.call(ctx, request{op: op, method: http.MethodGet, path: fmt.Sprintf("/api/v1/authorities/%d/balanceavailable", authority)})
	if err != nil {
		return 0, err
	}
	var n int64
	if len(got.Body) == 0 || string(got.Body) == "null" {
		// "Nothing" must not be read as "none".
		return 0, got.Wrong(errEmpty)
	}
	err = into(got, &n)
	return n, err
}

// Profiles returns the profiles of the account.
func (c *Client) Profiles(ctx context.Context) ([]Profile, error) {
	var list []Profile
	err := c.get(ctx, "list the profiles", "/api/v1/profiles", &list)
	return list, err
}

// Profile returns more of one.
func (c *Client) Profile(ctx context.Context, id int64) (ProfileDetail, error) {
	var p ProfileDetail
	err := c.get(ctx, fmt.Sprintf("look at profile %d", id), "/api/v1/profiles/"+strconv.FormatInt(id, 10), &p)
	return p, err
}

// ProfileParams returns what a profile takes. An administrator can change that
// at any time.
func (c *Client) ProfileParams(ctx context.Context, id int64) ([]ProfileParam, error) {
	var list []ProfileParam
	err := c.get(ctx, fmt.Sprintf("list the parameters of profile %d", id), "/api/v1/profiles/"+strconv.FormatInt(id, 10)+"/parameters", &list)
	return list, err
}

// Organization returns the tenant of the account.
func (c *Client) Organization(ctx context.Context) (Organization, error) {
	var o Organization
	err := c.get(ctx, "look at the organization", "/api/v1/organizations/user", &o)
	return o, err
}

// Errors of FindAuthority.
var (
	ErrNoAuthority        = errors.New("no authority of the account fits")
	ErrAmbiguousAuthority = errors.New("several authorities of the account fit; name the profile by its number")
)

// FindAuthority picks the authority of a profile, which is named by its number
// (id, unless zero) or by its name with or without the number of its template
// at the end. It never picks "the next best": that would issue under another
// profile or CA.
func FindAuthority(all []Authority, id int64, name string) (Authority, error) {
	var fitting []Authority
	for _, a := range all {
		short, _, _ := strings.Cut(a.ProfileName, "_#")
		if (id == 0 || a.ProfileID == id) && (name == "" || name == a.ProfileName || name == short) {
			fitting = append(fitting, a)
		}
	}
	switch {
	case len(fitting) == 0:
		return Authority{}, fmt.Errorf("sectigo: profile %d %q: %w", id, name, ErrNoAuthority)
	case len(fitting) > 1:
		return Authority{}, fmt.Errorf("sectigo: profile %d %q: %w", id, name, ErrAmbiguousAuthority)
	case !fitting[0].Enabled:
		return Authority{}, fmt.Errorf("sectigo: profile %d %q: authority %d is switched off: %w", id, name, fitting[0].ID, ErrNoAuthority)
	}
	return fitting[0], nil
}
