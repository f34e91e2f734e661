package client

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// Schema is a type as the server publishes it to this caller.
type Schema struct {
	ID                string            `json:"id"`
	PluralName        string            `json:"pluralName"`
	Links             map[string]string `json:"links"`
	ResourceMethods   []string          `json:"resourceMethods"`
	CollectionMethods []string          `json:"collectionMethods"`
	ResourceFields    map[string]Field  `json:"resourceFields"`
	ResourceActions   map[string]Action `json:"resourceActions"`
	CollectionFilters map[string]Filter `json:"collectionFilters"`
	IncludeableLinks  []string          `json:"includeableLinks"`
}

// Field is a field of a type.
type Field struct {
	Type     string   `json:"type"`
	Default  any      `json:"default"`
	Create   bool     `json:"create"`
	Update   bool     `json:"update"`
	Nullable bool     `json:"nullable"`
	Required bool     `json:"required"`
	Unique   bool     `json:"unique"`
	Options  []string `json:"options"`
}

// Action says what an action takes and gives: types, "" for nothing.
type Action struct {
	Input  string `json:"input"`
	Output string `json:"output"`
}

// Filter says by which modifiers a list may be filtered.
type Filter struct {
	Modifiers []string `json:"modifiers"`
}

// Schemas returns all types that this caller sees, by name. They are read once.
func (c *Client) Schemas(ctx context.Context) (map[string]*Schema, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.schemas != nil {
		return c.schemas, nil
	}
	header, err := c.do(ctx, http.MethodGet, c.config.URL, nil, nil)
	if err != nil {
		return nil, err
	}
	address := header.Get("X-API-Schemas")
	if address == "" {
		return nil, fmt.Errorf("%s is no address of this API: it names no schemas", c.config.URL)
	}
	var list struct {
		Data []*Schema `json:"data"`
	}
	if err := c.Do(ctx, http.MethodGet, address, nil, &list); err != nil {
		return nil, err
	}
	c.schemas = byName(list.Data)
	return c.schemas, nil
}

func byName(list []*Schema) map[string]*Schema {
	m := make(map[string]*Schema, len(list))
	for _, s := range list {
		m[s.ID] = s
	}
	return m
}

// Know gives the client schemas that were read earlier, from the same server by the
// same caller.
func (c *Client) Know(list []*Schema) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.schemas = byName(list)
}

// collection returns the address of the list of a type.
func (c *Client) collection(ctx context.Context, typ string) (string, error) {
	schemas, err := c.Schemas(ctx)
	if err != nil {
		return "", err
	}
	s := schemas[typ]
	switch {
	case s == nil:
		return "", fmt.Errorf("there is no type %s, or this caller may not see it", typ)
	case s.Links["collection"] != "":
		return s.Links["collection"], nil
	}
	return pluralOf(s), nil
}

// pluralOf is where a type is made that cannot be listed: beside its schema.
func pluralOf(s *Schema) string {
	self := s.Links["self"]
	const schemas = "/schemas/"
	if i := strings.LastIndex(self, schemas); i >= 0 {
		return self[:i+1] + s.PluralName
	}
	return self
}
