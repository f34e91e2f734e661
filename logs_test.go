package main

import (
	"bufio"
	"encoding/json"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// logKeys are the words under which the log says something, the same everywhere.
var logKeys = map[string]string{
	"process": "name of a process; its instance is id",
	"id":      "id of a process instance",
	"type":    "type of a resource",
	"agent":   "id of an agent", "resource": "id of a resource, as stored; its type is type",
	"attempt": "number of an attempt", "epoch": "number of a claim or a connection", "reason": "how an attempt ended",
	"state": "of a resource", "since": "moment that something began", "unattended": "whether no process moves a resource",
	"gone": "number of hosts", "of": "how many there are", "limit": "how many may be",
	"in": "pause before the next attempt", "pause": "the same for a connection", "took": "duration",
	"order": "what an administrator wants of a process", "account": "id of whoever wants it",
	"task":  "name of what the clock starts",
	"event": "id of an event or command", "command": "name of a command", "uuid": "of a resource, where agents know no id",
	"driver": "kind of host", "modern": "whether an agent speaks our protocol", "channel": "of the bus",
	"err": "what went wrong", "stack": "where", "reference": "that a caller was given for an error", "path": "of a request",
	"address": "that is listened to", "parts": "of a server", "server": "id or address of a server", "version": "of the program",
	"source": "layer of a setting", "says": "words of a library",
	"handler": "name of logic", "next": "process that one goes on as", "dropped": "the same, by a handler that is not heeded", "did": "steps that were needed", "pin": "digest of the server's key, for those who join",
}

// Every line of the log has a constant message and known keys, and names the whole
// of what it is about: an instance of a process with its id, a resource with its type.
func TestTheLogSpeaksOneLanguage(t *testing.T) {
	t.Parallel()
	used, calls := map[string]bool{}, 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testkit" || d.Name() == "bin") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files := gotoken.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if args, ok := logged(call); ok {
					calls++
					for _, problem := range wrong(args, used) {
						t.Errorf("%s: %s", files.Position(call.Pos()), problem)
					}
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if calls < 30 {
		t.Errorf("only %d lines of the log were found", calls)
	}
	for key := range logKeys {
		if !used[key] {
			t.Errorf("nobody uses the key %s", key)
		}
	}
}

// logged returns message and attributes of a call that writes to a log.
func logged(call *ast.CallExpr) ([]ast.Expr, bool) {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return nil, false
	}
	var to string
	switch x := method.X.(type) {
	case *ast.Ident:
		to = x.Name
	case *ast.SelectorExpr:
		to = x.Sel.Name
	}
	if !slices.Contains([]string{"log", "slog", "logger"}, strings.ToLower(to)) {
		return nil, false
	}
	skip := map[string]int{"Debug": 0, "Info": 0, "Warn": 0, "Error": 0, "DebugContext": 1, "InfoContext": 1, "WarnContext": 1,
		"ErrorContext": 1, "Log": 2, "LogAttrs": 2, "With": -1}
	n, ok := skip[method.Sel.Name]
	if !ok || n >= len(call.Args) {
		return nil, false
	}
	if n < 0 { // attributes for later lines
		return append([]ast.Expr{&ast.BasicLit{Kind: gotoken.STRING, Value: `"with"`}}, call.Args...), true
	}
	return call.Args[n:], true
}

func wrong(args []ast.Expr, used map[string]bool) (problems []string) {
	if _, ok := text(args[0]); !ok {
		problems = append(problems, "the message is not constant")
	}
	keys := map[string]bool{}
	for i := 1; i < len(args); i += 2 {
		key, ok := text(args[i])
		switch {
		case !ok:
			problems = append(problems, "a key is not constant")
		case logKeys[key] == "":
			problems = append(problems, "the key "+key+" is not known; see logKeys")
		case keys[key]:
			problems = append(problems, "the key "+key+" stands twice")
		}
		keys[key], used[key] = true, true
	}
	if len(args)%2 == 0 {
		problems = append(problems, "a key has no value")
	}
	if keys["process"] && !keys["id"] {
		problems = append(problems, "it names a process without its id")
	}
	if keys["resource"] && !keys["type"] {
		problems = append(problems, "it names a resource without its type")
	}
	return problems
}

