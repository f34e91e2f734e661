package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The host of a machine says how to reach its console; where it cannot be asked, users
// read why.
func TestTheConsoleOfAMachineIsAskedOfItsHost(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		p := in.start()
		p.simulators(1)
		_, vm := p.ask("POST", "/v1/virtualmachines", object{"imageUuid": "sim:x", "data": object{"fields": object{"capabilities": []string{"console"}}}})
		path := "/v1/virtualmachines/" + vm.id()
		p.becomes(path, "running")
		_, vm = p.ask("GET", path, nil)
		if actions, _ := vm["actions"].(map[string]any); actions["console"] == nil {
			t.Fatalf("its actions are %v", actions)
		}
		status, console := p.ask("POST", path+"/?action=console", object{})
		if status != 200 || console["type"] != "instanceConsole" || console["kind"] != "fake" || console["url"] != "http://localhost/console" {
			t.Errorf("%d: %v", status, console)
		}
		agent := p.list("/v1/agents?kind=agent&uri=sim://sim0")[0]
		p.ask("POST", "/v1/agents/"+agent.id()+"/?action=deactivate", object{})
		until(t, "the agent to be away", 30*time.Second, func() bool { return len(p.list("/v1/agents?state=inactive")) == 1 })
		if status, o := p.ask("POST", path+"/?action=console", object{}); status != 503 {
			t.Errorf("without an agent: %d %v", status, o)
		}
	})
}

// The agent of a host is sent all of the machine and of the host: where the screen is stands
// among the fields of the machine.
func TestAnAgentIsSentTheMachineWhoseConsoleIsWanted(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	a := p.event("classic0")
	told := p.listen("", fmt.Sprintf(`{"agentId":%q,"eventNames":["console.access","%s"]}`, a.id(), strings.Join(commands, `","`))).serve("classic0")
	p.becomes("/v1/agents/"+a.id(), "active")
	_, image := p.ask("POST", "/v1/images", object{"uuid": "classic0"})
	p.becomes("/v1/images/"+image.id(), "active")
	host := p.list("/v1/hosts?uuid=classic0-host")[0]
	_, vm := p.ask("POST", "/v1/virtualmachines", object{"imageId": image.id(), "requestedHostId": host.id(),
		"data": object{"fields": object{"capabilities": []string{"console"}}}})
	path := "/v1/virtualmachines/" + vm.id()
	p.becomes(path, "running")
	if status, o := p.ask("POST", path+"/?action=console", object{}); status != 503 {
		t.Errorf("an agent that shows no screen: %d %v", status, o)
	}
	sent := data(heard(t, told, "console.access"))
	machine, _ := sent["instance"].(map[string]any)
	place, _ := sent["host"].(map[string]any)
	fields, _ := machine["data"].(map[string]any)["fields"].(map[string]any)
	if kind, is := sent["kind"]; kind != nil || !is || machine["type"] != "instance" || machine["uuid"] != vm["uuid"] || fields["capabilities"] == nil ||
		place["uuid"] != "classic0-host" || place["agentId"] == nil {
		t.Errorf("it is sent %v", sent)
	}
}
