package ceremony

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"acmebridge/internal/keyfile"
)

// ErrServed reports an issuer whose lists a server signs.
var ErrServed = errors.New("a server that serves this folder signs the lists of its issuers")

const servedFile = "served"

// MarkServed leaves word that a server signs the lists of issuers: one that is
// made in the folder afterwards would lack whatever was revoked at the server,
// and who fetched it would trust those certificates again.
func (f *Folder) MarkServed() error {
	if f.served() == nil {
		err := keyfile.Create(f.cfg.Dir, servedFile, []byte("A server signs the revocation lists of the issuers in this folder, and knows what was revoked there.\n"))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("ceremony: mark the folder as served: %w", err)
		}
	}
	return nil
}

// served returns ErrServed in a folder that is marked.
func (f *Folder) served() error {
	_, err := os.Stat(f.path(servedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: what is noted with 'ib1 crl revoke' is in its next list; if no server serves the folder any more, and nothing was revoked at one, remove %s", ErrServed, f.path(servedFile))
}
