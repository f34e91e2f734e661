package main

import (
	"testing"
	"time"

	"github.com/cattleio/cattle/shared/testkit"
)

// One of two servers runs the tasks; when it is killed the other does. A task that is
// asked for over HTTP is run once, by a server that runs tasks, and its record can be read.
func TestTheTasksGoOnWhenTheLeaderIsKilled(t *testing.T) {
	t.Parallel()
	shared := []string{"CATTLE_DB_URL=" + testkit.PostgresSchema(t), "CATTLE_REDIS_URL=" + testkit.RedisDB(t),
		"CATTLE_TASK_PROCESS_REPLAY_SCHEDULE=0.1", "CATTLE_TASK_PURGE_RESOURCES_SCHEDULE=86400"}
	part := func(profile, id string) *program {
		return start(t, append([]string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HTTP_PORT=" + freePort(t), "CATTLE_SERVER_ID=" + id}, shared...), "server", "--profile", profile)
	}
	api := part("api", "front")
	clocks := map[any]*program{"one": part("scheduler", "one"), "two": part("scheduler", "two")}
	runs := func(filter string) []object {
		return api.list("/v1/taskinstances?limit=1000&sort=id&order=desc&" + filter)
	}
	until(t, "somebody to lead", 60*time.Second, func() bool { return len(runs("name=process.replay")) > 5 })
	leader := runs("name=process.replay")[0]["serverId"]
	for _, r := range runs("name=process.replay") {
		if r["serverId"] != leader || r["endTime"] == nil || r["exception"] != nil {
			t.Fatalf("a run of the replay is %v", r)
		}
	}
	tasks := map[any]object{}
	for _, task := range api.list("/v1/tasks") {
		tasks[task["name"]] = task
	}
	for _, name := range []string{"process.replay", "purge.resources", "cleanup.task.instances", "agent.ping", "resource.change.publish", "resource.change.monitor", "zookeeper.cleanup"} {
		if tasks[name] == nil {
			t.Errorf("%s is no task among %v", name, tasks)
		}
	}
	execute := func(times int) {
		t.Helper()
		task := tasks["purge.resources"]
		if status, o := api.ask("POST", "/v1/tasks/"+task.id()+"?action=execute", object{}); status != 200 || o["name"] != "purge.resources" {
			t.Fatalf("it cannot be run by hand: %d %v", status, o)
		}
		until(t, "its record", 30*time.Second, func() bool { return len(runs("name=purge.resources")) >= times })
		if r := runs("name=purge.resources")[0]; r["endTime"] == nil || r["taskId"] != task.id() || clocks[r["serverId"]] == nil {
			t.Errorf("the run by hand is %v", r)
		}
	}
	execute(1)
	clocks[leader].kill()
	until(t, "the other to lead", 60*time.Second, func() bool {
		r := runs("name=process.replay")
		return r[0]["serverId"] != leader
	})
	execute(2)
	if n := len(runs("name=purge.resources")); n != 2 {
		t.Errorf("two requests made %d runs", n)
	}
}
