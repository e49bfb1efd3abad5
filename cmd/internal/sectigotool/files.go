package sectigotool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"acmebridge/backends/sectigo"
	"acmebridge/internal/keyfile"
)

const private = 0o600

// writeFile writes a file that only its owner can read (SK-2), whole or not at
// all. An existing one is replaced only by force. It follows no link that
// somebody has laid there.
func writeFile(path string, content []byte, force bool) (err error) {
	defer func() {
		switch {
		case errors.Is(err, fs.ErrExist):
			err = fmt.Errorf("%s exists; --force overwrites it", path)
		case err != nil:
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	if force {
		return keyfile.Replace(path, private, content)
	}
	err = keyfile.CreateMode(path, private, content)
	if !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	// Some file systems have no links to give a file its name with.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, private)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = os.Remove(path) // what failed before is what matters
	}
	return err
}

// unpack writes members of an archive into a folder. Their names are labels
// already; two of the same name both get written. taken are the names, in small
// letters, that this run has written to the folder; even force spares those.
func unpack(dir string, members []sectigo.Member, force bool, taken map[string]bool) (files []string, err error) {
	for _, m := range members {
		name := m.Name
		// Some file systems take capitals for small letters.
		for n := 1; taken[strings.ToLower(name)]; n++ {
			name = fmt.Sprintf("%s-%d%s", withoutEnd(m.Name), n, filepath.Ext(m.Name))
		}
		taken[strings.ToLower(name)] = true
		path := filepath.Join(dir, name)
		if err := writeFile(path, m.Content, force); err != nil {
			return files, err
		}
		files = append(files, path)
	}
	return files, nil
}

func withoutEnd(name string) string { return strings.TrimSuffix(name, filepath.Ext(name)) }
