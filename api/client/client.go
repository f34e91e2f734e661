// Package client is the Go client of /v1. It finds everything by the schemas and links
// that the server publishes, as the clients in other languages do.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// DefaultURL is where a server on this machine is found.
const DefaultURL = "http://localhost:8080/v1"

// How often and how long apart what may pass is tried again.
const (
	tries      = 3
	shortPause = 100 * time.Millisecond
	mostPause  = 10 * time.Second // whatever the server asks for
)

// largest is the most that an answer may hold, in bytes.
const largest = 256 << 20

// Config says which server to ask, and as whom.
type Config struct {
	URL                  string // of /v1 or of a collection below it; DefaultURL if empty
	AccessKey, SecretKey string // of an API key; none if empty
	HTTP                 *http.Client
}

// Client asks one server as one caller. Any number of goroutines may share it.
type Client struct {
	config  Config
	mu      sync.Mutex
	schemas map[string]*Schema // by type, once they were read
}

// New returns a client. It asks nothing yet.
func New(c Config) (*Client, error) {
	if c.URL == "" {
		c.URL = DefaultURL
	}
	if u, err := url.Parse(c.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%q is no address of a server: it begins with http:// or https://", c.URL)
	}
	if c.HTTP == nil {
		c.HTTP = &http.Client{Timeout: time.Minute}
	}
	return &Client{config: c}, nil
}

// Resource is what every resource has.
type Resource struct {
	ID      string            `json:"id,omitempty"`
	Type    string            `json:"type,omitempty"`
	Links   map[string]string `json:"links,omitempty"`
	Actions map[string]string `json:"actions,omitempty"`
}

// Common returns what r has in common with other resources.
func (r *Resource) Common() *Resource { return r }

// Error is a refusal by the server, in the shape of the contract.
type Error struct {
	ID        string `json:"id"` // names it in the log of the server
	Status    int    `json:"status"`
	Code      string `json:"code"`
	Message   string `json:"message"`
	Detail    string `json:"detail"`
	FieldName string `json:"fieldName"`
}

func (e *Error) Error() string {
	text := fmt.Sprintf("%d %s", e.Status, e.Code)
	if e.FieldName != "" {
		text += ": " + e.FieldName
	}
	for _, more := range []string{e.Message, e.Detail} {
		if more != "" && more != e.Code {
			text += ": " + more
		}
	}
	return text
}

// IsNotFound tells whether an error is the server's word that there is no such thing.
func IsNotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}

// Do sends a request and reads the answer into out, which may be nil. The body is
// written as JSON; nil sends none. What is refused is an *Error. Reads are tried again
// when the server asks for patience, changes of what is busy as well.
func (c *Client) Do(ctx context.Context, method, address string, body, out any) error {
	_, err := c.do(ctx, method, address, body, out)
	return err
}

func (c *Client) do(ctx context.Context, method, address string, body, out any) (http.Header, error) {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return nil, fmt.Errorf("cannot write the request: %w", err)
		}
	}
	for try := 1; ; try++ {
		header, err := c.once(ctx, method, address, text, out)
		wait := again(method, address, header, err)
		if wait == 0 || try == tries {
			return header, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait):
		}
	}
}

// again tells how long to wait before a request is sent once more, 0 for never.
func again(method, address string, header http.Header, err error) time.Duration {
	var e *Error
	if !errors.As(err, &e) {
		return 0
	}
	change := method == http.MethodPut || method == http.MethodPost && strings.Contains(address, "action=")
	switch {
	case e.Status == http.StatusConflict && change:
		return shortPause
	case (e.Status == http.StatusTooManyRequests || e.Status == http.StatusServiceUnavailable) && method == http.MethodGet:
		if seconds, err := strconv.Atoi(header.Get("Retry-After")); err == nil && seconds > 0 {
			return min(time.Duration(seconds)*time.Second, mostPause)
		}
		return shortPause
	}
	return 0
}

func (c *Client) once(ctx context.Context, method, address string, text []byte, out any) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if text != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.config.AccessKey != "" {
		req.SetBasicAuth(c.config.AccessKey, c.config.SecretKey)
	}
	resp, err := c.config.HTTP.Do(req)
	if err != nil {
		return nil, fmt.Errorf("cannot reach the server: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, largest))
	if err != nil {
		return nil, fmt.Errorf("cannot read the answer: %w", err)
	}
	if resp.StatusCode >= 300 {
		e := &Error{}
		if json.Unmarshal(answer, e) != nil || e.Status == 0 { // not the server's own word
			e = &Error{Status: resp.StatusCode, Code: http.StatusText(resp.StatusCode)}
		}
		return resp.Header, e
	}
	if out == nil || len(answer) == 0 {
		return resp.Header, nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return nil, fmt.Errorf("cannot read the answer to %s %s: %w", method, address, err)
	}
	return resp.Header, nil
}
