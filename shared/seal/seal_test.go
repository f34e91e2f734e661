package seal_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/cattleio/cattle/shared/seal"
)

func ring(t *testing.T, keys ...string) *seal.Ring {
	t.Helper()
	r, err := seal.Parse(strings.Join(keys, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTheFirstKeySealsAndAllOpen(t *testing.T) {
	t.Parallel()
	old, young := seal.NewKey("2024"), seal.NewKey("2025")
	before, after := ring(t, old), ring(t, "# the keys", young, old)
	sealed := before.Seal("canary")
	if strings.Contains(sealed, "canary") || sealed == before.Seal("canary") {
		t.Errorf("sealed is %s", sealed)
	}
	if got, err := after.Open(sealed); err != nil || got != "canary" {
		t.Errorf("after the change of keys it is %q, %v", got, err)
	}
	if again := after.Seal("canary"); !strings.HasPrefix(again, seal.Prefix+"2025.") {
		t.Errorf("the old key seals: %s", again)
	} else if _, err := before.Open(again); !errors.Is(err, seal.ErrNoKey) {
		t.Errorf("a ring without the key says %v", err)
	}
	if got, err := before.Open("never sealed"); err != nil || got != "never sealed" {
		t.Errorf("a plain value is %q, %v", got, err)
	}
	if got, err := (*seal.Ring)(nil).Open(sealed); err != nil || got != sealed {
		t.Errorf("without keys it is %q, %v", got, err)
	}
}

func TestWhatWasChangedDoesNotOpen(t *testing.T) {
	t.Parallel()
	r := ring(t, seal.NewKey("a"), seal.NewKey("b"))
	sealed := r.Seal("canary")
	for i := len(seal.Prefix) + 2; i < len(sealed); i++ {
		if sealed[i] == '.' {
			continue
		}
		other := byte('A')
		if sealed[i] == other {
			other = 'Q'
		}
		if got, err := r.Open(sealed[:i] + string(other) + sealed[i+1:]); err == nil && got != sealed && got != "canary" {
			t.Fatalf("with another character at %d it opens as %q", i, got)
		}
	}
	if _, err := r.Open(strings.Replace(sealed, ".a.", ".b.", 1)); err == nil {
		t.Error("another key opens it")
	}
}

func TestBadKeysAreRefusedUnseen(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"x", "x:", "x:c2hvcnQ=", ":" + strings.TrimPrefix(seal.NewKey("a"), "a:"), "a.b:" + strings.TrimPrefix(seal.NewKey("a"), "a:"), seal.NewKey("a") + "," + seal.NewKey("a")} {
		if _, err := seal.Parse(text); err == nil || strings.Contains(err.Error(), "c2hvcnQ") {
			t.Errorf("%q is answered with %v", text, err)
		}
	}
	if r, err := seal.Parse(" \n# none\n"); r != nil || err != nil {
		t.Errorf("no keys are %v, %v", r, err)
	}
}

func TestSecretsInDocuments(t *testing.T) {
	t.Parallel()
	r, names := ring(t, seal.NewKey("k")), []string{"password", "secretValue"}
	for _, doc := range []string{
		`{"secretValue":"canary","name":"x"}`,
		`{"fields":{"a":[{"password":"ca\"nary\\"}]},"secretValue":"canary"}`,
		`{"password":{"secretValue":"canary"}}`, `{"secretValue":{"password":["canary"]}}`,
		`{"secretValue":1234567,"password":null,"b":{"secretValue":""}}`,
		`{"secretValue":"enc1.k.AAAA.BBBB"}`,
		`{"text":"\"secretValue\":\"told\""}`, `{"secretValue":`, `"secretValue":"canary`, `{}`, ``,
	} {
		sealed := r.SealDocument(doc, names)
		if strings.HasPrefix(doc, "{") && strings.HasSuffix(doc, "}") && (!json.Valid([]byte(sealed)) || strings.Contains(sealed, "canary")) {
			t.Errorf("%s is sealed as %s", doc, sealed)
		}
		if got := r.OpenDocument(sealed, names); got != doc {
			t.Errorf("%s comes back as %s", doc, got)
		}
	}
}

func FuzzDocumentsComeBack(f *testing.F) {
	keys, err := seal.Parse(seal.NewKey("k"))
	if err != nil {
		f.Fatal(err)
	}
	names := []string{"password", "secretValue"}
	f.Add(`{"secretValue":"canary","password":{"secretValue":[1,"enc1.k.a.b"]}}`)
	f.Add(`"secretValue":"password":1`)
	f.Fuzz(func(t *testing.T, doc string) {
		got := keys.OpenDocument(keys.SealDocument(doc, names), names)
		if got != doc {
			t.Errorf("%q comes back as %q", doc, got)
		}
	})
}
