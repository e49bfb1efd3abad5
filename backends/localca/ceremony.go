package localca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"time"

	"acmebridge/internal/keyfile"
)

const (
	rootCertFile = "root.pem"
	rootKeyFile  = "root.key"
)

func issuerCertFile(number int) string { return fmt.Sprintf("issuer-%d.pem", number) }
func issuerKeyFile(number int) string  { return fmt.Sprintf("issuer-%d.key", number) }

// Init makes a new CA: a root and a first issuing key. It goes on where an
// earlier attempt was cut short, and refuses a folder that holds a CA already.
func Init(cfg Config) error {
	cfg, err := cfg.complete()
	if err != nil {
		return err
	}
	return cfg.folder().init(cfg)
}

// Rotate makes a new issuing key below the same root. New certificates are
// signed by it; the old one stays for the orders that are under way and for
// the revocation list of what it signed. The key of the root must be in its
// place. A CA that is open elsewhere goes on with the old key until it is
// opened again; [CA.Rotate] does both.
func Rotate(cfg Config) error {
	cfg, err := cfg.complete()
	if err != nil {
		return err
	}
	return cfg.folder().rotate(cfg)
}

func (c Config) folder() folder {
	return folder{dir: c.Dir, passphrase: c.Passphrase, random: c.Random, iterations: c.iterations, create: keyfile.Create}
}

func (f folder) init(cfg Config) error {
	made, err := f.begin(cfg)
	if err != nil {
		return fmt.Errorf("localca: make a CA in %s: %w", f.dir, err)
	}
	if !made {
		return fmt.Errorf("localca: %s holds a CA already: rotate it for a new issuing key, or choose another folder for a new CA", f.dir)
	}
	return nil
}

// begin makes what is missing of a CA that never issued anything, and reports
// whether that was anything. What a CA that has issued lost, no start can make
// up for: it is refused with what to do.
func (f folder) begin(cfg Config) (made bool, err error) {
	numbers, err := f.issuers()
	if err != nil {
		return false, err
	}
	haveRoot, err := f.exists(rootCertFile)
	if err != nil {
		return false, err
	}
	haveRootKey, err := f.exists(rootKeyFile)
	if err != nil {
		return false, err
	}
	switch {
	case len(numbers) > 0 && !haveRoot:
		return false, fmt.Errorf("%s is missing while %s is there: restore it from a backup or from where it was published", f.path(rootCertFile), issuerCertFile(numbers[0]))
	case len(numbers) > 0:
		return false, nil
	case haveRoot && !haveRootKey:
		return false, fmt.Errorf("the root has no issuing key yet and %s is not there to make one: put it back", f.path(rootKeyFile))
	}
	if err := f.prepare(); err != nil {
		return false, err
	}
	if !haveRoot {
		if err := f.makeRoot(cfg); err != nil {
			return false, fmt.Errorf("make the root: %w", err)
		}
	}
	if err := f.makeIssuer(cfg, 1); err != nil {
		return false, fmt.Errorf("make the issuing key: %w", err)
	}
	return true, nil
}

func (f folder) rotate(cfg Config) error {
	numbers, err := f.issuers()
	if err == nil && len(numbers) == 0 {
		err = errors.New("there is no CA yet: make one with init")
	}
	if err == nil {
		err = f.prepare()
	}
	if err == nil {
		err = f.makeIssuer(cfg, numbers[len(numbers)-1]+1)
	}
	if err != nil {
		return fmt.Errorf("localca: rotate the CA in %s: %w", f.dir, err)
	}
	return nil
}

// keyFor returns the key in the file, or makes one. A key without a
// certificate is what a crash left between the two; nothing was signed with
// it, so it serves as well as a new one.
func (f folder) keyFor(name string, t KeyType) (*ecdsa.PrivateKey, error) {
	have, err := f.exists(name)
	if err != nil {
		return nil, err
	}
	if have {
		key, _, err := f.readKey(name)
		return key, err
	}
	curve := elliptic.P256()
	if t == P384 {
		curve = elliptic.P384()
	}
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		return nil, err
	}
	return key, f.writeKey(name, key)
}

