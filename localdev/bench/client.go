package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// client asks a server as anybody does, over HTTP.
type client struct{ url string }

// found is a list of resources, as far as the measures look.
type found struct {
	Data []struct {
		ID    string `json:"id"`
		UUID  string `json:"uuid"`
		State string `json:"state"`
		Token string `json:"token"`
	} `json:"data"`
}

// get asks the server and reads its answer into v.
func (c client) get(ctx context.Context, path string, v any) error {
	return c.ask(ctx, http.MethodGet, path, nil, v)
}

func (c client) ask(ctx context.Context, method, path string, body, v any) error {
	var text io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		text = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, text)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, strings.TrimSpace(string(b)))
	}
	if v == nil {
		return nil
	}
	return json.Unmarshal(b, v)
}

func (c client) count(ctx context.Context, path string) int {
	var f found
	if c.get(ctx, path, &f) != nil {
		return 0
	}
	return len(f.Data)
}

// token returns what a host needs to join.
func (c client) token(ctx context.Context) (string, error) {
	if err := c.ask(ctx, http.MethodPost, "/v1/registrationtokens", map[string]any{}, nil); err != nil {
		return "", err
	}
	var f found
	err := wait(ctx, "a token", 30*time.Second, func() bool {
		return c.get(ctx, "/v1/registrationtokens?state=active", &f) == nil && len(f.Data) > 0 && f.Data[0].Token != ""
	})
	if err != nil {
		return "", err
	}
	return f.Data[0].Token, nil
}

// wait looks every 50 ms until something is so.
func wait(ctx context.Context, what string, limit time.Duration, ok func() bool) error {
	for end := time.Now().Add(limit); !ok(); {
		if time.Now().After(end) {
			return fmt.Errorf("waited %s in vain for %s", limit, what)
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// word is n random bytes as text, for names that nobody else takes.
func word(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}
