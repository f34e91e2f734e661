package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// Collection is all resources of a type, which T is the struct of.
type Collection[T any] struct {
	c   *Client
	typ string
}

// Of returns the collection of a type by its name, for types without a struct of their
// own: T may be a map[string]any.
func Of[T any](c *Client, typ string) Collection[T] { return Collection[T]{c, typ} }

// Get reads one resource by its id. IsNotFound tells if there is none.
func (l Collection[T]) Get(ctx context.Context, id string) (*T, error) {
	if id == "" {
		return nil, fmt.Errorf("cannot get a %s without an id", l.typ)
	}
	at, err := l.c.collection(ctx, l.typ)
	if err != nil {
		return nil, err
	}
	return l.ask(ctx, http.MethodGet, at+"/"+url.PathEscape(id), nil)
}

// List reads the resources that fit, a page at a time. The query takes what the schema
// offers: filters such as name or name_like, sort, order, limit (of a page), include.
func (l Collection[T]) List(ctx context.Context, query url.Values) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		at, err := l.c.collection(ctx, l.typ)
		if err != nil {
			yield(nil, err)
			return
		}
		if len(query) > 0 {
			at += "?" + query.Encode()
		}
		Follow[T](ctx, l.c, at)(yield)
	}
}

// All is List into a slice.
func (l Collection[T]) All(ctx context.Context, query url.Values) ([]*T, error) {
	var all []*T
	for one, err := range l.List(ctx, query) {
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// Create makes a resource; it may still be transitioning then.
func (l Collection[T]) Create(ctx context.Context, made T) (*T, error) {
	at, err := l.c.collection(ctx, l.typ)
	if err != nil {
		return nil, err
	}
	return l.ask(ctx, http.MethodPost, at, made)
}

// Update changes what is set in changes.
func (l Collection[T]) Update(ctx context.Context, of *T, changes any) (*T, error) {
	self, err := link(of, "self")
	if err != nil {
		return nil, err
	}
	return l.ask(ctx, http.MethodPut, self, changes)
}

// Remove removes a resource.
func (l Collection[T]) Remove(ctx context.Context, of *T) (*T, error) {
	self, err := link(of, "self")
	if err != nil {
		return nil, err
	}
	return l.ask(ctx, http.MethodDelete, self, nil)
}

// Act starts an action that the resource offers, with its input or nil. The answer is
// the resource as it is then.
func (l Collection[T]) Act(ctx context.Context, of *T, action string, input any) (*T, error) {
	c := common(of)
	if c == nil || c.Actions[action] == "" {
		return nil, fmt.Errorf("%s does not offer %s now", name(c), action)
	}
	if input == nil {
		input = struct{}{}
	}
	return l.ask(ctx, http.MethodPost, c.Actions[action], input)
}

// Reload reads a resource again.
func (l Collection[T]) Reload(ctx context.Context, of *T) (*T, error) {
	self, err := link(of, "self")
	if err != nil {
		return nil, err
	}
	return l.ask(ctx, http.MethodGet, self, nil)
}

func (l Collection[T]) ask(ctx context.Context, method, at string, body any) (*T, error) {
	out := new(T)
	if err := l.c.Do(ctx, method, at, body, out); err != nil {
		return nil, err
	}
	return out, nil
}

// How long apart Wait looks.
const (
	firstLook = 10 * time.Millisecond
	lastLook  = 2 * time.Second
)

// TransitionError says that what was under way has failed.
type TransitionError struct{ Resource, Message string }

func (e *TransitionError) Error() string { return e.Resource + ": " + e.Message }

// Wait reads a resource until nothing is under way with it, or ctx ends, and returns it
// as it is then. What has failed is a *TransitionError.
func (l Collection[T]) Wait(ctx context.Context, of *T) (*T, error) {
	self, err := link(of, "self")
	if err != nil {
		return nil, err
	}
	for wait := firstLook; ; wait = min(2*wait, lastLook) {
		var read json.RawMessage
		if err := l.c.Do(ctx, http.MethodGet, self, nil, &read); err != nil {
			return nil, err
		}
		var state struct {
			Transitioning string `json:"transitioning"`
			Message       string `json:"transitioningMessage"`
		}
		now := new(T)
		if err := errors.Join(json.Unmarshal(read, &state), json.Unmarshal(read, now)); err != nil {
			return nil, err
		}
		switch state.Transitioning {
		case "yes":
		case "error":
			return now, &TransitionError{name(common(of)), state.Message}
		default:
			return now, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s is still transitioning: %s: %w", name(common(of)), state.Message, ctx.Err())
		case <-time.After(wait):
		}
	}
}

// Follow reads what a link leads to: the resources of a list, page by page.
func Follow[T any](ctx context.Context, c *Client, address string) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		for address != "" {
			var page struct {
				Data       []*T `json:"data"`
				Pagination *struct {
					Next *string `json:"next"`
				} `json:"pagination"`
			}
			if err := c.Do(ctx, http.MethodGet, address, nil, &page); err != nil {
				yield(nil, err)
				return
			}
			for _, one := range page.Data {
				if !yield(one, nil) {
					return
				}
			}
			address = ""
			if page.Pagination != nil && page.Pagination.Next != nil {
				address = *page.Pagination.Next
			}
		}
	}
}

// common finds what a resource has in common with others.
func common(of any) *Resource {
	if r, ok := of.(interface{ Common() *Resource }); ok {
		return r.Common()
	}
	m, ok := of.(*map[string]any)
	if !ok {
		return nil
	}
	r := &Resource{Links: map[string]string{}, Actions: map[string]string{}}
	r.ID, _ = (*m)["id"].(string)
	r.Type, _ = (*m)["type"].(string)
	for name, into := range map[string]map[string]string{"links": r.Links, "actions": r.Actions} {
		all, _ := (*m)[name].(map[string]any)
		for k, v := range all {
			into[k], _ = v.(string)
		}
	}
	return r
}

func link(of any, which string) (string, error) {
	c := common(of)
	if c == nil || c.Links[which] == "" {
		return "", fmt.Errorf("%s has no link %s", name(c), which)
	}
	return c.Links[which], nil
}

func name(r *Resource) string {
	if r == nil {
		return "this"
	}
	return r.Type + " " + r.ID
}

// To returns a pointer to a value, for fields that may be absent.
func To[T any](v T) *T { return &v }
