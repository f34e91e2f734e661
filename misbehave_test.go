package main

import (
	"testing"
)

// A host that loses commands or answers, does what it says it could not, or says
// everything twice delays what is asked of it, and changes nothing else.
func TestAHostThatMisbehavesOnlyDelays(t *testing.T) {
	t.Parallel()
	in := &installation{t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HTTP_PORT=" + freePort(t), "CATTLE_AGENT_TIMEOUT_MILLIS=300", "CATTLE_PROCESS_RETRY_BACKOFF_MAX_MS=1000"}}
	p := in.start()
	if status, o := p.ask("POST", "/v1/agents", object{"uri": "sim://misbehaves"}); status != 201 {
		t.Fatalf("no simulated host: %v", o)
	}
	p.hosts(1, "&kind=sim")
	paths := map[string]string{}
	for _, script := range []string{
		"storage.volume.activate drop 1, compute.instance.activate drop 2",
		"storage.volume.activate lose 2, compute.instance.activate lose 2, compute.instance.deactivate lose 1",
		"compute.instance.activate spoil 1",
		"* twice",
		"* drop 0.3, * lose 0.3",
	} {
		status, c := p.ask("POST", "/v1/containers", object{"imageUuid": "sim:x", "data": object{"simScript": script}})
		if status != 201 {
			t.Fatalf("refused: %v", c)
		}
		paths[script] = "/v1/containers/" + c.id()
	}
	for script, path := range paths {
		t.Log(script)
		p.becomes(path, "running")
		p.ask("POST", path+"/?action=stop", object{})
	}
	for script, path := range paths {
		t.Log(script)
		p.becomes(path, "stopped")
	}
}
