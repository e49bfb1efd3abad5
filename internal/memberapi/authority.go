package memberapi

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"encoding/pem"
	"fmt"
	"net/http"
	"path"
	"strings"

	"acmebridge/acme"
)

//go:embed openapi.json
var description []byte

// describe sends the description of the API.
func (a *API) describe(q *request) error {
	q.w.Header().Set("Cache-Control", "public, max-age=300")
	q.send(http.StatusOK, "application/json", bytes.ReplaceAll(description, []byte("https://acme.example.org/member-api"), []byte(a.url(""))))
	return nil
}

// me tells who asks, and what for.
func (a *API) me(q *request) error {
	m, err := q.delegate.Record(q.ctx())
	if err != nil {
		return err
	}
	type application struct {
		URL    string         `json:"url"`
		Name   string         `json:"name,omitempty"`
		Roles  []string       `json:"roles"`
		Types  []acme.IB1Tree `json:"types"`
		Handle string         `json:"handle,omitempty"`
	}
	v := struct {
		Member       string            `json:"member"`
		Name         string            `json:"name,omitempty"`
		Status       string            `json:"status"`
		As           string            `json:"as"`
		Scopes       []acme.TokenScope `json:"scopes"`
		Identifiers  []string          `json:"identifiers,omitempty"`
		Applications []application     `json:"applications,omitempty"`
	}{Member: string(m.ID), Name: m.Name, Status: string(m.Status), As: q.delegate.Who(), Scopes: q.delegate.Scopes(), Identifiers: m.Identifiers}
	for _, x := range m.Applications {
		roles := append([]string{}, m.RolesOf(x)...) // a list, also when the member has lost them all
		v.Applications = append(v.Applications, application{x.URL, x.Name, roles, x.Trees, x.Handle})
	}
	return q.json(http.StatusOK, v)
}

// authority sends the CA certificates of a kind of certificate, or of a profile:
// all of them in PEM, root first, or as an archive of files.
func (a *API) authority(q *request) error {
	file := q.r.PathValue("file")
	extension := path.Ext(file) // profiles may have dots in their names
	kind := strings.TrimSuffix(file, extension)
	profile, ok := a.profileOf(acme.IB1Tree(kind))
	if !ok {
		profile = acme.ProfileName(kind)
	}
	roots, intermediates, err := a.cfg.Engine.CAOf(profile)
	if err != nil {
		return err
	}
	files := []caFile{
		{"root-ca.pem", encode(roots)},
		{"intermediate.pem", encode(intermediates)},
		{"bundle.pem", append(encode(roots), encode(intermediates)...)},
	}
	q.w.Header().Set("Cache-Control", "public, max-age=300")
	switch extension {
	case ".pem":
		q.attach("directory-" + kind + "-certificates.pem")
		q.send(http.StatusOK, "application/pem-certificate-chain", files[2].content)
	case ".zip":
		body, err := archive(files)
		if err != nil {
			return err
		}
		q.attach("directory-" + kind + "-certificates.zip")
		q.send(http.StatusOK, "application/zip", body)
	default:
		return acme.NotFound()
	}
	return nil
}

type caFile struct {
	name    string
	content []byte
}

func encode(ders [][]byte) (all []byte) {
	for _, der := range ders {
		all = append(all, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return all
}

func archive(files []caFile) ([]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range files {
		w, err := z.Create(f.name)
		if err == nil {
			_, err = w.Write(f.content)
		}
		if err != nil {
			return nil, fmt.Errorf("memberapi: pack %s: %w", f.name, err)
		}
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("memberapi: pack CA certificates: %w", err)
	}
	return b.Bytes(), nil
}
