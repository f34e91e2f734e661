package rest_test

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/valyala/fasthttp/fasthttputil"

	"github.com/cattleio/cattle/shared/resource"
)

var update = flag.Bool("update", false, "write testdata anew")

// What every kind of account sees is kept in testdata, a line for each field, so
// that a change of the contract is seen in review.
func TestTheContractIsKept(t *testing.T) {
	t.Parallel()
	s := embedded(t, func(*configOf) {})
	for _, kind := range []string{"admin", "superadmin", "readAdmin", "user", "agent", "agentRegister", "register"} {
		_, keys := s.account(kind)
		var b strings.Builder
		for _, item := range s.as(keys).get("/v1/schemas").is(200).body["data"].([]any) {
			describe(&b, item.(map[string]any))
		}
		file := filepath.Join("testdata", kind+".txt")
		if *update {
			if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		kept, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if string(kept) != b.String() {
			t.Errorf("%s differs: %s\nrun the test with -update and review the change", file, difference(string(kept), b.String()))
		}
	}
}

func describe(b *strings.Builder, s map[string]any) {
	fmt.Fprintf(b, "%s %v %v filters %s includes %v\n", s["id"], s["collectionMethods"], s["resourceMethods"],
		strings.Join(slices.Sorted(maps.Keys(s["collectionFilters"].(map[string]any))), " "), s["includeableLinks"])
	for _, name := range slices.Sorted(maps.Keys(s["resourceActions"].(map[string]any))) {
		a, _ := json.Marshal(s["resourceActions"].(map[string]any)[name])
		fmt.Fprintf(b, "  action %s %s\n", name, a)
	}
	for _, name := range slices.Sorted(maps.Keys(s["resourceFields"].(map[string]any))) {
		f := s["resourceFields"].(map[string]any)[name].(map[string]any)
		fmt.Fprintf(b, "  %s %s", name, f["type"])
		for _, key := range slices.Sorted(maps.Keys(f)) {
			if v := f[key]; key != "type" && v != nil && (v != false || key == "default") {
				text, _ := json.Marshal(v)
				fmt.Fprintf(b, " %s=%s", key, text)
			}
		}
		b.WriteString("\n")
	}
}

// difference returns the first line in which two texts differ.
func difference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d was\n%s\nand is\n%s", i+1, w[i], g[i])
		}
	}
	return "one is longer"
}

// Every type answers every kind of account and every method as the schemas of
// that kind say: what they do not show is not there, what they do not list is
// refused.
func TestNothingIsAllowedThatIsNotPublished(t *testing.T) {
	t.Parallel()
	s := embedded(t, func(*configOf) {})
	for _, kind := range []string{"admin", "readAdmin", "user", "agent", "agentRegister"} {
		_, keys := s.account(kind)
		c := s.as(keys)
		published := map[string]map[string]any{}
		for _, item := range c.get("/v1/schemas").body["data"].([]any) {
			m := item.(map[string]any)
			published[m["id"].(string)] = m
		}
		for _, k := range resource.All.Kinds() {
			path := "/v1/" + k.Type.Plural
			sc := published[k.Type.Name]
			for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
				of, one := c.send(method, path, `{}`).code, c.send(method, path+"/99999", `{}`).code
				switch {
				case sc == nil && (of != 404 || one != 404):
					t.Errorf("%s: %s %s, which is hidden, answers %d and %d by id", kind, method, path, of, one)
				case sc != nil && !slices.Contains(sc["collectionMethods"].([]any), any(method)) && of != 405:
					t.Errorf("%s: %s %s answers %d", kind, method, path, of)
				case sc != nil && !slices.Contains(sc["resourceMethods"].([]any), any(method)) && one < 400:
					t.Errorf("%s: %s %s/99999 answers %d", kind, method, path, one)
				}
			}
		}
	}
}

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	s := embedded(t, func(*configOf) {})
	ln := fasthttputil.NewInmemoryListener()
	go func() { _ = s.app.Listener(ln) }()
	t.Cleanup(func() { _ = s.app.Shutdown() })
	conn, err := ln.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /v1/hosts HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", 2<<20)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil || resp.StatusCode != 413 || body["status"] != float64(413) || body["type"] != "error" {
		t.Errorf("a large body is answered with %d %v %v", resp.StatusCode, body, err)
	}
	s.post("/v1/hosts", `{"data":{"x":"`+strings.Repeat("x", 70_000)+`"}}`).fails(422, "MaxLengthExceeded", "data")
}
