package admin

import (
	"context"
	"net/http"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/storage"
)

// Application is what the registry says of an application of a member.
type Application struct {
	URL   string   `json:"url" yaml:"url"`
	Name  string   `json:"name,omitempty" yaml:"name"`
	Roles []string `json:"roles" yaml:"roles"`
	// Certificates are the kinds that it may have: client, signing, server.
	Certificates []string `json:"certificates" yaml:"certificates"`
	Handle       string   `json:"handle,omitempty" yaml:"handle"`
	// Member, Version and Holds are only in answers. Holds are the roles that its
	// member has as well, which are those that certificates name.
	Member  string   `json:"member,omitempty" yaml:"-"`
	Version int      `json:"version,omitempty" yaml:"-"`
	Holds   []string `json:"holds,omitempty" yaml:"-"`
}

// RemoveApplication is the body of a request to take an application from a member.
type RemoveApplication struct {
	URL string `json:"url"`
}

func (h *handler) mountApplications(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/applications", h.answer(func(r *http.Request) (any, error) {
		// Pages are of members, each with all that it has.
		return page(r, func(ctx context.Context, p storage.Page) ([]acme.Member, string, error) {
			return h.Operator.Members(ctx, p)
		}, func(m acme.Member) []Application {
			return viewMember(m).Applications
		})
	}))
	mux.HandleFunc("POST "+applicationUploads, h.answer(h.importApplications))
	mux.HandleFunc("POST /v1/members/{id}/applications", h.answer(func(r *http.Request) (any, error) {
		body, err := read[Application](r)
		if err != nil {
			return nil, err
		}
		m, err := h.Operator.PutApplication(r.Context(), acme.MemberID(r.PathValue("id")), body.application())
		if err != nil {
			return nil, err
		}
		a, _ := m.Application(body.URL)
		return viewApplication(m, a), nil
	}))
	mux.HandleFunc("POST /v1/members/{id}/applications/remove", h.answer(func(r *http.Request) (any, error) {
		body, err := read[RemoveApplication](r)
		if err != nil {
			return nil, err
		}
		m, err := h.Operator.RemoveApplication(r.Context(), acme.MemberID(r.PathValue("id")), body.URL)
		return viewMember(m), err
	}))
}

// applicationUploads is a path that may carry more than others.
const applicationUploads = "/v1/application-import"

// MemberApplication is an entry of a list of applications to import.
type MemberApplication struct {
	Member       string   `json:"member" yaml:"member"`
	URL          string   `json:"url" yaml:"url"`
	Name         string   `json:"name,omitempty" yaml:"name"`
	Roles        []string `json:"roles" yaml:"roles"`
	Certificates []string `json:"certificates" yaml:"certificates"`
	Handle       string   `json:"handle,omitempty" yaml:"handle"`
}

func (h *handler) importApplications(r *http.Request) (any, error) {
	body, err := read[[]MemberApplication](r)
	if err != nil {
		return nil, err
	}
	list := make([]engine.ApplicationOf, len(body))
	for i, x := range body {
		a := Application{URL: x.URL, Name: x.Name, Roles: x.Roles, Certificates: x.Certificates, Handle: x.Handle}
		list[i] = engine.ApplicationOf{Member: acme.MemberID(x.Member), Application: a.application()}
	}
	mode, err := importMode(r)
	if err != nil {
		return nil, err
	}
	done, err := h.Operator.ImportApplications(r.Context(), list, mode)
	return Import{Created: texts(done.Created), Changed: texts(done.Changed), Unchanged: texts(done.Unchanged), Removed: []string{}, Narrowed: texts(done.Narrowed)}, err
}

func (a Application) application() acme.Application {
	x := acme.Application{URL: a.URL, Name: a.Name, Roles: a.Roles, Handle: a.Handle}
	for _, kind := range a.Certificates {
		x.Trees = append(x.Trees, acme.IB1Tree(kind))
	}
	return x
}

func viewApplication(m acme.Member, a acme.Application) Application {
	return Application{
		URL: a.URL, Name: a.Name, Roles: a.Roles, Certificates: texts(a.Trees), Handle: a.Handle,
		Member: string(m.ID), Version: a.Version, Holds: m.RolesOf(a),
	}
}
