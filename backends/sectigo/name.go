package sectigo

import (
	"errors"
	"strings"

	"acmebridge/backends"
)

// batchPrefix tells people at the CA what made a batch.
const batchPrefix = "acme-"

// maxServer is how long [BackendConfig.Server] may be, so that names stay below
// MaxBatchName.
const maxServer = 12

// batchName is how a request is found again: the mark of the server, so that
// several can share an account, and the key.
func (b *Backend) batchName(r backends.Request) string {
	key := or(r.Batch, r.Key)
	if b.cfg.Server != "" {
		key = b.cfg.Server + "." + key
	}
	return batchPrefix + key
}

// readName takes the name of a batch apart. ours is false for one that no server
// has given; server is empty in those of servers without a mark.
func readName(name string) (server, key string, ours bool) {
	key, ours = strings.CutPrefix(name, batchPrefix)
	if mark, rest, marked := strings.Cut(key, "."); ours && marked {
		server, key = mark, rest
	}
	return server, key, ours
}

// isNameOf reports whether a batch is that of a request. The mark does not count:
// it may have changed since, and no two servers have the same key.
func isNameOf(name string, r backends.Request) bool {
	_, key, ours := readName(name)
	return ours && key == or(r.Batch, r.Key)
}

// checkServer says what is wrong with the mark of a server.
func checkServer(mark string) error {
	if len(mark) > maxServer || strings.Contains(mark, ".") || CheckBatchName(mark) != nil {
		return errors.New("sectigo: the mark of a server has letters, digits and dashes only, and at most 12 of them")
	}
	return nil
}
