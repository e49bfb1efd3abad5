package ocsp_test

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
)

// The messages as encoding/asn1 makes them, independently of how they are read.
type (
	wireRequest struct {
		TBS wireTBS
	}
	wireTBS struct {
		List       []wireEntry
		Extensions []pkix.Extension `asn1:"explicit,tag:2,optional"`
	}
	wireEntry struct {
		ID asn1.RawValue
	}
)

func entries(t testing.TB, der []byte) []wireEntry {
	t.Helper()
	var q wireRequest
	if _, err := asn1.Unmarshal(der, &q); err != nil {
		t.Fatal(err)
	}
	return q.TBS.List
}

func marshal(t testing.TB, q wireRequest) []byte {
	t.Helper()
	der, err := asn1.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// request repeats the entry of one n times, with a nonce unless nil.
func request(t testing.TB, one []byte, n int, nonce []byte) []byte {
	t.Helper()
	var q wireRequest
	for range n {
		q.TBS.List = append(q.TBS.List, entries(t, one)...)
	}
	if nonce != nil {
		value, err := asn1.Marshal(nonce)
		if err != nil {
			t.Fatal(err)
		}
		q.TBS.Extensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}, Value: value}}
	}
	return marshal(t, q)
}

// extended adds n extensions to a request.
func extended(t testing.TB, one []byte, n int, oid asn1.ObjectIdentifier, critical bool, value []byte) []byte {
	t.Helper()
	q := wireRequest{wireTBS{List: entries(t, one)}}
	for range n {
		q.TBS.Extensions = append(q.TBS.Extensions, pkix.Extension{Id: oid, Critical: critical, Value: value})
	}
	return marshal(t, q)
}

// joined asks about all that the requests ask about.
func joined(t testing.TB, all ...[]byte) []byte {
	t.Helper()
	var q wireRequest
	for _, one := range all {
		q.TBS.List = append(q.TBS.List, entries(t, one)...)
	}
	return marshal(t, q)
}
