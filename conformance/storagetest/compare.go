package storagetest

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/storage"
)

func isNotFound(err error) bool { return errors.Is(err, storage.ErrNotFound) }

// same fails the test unless two values are equal as records are: times by
// Equal and in UTC, an empty slice like none.
func same[V any](t *testing.T, what string, got, want V) {
	t.Helper()
	if d := difference(reflect.ValueOf(&got).Elem(), reflect.ValueOf(&want).Elem()); d != "" {
		t.Errorf("%s%s", what, d)
	}
}

var timeType = reflect.TypeFor[time.Time]()

// difference says where two values differ and how: ".Problem.Detail is a,
// want b". The path is put together on the way back, since most are equal.
func difference(got, want reflect.Value) string {
	switch want.Kind() {
	case reflect.Pointer:
		if got.IsNil() || want.IsNil() {
			if got.IsNil() != want.IsNil() {
				return fmt.Sprintf(" is %v, want %v", got, want)
			}
			return ""
		}
		return difference(got.Elem(), want.Elem())
	case reflect.Slice:
		if got.Len() != want.Len() {
			return fmt.Sprintf(" has %d elements, want %d:\n got %s\nwant %s", got.Len(), want.Len(), brief(got), brief(want))
		}
		if want.Type().Elem().Kind() == reflect.Uint8 && bytes.Equal(got.Bytes(), want.Bytes()) {
			return ""
		}
		for i := range want.Len() {
			if d := difference(got.Index(i), want.Index(i)); d != "" {
				return fmt.Sprintf("[%d]%s", i, d)
			}
		}
		return ""
	case reflect.Map:
		if got.Len() != want.Len() {
			return fmt.Sprintf(" is %v, want %v", got, want)
		}
		for _, k := range want.MapKeys() {
			g := got.MapIndex(k)
			if !g.IsValid() {
				return fmt.Sprintf("[%v] is missing", k)
			}
			if d := difference(g, want.MapIndex(k)); d != "" {
				return fmt.Sprintf("[%v]%s", k, d)
			}
		}
		return ""
	case reflect.Struct:
		if want.Type() == timeType {
			return timeDifference(got.Interface().(time.Time), want.Interface().(time.Time))
		}
		for i := range want.NumField() {
			if d := difference(got.Field(i), want.Field(i)); d != "" {
				return "." + want.Type().Field(i).Name + d
			}
		}
		return ""
	}
	if !got.Equal(want) {
		return fmt.Sprintf(" is %v, want %v", got, want)
	}
	return ""
}

func timeDifference(got, want time.Time) string {
	switch {
	case !got.Equal(want):
		return fmt.Sprintf(" is %s, want %s", got.Format(time.RFC3339Nano), want.Format(time.RFC3339Nano))
	case !got.IsZero() && got.Location() != time.UTC:
		return fmt.Sprintf(" came back in %s, want UTC", got.Location())
	}
	return ""
}

// brief shows the ids of records, or whatever a slice holds.
func brief(v reflect.Value) string {
	var parts []string
	for i := range v.Len() {
		e := v.Index(i)
		if e.Kind() == reflect.Struct {
			e = e.Field(0)
		}
		parts = append(parts, fmt.Sprint(e))
	}
	return strings.Join(parts, " ")
}

// putAll stores records of whatever table.
func putAll(tx storage.Tx, records ...any) error {
	for _, r := range records {
		var err error
		switch r := r.(type) {
		case acme.Account:
			err = tx.Accounts().Put(r)
		case acme.Order:
			err = tx.Orders().Put(r)
		case acme.Authorization:
			err = tx.Authorizations().Put(r)
		case storage.Job:
			err = tx.Jobs().Put(r)
		case storage.Submission:
			err = tx.Submissions().Put(r)
		case acme.Certificate:
			err = tx.Certificates().Put(r)
		case acme.Chain:
			err = tx.Certificates().PutChain(r)
		case acme.ExternalAccountKey:
			err = tx.ExternalKeys().Put(r)
		case acme.Member:
			err = tx.Members().Put(r)
		case storage.BlockedKey:
			err = tx.BlockedKeys().Put(r)
		case storage.Publication:
			err = tx.Publications().Put(r)
		default:
			err = fmt.Errorf("storagetest: no table for a %T", r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pages goes through a list in pages of limit and returns all of it. It fails
// on a page that is not full although another follows, and on an empty one.
func pages[R any](limit int, list func(storage.Page) ([]R, string, error)) ([]R, error) {
	var all []R
	for p := (storage.Page{Limit: limit}); ; {
		found, next, err := list(p)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
		switch {
		case next == "":
			if len(found) > p.Size() {
				return nil, fmt.Errorf("the last page has %d records, more than %d", len(found), p.Size())
			}
			return all, nil
		case len(found) != p.Size():
			return nil, fmt.Errorf("a page of %d has %d records although another follows", p.Size(), len(found))
		case next == p.After:
			return nil, fmt.Errorf("the key to go on with, %q, leads nowhere", next)
		}
		p.After = next
	}
}
