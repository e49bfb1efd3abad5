package sectigotest

import (
	"archive/zip"
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"sync"
)

type member struct {
	name    string
	content []byte
}

// zipped writes members as a Java program does: deflated, with sizes behind
// the data.
func zipped(members []member) ([]byte, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range members {
		f, err := w.CreateHeader(&zip.FileHeader{Name: m.name, Method: zip.Deflate})
		if err != nil {
			return nil, err
		}
		if _, err := f.Write(m.content); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}

// archive is what is downloaded of a batch, with what a fault does to it.
func (ca *CA) archive(b *batch, fault string) ([]byte, error) {
	if other := ca.before(b); fault == "zip-swapped" && other != nil {
		b = other
	}
	if b.Archive != nil {
		return broken(b.Archive, fault)
	}
	var members []member
	taken := map[string]int{}
	for _, cert := range b.Issued {
		if cert == nil {
			continue
		}
		leaf, err := x509.ParseCertificate(cert.DER)
		if err != nil {
			return nil, err
		}
		name := cert.CommonName
		if n := taken[name]; n > 0 {
			name = fmt.Sprintf("%s-%d", name, n)
		}
		taken[cert.CommonName]++
		if fault == "zip-twins" {
			twin, err := ca.leaf(ca.profile(b.ProfileID), leaf.Subject, append([]string{"twin.example"}, leaf.DNSNames...), leaf.PublicKey)
			if err != nil {
				return nil, err
			}
			members = append(members, ca.files(name+"-twin", twin)...)
		}
		members = append(members, ca.files(name, leaf)...)
	}
	switch fault {
	case "zip-empty":
		members = nil
	case "zip-missing":
		first := members[:0]
		for _, m := range members {
			if !strings.HasPrefix(m.name, members[0].name[:strings.LastIndexByte(members[0].name, '.')]) {
				first = append(first, m)
			}
		}
		members = first
	case "zip-traversal":
		for i := range members {
			members[i].name = "../../../../etc/" + members[i].name
		}
		members = append(members, member{`..\..\windows\evil.pem`, []byte("nothing")}, member{"/etc/passwd", []byte("nothing")})
	case "zip-bomb":
		return bomb()
	case "zip-nested":
		inner, err := zipped(members)
		if err != nil {
			return nil, err
		}
		members = []member{{"inner.zip", inner}}
	}
	content, err := zipped(members)
	if err != nil {
		return nil, err
	}
	return broken(content, fault)
}

func broken(content []byte, fault string) ([]byte, error) {
	if fault == "zip-truncated" {
		return content[:len(content)*2/3], nil
	}
	return content, nil
}

// bomb inflates to 32 MiB and is small itself. It is always the same, and
// deflating it takes longer than everything else here.
var bomb = sync.OnceValues(func() ([]byte, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create("bomb.pem")
	if err != nil {
		return nil, err
	}
	zeros := make([]byte, 1<<20)
	for range 32 {
		if _, err := f.Write(zeros); err != nil {
			return nil, err
		}
	}
	err = w.Close()
	return b.Bytes(), err
})

// files are those of one certificate, by the layout of the profile.
func (ca *CA) files(name string, leaf *x509.Certificate) []member {
	issuing, root := ca.keys.issuing, ca.keys.root
	switch ca.cfg.Layout {
	case LayoutPEM:
		return []member{{name + ".pem", pems(leaf)}}
	case LayoutPEMReverse:
		return []member{{name + ".pem", pems(root, issuing, leaf)}}
	case LayoutPEMRoot:
		return []member{{name + ".pem", pems(leaf, issuing, root)}}
	case LayoutDER:
		return []member{{name + ".crt", leaf.Raw}, {"IntermediateCA.crt", issuing.Raw}}
	case LayoutPKCS7:
		return []member{{name + ".p7b", bag(leaf, issuing, root)}}
	case LayoutPKCS7PEM:
		return []member{{name + ".p7b", pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: bag(leaf, issuing, root)})}}
	case LayoutAll:
		return []member{
			{name + ".pem", pems(leaf)}, {name + ".crt", leaf.Raw}, {name + ".p7b", bag(leaf, issuing)},
			{name + "-chain.pem", pems(leaf, issuing, root)}, {"README.txt", []byte("Certificates of " + name + "\n")},
		}
	case LayoutFolders:
		return []member{{name + "/", nil}, {name + "/certificate.pem", pems(leaf)}, {name + "/chain.pem", pems(issuing, root)}}
	case LayoutPEMChain:
	}
	return []member{{name + ".pem", pems(leaf, issuing)}}
}

func pems(certs ...*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range certs {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // into memory
	}
	return b.Bytes()
}
