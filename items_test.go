package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// bundle downloads a configuration item and returns its files without their folder.
func (p *program) bundle(path string) (status int, files map[string]string) {
	p.t.Helper()
	resp, err := http.Get(p.url + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		return resp.StatusCode, nil
	}
	if kind := resp.Header.Get("Content-Type"); kind != "application/octet-stream" {
		p.t.Errorf("%s is %s", path, kind)
	}
	packed, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	files = map[string]string{}
	for r := tar.NewReader(packed); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return 200, files
		}
		if err != nil {
			p.t.Fatal(err)
		}
		_, name, _ := strings.Cut(h.Name, "/")
		text, _ := io.ReadAll(r)
		files[name] = string(text)
	}
}

// items tells of each item of an agent what is requested, what is applied and of which content.
func (p *program) items(agent string) map[string]string {
	p.t.Helper()
	out := map[string]string{}
	for _, s := range p.list("/v1/configitemstatuses?agentId=" + agent) {
		source, _ := s["sourceVersion"].(string)
		out[fmt.Sprint(s["name"])] = fmt.Sprintf("%v %v %.4s", s["requestedVersion"], s["appliedVersion"], source)
	}
	return out
}

// task runs a task now.
func (p *program) task(name string) {
	p.t.Helper()
	var tasks []object
	until(p.t, "the tasks of a new server", 20*time.Second, func() bool {
		tasks = p.list("/v1/tasks?name=" + name)
		return len(tasks) == 1
	})
	if status, o := p.ask("POST", "/v1/tasks/"+tasks[0].id()+"?action=execute", object{}); status != 200 {
		p.t.Fatalf("%s is refused: %v", name, o)
	}
}

// An agent whose configuration the server looks after becomes active once it has applied
// its items; an item that is asked for again, or has another content, is applied again.
func TestAnAgentAppliesItsConfigurationItems(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	p := start(t, []string{"CATTLE_HOME=" + home, "CATTLE_HTTP_PORT=" + freePort(t), "CATTLE_ITEM_WAIT_FOR_EVENT_TIMEOUT_MILLIS=300"}, "server")
	_, played := p.ask("POST", "/v1/agents", object{"uri": "sim://managed", "uuid": "managed"})
	p.becomes("/v1/agents/"+played.id(), "active")
	for _, name := range []string{"pyagent", "configscripts"} {
		if got := p.items(played.id()); len(got) != 2 || !strings.HasPrefix(got[name], "1 1 ") || len(got[name]) != 8 {
			t.Errorf("an agent that is played has the items %v", got)
		}
	}

	_, a := p.ask("POST", "/v1/agents", object{"uri": "event://real", "uuid": "real"})
	own := p.agentKey(a)
	l := p.listen("", fmt.Sprintf(`{"agentId":%q,"eventNames":["ping","config.update"]}`, a.id()))
	lazy := true
	told := make(chan string, 1000)
	go func() {
		for r := range l.frames {
			if r["replyTo"] == nil {
				continue
			}
			for _, i := range list(data(r)["items"]) {
				name := fmt.Sprint(i.(map[string]any)["name"])
				if lazy { // it says that it has applied what it has not
					continue
				}
				status, files := own.bundle("/v1//configcontent//" + name)
				if status != 200 || files["apply.sh"] == "" || !strings.Contains(files["SHA1SUMS"], "apply.sh") {
					t.Errorf("the item %s is %d %v", name, status, files)
				}
				if status, o := own.ask("PUT", "/v1/configcontent/"+name+"?version="+name+"-"+strings.TrimSpace(files["version"]), nil); status != 200 || o["links"] == nil || o["actions"] == nil {
					t.Errorf("the report of %s is answered %d %v", name, status, o)
				}
				told <- name
			}
			if r["name"] == "config.update" {
				lazy = false
			}
			p.reply(r, object{"data": object{}})
		}
	}()
	p.becomes("/v1/agents/"+a.id(), "active")
	before := p.items(a.id())
	if !strings.HasPrefix(before["pyagent"], "1 1 ") || len(before) != 2 {
		t.Fatalf("a real agent has the items %v", before)
	}
	for range 2 {
		<-told
	}

	status := p.list("/v1/configitemstatuses?name=pyagent&agentId=" + a.id())[0]
	if code, o := p.ask("PUT", "/v1/configitemstatuses/"+status.id(), object{"requestedVersion": 2}); code != 200 {
		t.Fatalf("it cannot be asked for again: %v", o)
	}
	p.task("config.item.sync")
	until(t, "the second version", 30*time.Second, func() bool { return strings.HasPrefix(p.items(a.id())["pyagent"], "2 2 ") })

	if err := os.MkdirAll(filepath.Join(home, "items", "configscripts"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "items", "configscripts", "own.sh"), []byte("true"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.task("config.item.source.version.sync")
	until(t, "the new content to be known", 30*time.Second, func() bool {
		return p.list("/v1/configitems?name=configscripts")[0]["sourceVersion"] != p.list("/v1/configitems?name=pyagent")[0]["sourceVersion"]
	})
	p.task("config.item.migration")
	until(t, "the new content", 30*time.Second, func() bool { return p.items(a.id())["configscripts"] != before["configscripts"] })
	_, files := own.bundle("/v1/configcontent/configscripts")
	if files["own.sh"] != "true" {
		t.Errorf("the new content is %v", files)
	}
	if _, again := own.bundle("/v1/configcontent/configscripts?current=" + strings.TrimSpace(files["version"])); again["uptodate"] == "" || again["apply.sh"] != "" {
		t.Errorf("who has it gets %v", again)
	}
	if code, _ := own.bundle("/v1/configcontent/hosts"); code != 404 {
		t.Errorf("an item that it was not given is %d", code)
	}
	if code, o := p.ask("PUT", "/v1/configcontent/pyagent?version=latest", nil); code != 422 || o["fieldName"] != "agentId" {
		t.Errorf("an administrator that names no agent gets %d %v", code, o)
	}
}

func list(v any) []any { l, _ := v.([]any); return l }

// A network with services is served by a system container, whose agent is reached through
// the agent of the host.
func TestASystemContainerServesANetwork(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	p.simulators(1)
	made := p.active
	network := made("hostonlynetworks", object{"hostVnetUri": "bridge://docker0", "dynamicCreateVnet": true})
	made("subnets", object{"networkId": network, "networkAddress": "10.42.0.0"})
	provider := made("agentinstanceproviders", object{"networkId": network, "agentInstanceImageUuid": "sim:server"})
	made("dnsservices", object{"networkId": network, "networkServiceProviderId": provider})
	_, c := p.ask("POST", "/v1/containers", object{"imageUuid": "sim:x", "networkIds": []string{network}})
	got := p.becomes("/v1/containers/"+c.id(), "running")
	if ip, _ := got["primaryIpAddress"].(string); !strings.HasPrefix(ip, "10.42.0.") {
		t.Errorf("the container is known by %v", got["primaryIpAddress"])
	}
	var server object
	for _, a := range p.list("/v1/agents") {
		if uri, _ := a["uri"].(string); strings.HasPrefix(uri, "delegate:///?vnetId=") {
			server = a
		}
	}
	if server == nil {
		t.Fatal("the system container has no agent")
	}
	p.becomes("/v1/agents/"+server.id(), "active")
	p.task("config.item.sync")
	until(t, "all items to be applied", 30*time.Second, func() bool {
		items := p.items(server.id())
		for _, i := range items {
			if !strings.HasPrefix(i, "1 1 ") {
				return false
			}
		}
		return len(items) == 8
	})
}
