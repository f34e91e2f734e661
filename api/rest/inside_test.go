package rest

import (
	"context"
	"errors"
	"testing"
)

// book is names and addresses as somebody wrote them down.
type book struct{ names, addresses map[string]string }

func (b book) LookupAddr(_ context.Context, address string) ([]string, error) {
	if b.names[address] == "" {
		return nil, errors.New("nobody knows it")
	}
	return []string{b.names[address]}, nil
}

func (b book) LookupHost(_ context.Context, name string) ([]string, error) {
	return []string{b.addresses[name]}, nil
}

// The name of a machine is written by whose network it is in: it may be that of another.
func TestANameThatLeadsElsewhereIsNone(t *testing.T) {
	t.Parallel()
	b := book{
		names:     map[string]string{"10.1.1.1": "one.example.", "10.1.1.2": "vault.example."},
		addresses: map[string]string{"one.example.": "10.1.1.1", "vault.example.": "10.9.9.9"},
	}
	for address, want := range map[string]string{"10.1.1.1": "one.example", "10.1.1.2": "10.1.1.2", "10.1.1.3": "10.1.1.3"} {
		if name := nameOf(t.Context(), b, address); name != want {
			t.Errorf("%s is called %s, not %s", address, name, want)
		}
	}
}
