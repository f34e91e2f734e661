package main

import (
	"strings"
	"testing"
)

// The log of an attempt has all that the engine contract names, at every depth.
func TestALogHasWhatClientsRead(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	p.simulators(1)
	path := p.container(nil)
	p.becomes(path, "running")
	logs := p.list("/v1/processinstances/" + p.processes(path, "instance.create")[0].id() + "/processexecutions")
	if len(logs) == 0 {
		t.Fatal("there is no log")
	}
	executions, depth := 0, 0
	var look func(log any, deep int)
	look = func(log any, deep int) {
		depth = max(depth, deep)
		list, _ := log.(map[string]any)["executions"].([]any)
		for _, v := range list {
			executions++
			x := v.(map[string]any)
			has(t, x, "id name processName processId resourceType resourceId processingServerId startTime stopTime exitReason processLock lockAcquireStart "+
				"lockAcquired lockAcquireEnd lockHoldTime lockAcquireFailed failedToAcquireLock transitions processHandlerExecutions exception children")
			start, _ := x["startTime"].(float64)
			stop, _ := x["stopTime"].(float64)
			if start == 0 || x["lockAcquired"] != start || x["lockHoldTime"] != stop-start {
				t.Errorf("from %v to %v the resource was held for %v", x["startTime"], x["stopTime"], x["lockHoldTime"])
			}
			for _, h := range x["processHandlerExecutions"].([]any) {
				h := h.(map[string]any)
				has(t, h, "name startTime stopTime shouldContinue shouldDelegate chainProcessName resultData missingRequiredFields resourceValueBefore resourceValueAfter exception children")
				for _, child := range h["children"].([]any) {
					look(child, deep+1)
				}
			}
		}
	}
	look(logs[0]["log"], 1)
	if executions < 5 || depth < 3 {
		t.Errorf("%d processes were told of, %d deep", executions, depth)
	}
}

func has(t *testing.T, o map[string]any, names string) {
	t.Helper()
	for _, name := range strings.Fields(names) {
		if _, there := o[name]; !there {
			t.Errorf("there is no %s in %v", name, o)
		}
	}
}