func text(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != gotoken.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}

// No secret reaches the log, at its most talkative and through failures: keys,
// passwords, tokens, and what users put into their instances. Every line is JSON
// with known keys.
func TestNoSecretReachesTheLog(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		in.env = append(in.env, "CATTLE_LOG_LEVEL=debug", "CATTLE_LOG_FORMAT=json", "CATTLE_PROCESS_RETRY_BACKOFF_INITIAL_MS=20")
		p := in.start()
		p.simulators(1)
		const canary = "canary-7f3a91"
		made := func(path string, o object) object {
			t.Helper()
			status, a := p.ask("POST", path, o)
			if status != 201 {
				t.Fatalf("%s answers %d: %v", path, status, a)
			}
			return a
		}
		secrets := []string{canary}
		key := made("/v1/credentials", object{"kind": "apiKey", "publicValue": "public", "secretValue": canary + "-key"})
		account := made("/v1/accounts", object{"kind": "user", "name": "somebody"})
		agent := made("/v1/agents", object{"uri": "event://silent", "uuid": "silent", "managedConfig": false, "data": object{"password": canary + "-agent"}})
		joining := made("/v1/registrationtokens", object{})
		failing := made("/v1/containers", object{"imageUuid": "sim:x", "environment": object{"PASSWORD": canary + "-environment"},
			"userdata": canary + "-userdata", "data": object{"compute.instance.activate::fail": true, "token": canary + "-data"}})
		until(t, "the start to be given up", 45*time.Second, func() bool {
			_, o := p.ask("GET", "/v1/containers/"+failing.id(), nil)
			return o.state() == "removed"
		})
		p.becomes("/v1/registrationtokens/"+joining.id(), "active")
		_, joining = p.ask("GET", "/v1/registrationtokens/"+joining.id(), nil)
		if s, _ := joining["token"].(string); s != "" {
			secrets = append(secrets, s)
		}
		for _, c := range p.list("/v1/credentials") { // those that were made for accounts, too
			if s, _ := c["secretValue"].(string); s != "" {
				secrets = append(secrets, s)
			}
		}
		if len(secrets) < 4 {
			t.Fatalf("there are only %d secrets: %v %v %v", len(secrets), joining, account, key)
		}
		in.surgery("update agent set state_since = state_since - 3600000", "update process_instance set start_time = start_time - 3600000 where end_time is null")
		p.ask("POST", "/v1/agents/"+agent.id()+"/?action=deactivate", object{"password": canary + "-action"})
		for _, path := range []string{"/v1/scripts/" + secrets[1], "/v1/hosts"} {
			req, err := http.NewRequest("GET", p.url+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.SetBasicAuth("public", canary+"-login")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
		}
		p.kill()
		said := p.log.String()
		if !strings.Contains(said, `"process":"instance.create"`) || !strings.Contains(said, "process will be tried again") {
			t.Fatalf("the log does not tell of what happened:\n%s", said)
		}
		for _, s := range secrets {
			if strings.Contains(said, s) {
				t.Errorf("the log knows %q", s)
			}
		}
		for lines := bufio.NewScanner(strings.NewReader(said)); lines.Scan(); {
			if !strings.HasPrefix(lines.Text(), "{") {
				continue // what is printed for people
			}
			line := map[string]any{}
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
				t.Errorf("%v: %s", err, lines.Text())
			}
			for key := range line {
				if logKeys[key] == "" && !slices.Contains([]string{"time", "level", "msg"}, key) {
					t.Errorf("nobody knows the key %s: %s", key, lines.Text())
				}
			}
		}
	})
}
