package sectigotool

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"acmebridge/backends/sectigo"
	"acmebridge/internal/secret"
)

// accountPassword is the password of the account, empty when nobody gave one.
func (t *tool) accountPassword() (secret.Secret, error) {
	if t.account.password != "" {
		t.note("note: a password on the command line can be read by every user of this machine; use --password-file, $SECTIGO_PASSWORD or the prompt")
		return secret.New([]byte(t.account.password)), nil
	}
	return t.password(t.account.passwordFile, "SECTIGO_PASSWORD")
}

// password comes from a file or, when none is named, from the variable or the
// one with _FILE behind its name.
func (t *tool) password(file, variable string) (secret.Secret, error) {
	if file == "" {
		value, err := t.setting("", variable)
		if err != nil || value != "" {
			return secret.New([]byte(value)), err
		}
		if file, err = t.setting("", variable+"_FILE"); err != nil || file == "" {
			return secret.Secret{}, err
		}
	}
	if file == "-" {
		line, err := readLine(t.Stdin)
		if err != nil {
			return secret.Secret{}, fmt.Errorf("read the password from standard input: %w", err)
		}
		return secret.New([]byte(line)), nil
	}
	return secret.FromFile(file)
}

// readLine reads one line octet by octet, so that what follows is left to
// whoever reads next.
func readLine(r io.Reader) (string, error) {
	const longest = 4096
	var line []byte
	for one := make([]byte, 1); len(line) < longest; {
		n, err := r.Read(one)
		switch {
		case n == 1 && one[0] == '\n', errors.Is(err, io.EOF) && len(line) > 0:
			return strings.TrimSuffix(string(line), "\r"), nil
		case err != nil:
			return "", err
		case n == 1:
			line = append(line, one[0])
		}
	}
	return "", fmt.Errorf("the line has more than %d octets", longest)
}

// terminal reports whether there is a person to ask.
func (t *tool) terminal() bool {
	f, ok := t.Stdin.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// ask asks for what the login lacks.
func (t *tool) ask(ctx context.Context, cfg *sectigo.Config) error {
	if !t.terminal() {
		return sectigo.ErrNoCredentials
	}
	if cfg.Username == "" {
		fmt.Fprintf(t.Stderr, "Username at %s: ", cfg.URL)
		line, err := readLine(t.Stdin)
		if err != nil {
			return fmt.Errorf("ask for the username: %w", err)
		}
		cfg.Username = strings.TrimSpace(line)
	}
	password, err := t.askSecret(ctx, fmt.Sprintf("Password of %s at %s: ", show(cfg.Username), cfg.URL))
	cfg.Password = password
	return err
}

// askSecret asks without showing what is typed.
func (t *tool) askSecret(ctx context.Context, question string) (secret.Secret, error) {
	f, ok := t.Stdin.(*os.File)
	if !ok {
		return secret.Secret{}, errors.New("there is no terminal to ask for the password on")
	}
	if err := ctx.Err(); err != nil {
		return secret.Secret{}, err
	}
	fd := int(f.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return secret.Secret{}, fmt.Errorf("ask for the password: %w", err)
	}
	fmt.Fprint(t.Stderr, question)
	type answer struct {
		typed []byte
		err   error
	}
	// Reading cannot be interrupted. After Ctrl-C the terminal must show again
	// what is typed, and the program ends, and the reading with it.
	answers := make(chan answer, 1)
	go func() {
		typed, err := term.ReadPassword(fd)
		answers <- answer{typed, err}
	}()
	var got answer
	select {
	case got = <-answers:
	case <-ctx.Done():
		got.err = errors.Join(ctx.Err(), term.Restore(fd, before))
	}
	fmt.Fprintln(t.Stderr)
	if got.err != nil {
		return secret.Secret{}, fmt.Errorf("ask for the password: %w", got.err)
	}
	if len(got.typed) == 0 {
		return secret.Secret{}, errors.New("no password was typed")
	}
	return secret.New(got.typed), nil
}

// newPassword makes one that a person can copy and nobody can guess: 24 of 57
// characters that are not taken for one another.
func newPassword() secret.Secret {
	const alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
	const length, fair = 24, 256 / len(alphabet) * len(alphabet)
	password := make([]byte, 0, length)
	for b := make([]byte, 1); len(password) < length; {
		rand.Read(b) // never fails
		if int(b[0]) < fair {
			password = append(password, alphabet[int(b[0])%len(alphabet)])
		}
	}
	return secret.New(password)
}