func (f folder) makeRoot(cfg Config) error {
	key, err := f.keyFor(rootKeyFile, cfg.RootKeyType)
	if err != nil {
		return err
	}
	now := cfg.Now()
	template, err := authorityTemplate(cfg, key, now, now.Add(cfg.RootValidity))
	if err != nil {
		return err
	}
	name := cfg.RootName
	if name == "" {
		name = fmt.Sprintf("%s root CA %x", cfg.Name, template.SubjectKeyId[:4])
	}
	template.Subject = cfg.name(name)
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	return f.writeCertificate(rootCertFile, der)
}

func (f folder) makeIssuer(cfg Config, number int) error {
	root, err := f.readRoot(cfg.Now())
	if err != nil {
		return err
	}
	rootKey, _, err := f.readKey(rootKeyFile)
	if err != nil {
		return fmt.Errorf("the key of the root is needed for a new issuing key: %w", err)
	}
	if !rootKey.PublicKey.Equal(root.PublicKey) {
		return fmt.Errorf("%s is not the key of %s: restore both from one backup", f.path(rootKeyFile), f.path(rootCertFile))
	}
	now := cfg.Now()
	end := now.Add(cfg.IssuerValidity)
	if end.After(root.NotAfter) {
		end = root.NotAfter
	}
	if end.Sub(now) <= cfg.LeafValidity {
		return fmt.Errorf("the root ends on %s, which is too soon for certificates of %s below it: make a new CA in another folder and hand out its root", root.NotAfter.Format(time.DateOnly), cfg.LeafValidity)
	}
	key, err := f.keyFor(issuerKeyFile(number), cfg.KeyType)
	if err != nil {
		return err
	}
	template, err := authorityTemplate(cfg, key, now, end)
	if err != nil {
		return err
	}
	template.MaxPathLenZero = true
	// Rounded up, because certificates count whole seconds: an order of the
	// second in which this happens has the old issuer before and after it.
	if begin := now.Add(-cfg.Backdate).UTC(); template.NotBefore.Before(begin) {
		template.NotBefore = template.NotBefore.Add(time.Second)
	}
	name := cfg.IssuerName
	switch {
	case name == "":
		name = fmt.Sprintf("%s issuing CA %x", cfg.Name, template.SubjectKeyId[:4])
	case number > 1:
		// Another key under the same name would be legal and confusing.
		name = fmt.Sprintf("%s %d", name, number)
	}
	template.Subject = cfg.name(name)
	if cfg.PublicURL != "" {
		template.IssuingCertificateURL = []string{cfg.PublicURL + "/" + cfg.rootPath()}
	}
	der, err := x509.CreateCertificate(nil, template, root, key.Public(), rootKey)
	if err != nil {
		return err
	}
	return f.writeCertificate(issuerCertFile(number), der)
}

func (c Config) name(common string) pkix.Name {
	n := pkix.Name{CommonName: common, Organization: []string{c.Organization}}
	if c.Country != "" {
		n.Country = []string{c.Country}
	}
	return n
}

// authorityTemplate is what root and issuers have in common. They are
// backdated as much as leaves are, so that the first leaf of a new issuer does
// not begin before it.
func authorityTemplate(cfg Config, key *ecdsa.PrivateKey, now, end time.Time) (*x509.Certificate, error) {
	serial, err := randomSerial(cfg.Random)
	if err != nil {
		return nil, err
	}
	id, err := keyID(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber:          serial,
		NotBefore:             now.Add(-cfg.Backdate).UTC().Truncate(time.Second),
		NotAfter:              end.UTC().Truncate(time.Second),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		SubjectKeyId:          id,
	}, nil
}

// randomSerial has 127 random bits and is positive in 16 octets.
func randomSerial(random io.Reader) (*big.Int, error) {
	var b [16]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return nil, fmt.Errorf("read randomness for a serial number: %w", err)
	}
	b[0] &= 0x7f
	if b == ([16]byte{}) {
		b[15] = 1 // zero is no serial number
	}
	return new(big.Int).SetBytes(b[:]), nil
}

// keyID is the key identifier of RFC 7093, section 2, method 1: the first 160
// bits of the SHA-256 of the key's bits.
func keyID(key *ecdsa.PublicKey) ([]byte, error) {
	point, err := key.Bytes()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(point)
	return sum[:20], nil
}
