package globalconf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	maxDirectory = 1 << 20
	// maxShared is ten times what the largest instances have.
	maxShared = 64 << 20
)

// versions are those of the format that are asked for, the newest first. A
// source that knows none of them may answer a question that names none.
var versions = []int{6, 5, 4, 3, 2, 0}

// sharedParameters is the identifier of the part.
const sharedParameters = "SHARED-PARAMETERS"

// Download gets the shared parameters of the anchor's instance from the first
// source that has them in order.
func Download(ctx context.Context, client *http.Client, a Anchor, now time.Time) (Shared, error) {
	var failures []error
	for _, s := range a.Sources {
		shared, err := s.download(ctx, client, a.Instance, now)
		if err == nil {
			return shared, nil
		}
		failures = append(failures, fmt.Errorf("%s: %w", s.URL, err))
	}
	return Shared{}, errors.Join(failures...)
}

func (s Source) download(ctx context.Context, client *http.Client, instance string, now time.Time) (Shared, error) {
	parts, base, err := s.directory(ctx, client, now)
	if err != nil {
		return Shared{}, err
	}
	for _, p := range parts {
		if p.identifier != sharedParameters || p.instance != instance {
			continue
		}
		location, err := base.Parse(p.location)
		if err != nil {
			return Shared{}, fmt.Errorf("the shared parameters lie nowhere: %w", err)
		}
		text, _, err := get(ctx, client, location.String(), maxShared)
		if err != nil {
			return Shared{}, err
		}
		h := p.hash.New()
		_, _ = h.Write(text) // a hash takes everything
		if !bytes.Equal(h.Sum(nil), p.digest) {
			return Shared{}, errors.New("the shared parameters are not those whose hash was signed; they may have changed in this moment, so try again")
		}
		shared, err := ParseShared(text)
		if err == nil && shared.Instance != instance {
			return Shared{}, fmt.Errorf("the shared parameters are of instance %s and not of %s", shared.Instance, instance)
		}
		return shared, err
	}
	return Shared{}, fmt.Errorf("the configuration has no shared parameters of instance %s", instance)
}

func (s Source) directory(ctx context.Context, client *http.Client, now time.Time) ([]part, *url.URL, error) {
	base, err := url.Parse(s.URL)
	if err != nil {
		return nil, nil, err
	}
	for _, v := range versions {
		at := *base
		if v > 0 {
			query := at.Query()
			query.Set("version", strconv.Itoa(v))
			at.RawQuery = query.Encode()
		}
		body, contentType, err := get(ctx, client, at.String(), maxDirectory)
		if errors.Is(err, errNotFound) && v > 0 {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		parts, err := readDirectory(contentType, body, s.Certificates, now)
		return parts, base, err
	}
	return nil, nil, errNotFound
}

var errNotFound = errors.New("404 Not Found")

func get(ctx context.Context, client *http.Client, from string, limit int64) (body []byte, contentType string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, "", err
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	switch res.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return nil, "", fmt.Errorf("GET %s: %w", from, errNotFound)
	default:
		return nil, "", fmt.Errorf("GET %s: %s", from, res.Status)
	}
	body, err = io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err != nil {
		return nil, "", err
	}
	if int64(len(body)) > limit {
		return nil, "", fmt.Errorf("GET %s: there is more than %d bytes, which no global configuration has", from, limit)
	}
	return body, res.Header.Get("Content-Type"), nil
}
