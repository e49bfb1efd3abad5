package server

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"acmebridge/acme"
)

// directoryObject builds the directory from the table of routes: what has no
// row is not advertised (RFC 8555, 7.1.1).
func (st *site) directoryObject() ([]byte, error) {
	object := map[string]any{}
	for _, row := range routes {
		if row.entry != "" && st.has(row) { // R8555-7.1.1-2
			path, _, _ := strings.Cut(row.path, "/{")
			object[row.entry] = st.url(path)
		}
	}
	meta := map[string]any{}
	if st.directory.TermsOfService != "" {
		meta["termsOfService"] = st.directory.TermsOfService
	}
	if st.directory.Website != "" {
		meta["website"] = st.directory.Website
	}
	// R8555-7.1.1-5: if and only if every newAccount needs a binding.
	if st.directory.ExternalAccount == acme.ExternalAccountMandatory {
		meta["externalAccountRequired"] = true
	}
	profiles := map[string]string{}
	for _, name := range st.directory.Profiles {
		p, _ := st.cfg.Engine.Profile(name)
		profiles[string(name)] = p.Description
		if p.Description == "" {
			profiles[string(name)] = string(name)
		}
	}
	meta["profiles"] = profiles
	maps.Copy(meta, st.issuerNames())
	object["meta"] = meta
	return json.MarshalIndent(object, "", "  ")
}

// issuerNames are what the directory says about the names of its CAs in DNS
// records: caaIdentities where a profile looks at CAA records, byte for byte as
// they are matched (R8555-7.1.1-4), and what revision 02 of dns-persist-01 has
// where a profile offers that.
func (st *site) issuerNames() map[string]any {
	var all, common []string
	caa, persist := false, false
	for _, name := range st.directory.Profiles {
		p, _ := st.cfg.Engine.Profile(name)
		offers := slices.Contains(p.Challenges, acme.DNSPersist01)
		if !p.CAA && !offers {
			continue
		}
		caa = caa || p.CAA
		if offers {
			if !persist {
				common = p.IssuerDomainNames
			}
			persist = true
			// Every challenge has to offer what the directory does, so this is
			// what all profiles have.
			common = slices.DeleteFunc(slices.Clone(common), func(n string) bool { return !slices.Contains(p.IssuerDomainNames, n) })
		}
		// Clients want the names of a challenge among caaIdentities, if there
		// are any.
		for _, id := range p.IssuerDomainNames {
			if !slices.Contains(all, id) {
				all = append(all, id)
			}
		}
	}
	meta := map[string]any{}
	if caa {
		meta["caaIdentities"] = all
	}
	if persist && st.cfg.AccountHashPrefix != "" {
		meta["accountHashPrefix"] = st.cfg.AccountHashPrefix
		if len(common) > 0 {
			meta["issuerDomainNames"] = common
		}
	}
	return meta
}

func (st *site) showDirectory(rq *request) error {
	if rq.r.Method == http.MethodPost {
		if p := rq.read(); p != nil { // R8555-6.3-3
			return p
		}
	}
	h := rq.w.Header()
	h.Del("Link") // R8555-7.1-2: on every resource but this one
	// acme4j fetches it again before every single request unless it may keep it
	// for a while. private, because of the nonce.
	h.Set("Cache-Control", "private, max-age=300")
	h.Set("Replay-Nonce", st.cfg.Nonces.Issue()) // acme.sh looks for one here (C-SH-4)
	rq.send(http.StatusOK, "application/json", st.object)
	return nil
}

// newNonce hands out a nonce (RFC 8555, 7.2). The header is set before the
// status is written, or it would not be sent (R8555-7.2-3).
func (st *site) newNonce(rq *request) error {
	status := http.StatusOK // HEAD and POST-as-GET
	switch rq.r.Method {
	case http.MethodPost:
		if p := rq.read(); p != nil {
			return p
		}
	case http.MethodGet:
		status = http.StatusNoContent
		rq.w.Header().Set("Replay-Nonce", st.cfg.Nonces.Issue())
	default:
		rq.w.Header().Set("Replay-Nonce", st.cfg.Nonces.Issue())
	}
	rq.w.WriteHeader(status)
	return nil
}
