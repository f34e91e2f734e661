package main

import (
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
