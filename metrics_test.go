package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/cattleio/cattle/shared/testkit"
)

// scrape is what a program shows, by name and labels as a scraper writes them.
type scrape map[string]float64

// scrape reads GET /metrics of a program, as a scraper does.
func (p *program) scrape() scrape {
	p.t.Helper()
	return scraped(p.t, p.url)
}

func scraped(t *testing.T, url string) scrape {
	t.Helper()
	resp, err := http.Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
		t.Fatalf("metrics are answered with %s, %s", resp.Status, resp.Header.Get("Content-Type"))
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := scrape{}
	for name, f := range families {
		for _, m := range f.GetMetric() {
			out[name+labels(m)] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return out
}

// labels writes the values of the labels in the order of their names.
func labels(m *dto.Metric) string {
	var values []string
	for _, l := range m.GetLabel() {
		values = append(values, l.GetValue())
	}
	if len(values) == 0 {
		return ""
	}
	return "{" + strings.Join(values, ",") + "}"
}

// shows waits until a program shows at least a value for each name, and nothing for
// those whose value is 0.
func (p *program) shows(what string, want scrape) {
	p.t.Helper()
	var got scrape
	defer func() {
		if p.t.Failed() {
			for name := range want {
				p.t.Logf("%s is %v", name, got[name])
			}
		}
	}()
	until(p.t, what, 30*time.Second, func() bool {
		got = p.scrape()
		for name, n := range want {
			if n == 0 && got[name] != 0 || got[name] < n {
				return false
			}
		}
		return true
	})
}

// surgery changes the installation's database behind the server's back.
func (in *installation) surgery(statements ...string) {
	in.t.Helper()
	db := in.database()
	defer db.Close()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			in.t.Fatalf("%s: %v", s, err)
		}
	}
}

// database is what the installation keeps everything in.
func (in *installation) database() *sql.DB {
	in.t.Helper()
	driver, address := "sqlite", ""
	for _, pair := range in.env {
		if home, ok := strings.CutPrefix(pair, "CATTLE_HOME="); ok && address == "" {
			address = "file:" + filepath.Join(home, "cattle.db") + "?_pragma=busy_timeout(5000)"
		}
		if url, ok := strings.CutPrefix(pair, "CATTLE_DB_URL="); ok {
			driver, address = "pgx", strings.Replace(url, "&pool_max_conns=12", "", 1)
			address = strings.Replace(address, "pool_max_conns=12&", "", 1)
		}
	}
	db, err := sql.Open(driver, address)
	if err != nil {
		in.t.Fatal(err)
	}
	return db
}

// What happens is seen from outside: a start, a start that fails, an agent that is
// silent, and a resource that is stuck.
func TestMetricsTellTheStory(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		in.env = append(in.env, "CATTLE_TASK_PROCESS_WATCH_SCHEDULE=0.2", "CATTLE_PROCESS_RETRY_BACKOFF_INITIAL_MS=50")
		p := in.start()
		p.simulators(1)
		before := p.scrape()
		_, c := p.ask("POST", "/v1/containers", object{"imageUuid": "sim:x"})
		p.becomes("/v1/containers/"+c.id(), "running")
		p.shows("the start", scrape{
			"cattle_processes_ended_total{instance.create,done}":     1,
			"cattle_process_duration_seconds{instance.create}":       1,
			"cattle_state_duration_seconds{starting,instance}":       1,
			"cattle_process_execution_total{done}":                   before["cattle_process_execution_total{done}"] + 1,
			"cattle_process_execution_event_total":                   before["cattle_process_execution_event_total"] + 1,
			"cattle_process_claims_total{taken}":                     before["cattle_process_claims_total{taken}"] + 1,
			"cattle_http_requests_total{POST,2xx,container}":         1,
			"cattle_http_request_duration_seconds{GET}":              1,
			"cattle_sql_commits_total":                               before["cattle_sql_commits_total"] + 3,
			"cattle_events_published_total":                          before["cattle_events_published_total"] + 4,
			"cattle_agents_played":                                   1,
			"cattle_watch_timestamp_seconds":                         float64(time.Now().Add(-time.Hour).Unix()),
			"go_goroutines":                                          1,
			"process_resident_memory_bytes":                          1 << 20,
			"cattle_processes_pending{instance.create}":              0,
			"cattle_process_execution_total{unknown_exception}":      0,
			"cattle_processes_ended_total{instance.create,canceled}": 0,
			"cattle_processes_waiting{agent}":                        0,
			"cattle_processes_runnable":                              0,
			"cattle_process_claims_total{lost}":                      0,
		})

		_, c = p.ask("POST", "/v1/containers", object{"imageUuid": "sim:x", "data": object{"compute.instance.activate::fail": true,
			"io.cattle.platform.process.instance.InstanceStart": object{"computeTries": 2}}})
		until(t, "the start to be given up", 45*time.Second, func() bool {
			_, o := p.ask("GET", "/v1/containers/"+c.id(), nil)
			return o.state() == "removed"
		})
		p.shows("the start that failed", scrape{
			"cattle_process_execution_total{unknown_exception}":      1,
			"cattle_process_waits_total{retry}":                      1,
			"cattle_processes_ended_total{instance.create,canceled}": 1,
			"cattle_processes_ended_total{instance.remove,done}":     1,
		})

		p.ask("POST", "/v1/agents", object{"uri": "event://nobody", "uuid": "nobody", "managedConfig": false})
		p.shows("the silent agent", scrape{
			"cattle_process_waits_total{agent}":                1,
			"cattle_process_execution_total{waiting}":          1,
			"cattle_processes_waiting{agent}":                  1,
			"cattle_processes_pending{agent.create}":           1,
			"cattle_resources_transitioning{activating,agent}": 1,
			"cattle_resources_overdue{agent.activate,agent}":   0,
			"cattle_resources_unattended{agent}":               0,
		})

		in.surgery("update agent set state_since = state_since - 3600000 where uri = 'event://nobody'",
			"update process_instance set start_time = start_time - 3600000 where end_time is null and resource_type = 'agent'")
		p.shows("the agent to be overdue", scrape{
			"cattle_resources_overdue{agent.activate,agent}": 1,
			"cattle_processes_overdue{agent.create}":         1,
		})
		in.surgery("delete from process_instance where end_time is null and resource_type = 'agent'")
		p.shows("the agent to be alone", scrape{
			"cattle_resources_overdue{agent.activate,agent}": 1,
			"cattle_resources_unattended{agent}":             1,
			"cattle_processes_overdue{agent.create}":         0,
			"cattle_processes_pending{agent.create}":         0,
		})
		for _, line := range []string{"process is overdue", "resource is overdue"} {
			if n := strings.Count(p.log.String(), `msg="`+line+`"`); n != 1 {
				t.Errorf("%q was said %d times", line, n)
			}
		}
	})
}

// A worker is killed: what it leaves is seen to wait, and another takes it. Each part
// shows its own numbers, those without an API as well.
func TestMetricsOfPartsThroughAKill(t *testing.T) {
	t.Parallel()
	shared := []string{"CATTLE_DB_URL=" + testkit.PostgresSchema(t), "CATTLE_REDIS_URL=" + testkit.RedisDB(t), "CATTLE_TASK_PROCESS_WATCH_SCHEDULE=0.2"}
	part := func(profile string, more ...string) *program {
		env := append([]string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HTTP_PORT=" + freePort(t)}, shared...)
		return start(t, append(env, more...), "server", "--profile", profile)
	}
	api, gate, clock, worker := part("api"), part("gateway"), part("scheduler"), part("worker")
	api.simulators(1)
	gate.shows("the agent", scrape{"cattle_agents_played": 1})
	worker.shows("its claims", scrape{"cattle_process_claims_total{taken}": 1, "cattle_sql_commits_total": 1})
	worker.kill()
	_, c := api.ask("POST", "/v1/containers", object{"imageUuid": "sim:x"})
	clock.shows("the process that nobody runs", scrape{
		"cattle_processes_runnable":                    1,
		"cattle_processes_pending{instance.create}":    1,
		"cattle_processes_oldest_runnable_age_seconds": 0.5,
	})
	until(t, "its task in the queue", 30*time.Second, func() bool {
		s := clock.scrape()
		return s["cattle_queue_depth{normal}"]+s["cattle_queue_depth{urgent}"] > 0
	})
	if s := api.scrape(); s["cattle_watch_timestamp_seconds"] != 0 || s["cattle_http_requests_total{POST,2xx,container}"] != 1 {
		t.Errorf("the API shows what it does not know, or not what it knows")
	}
	address := "127.0.0.1:" + freePort(t)
	worker = part("worker", "CATTLE_METRICS_ADDRESS="+address)
	api.becomes("/v1/containers/"+c.id(), "running")
	clock.shows("nothing left", scrape{"cattle_processes_runnable": 0, "cattle_processes_pending{instance.create}": 0})
	worker.shows("what it did", scrape{"cattle_processes_ended_total{instance.create,done}": 1})
	if s := scraped(t, "http://"+address); s["cattle_processes_ended_total{instance.create,done}"] != 1 {
		t.Error("the address of its own shows something else")
	}
}

// Who may not see everything sees no metrics: where the server can be reached from
// outside they take an administrator's key, and a part that cannot tell who asks
// answers at an address of its own alone.
func TestMetricsAreForAdministrators(t *testing.T) {
	t.Parallel()
	status := func(url, user, password string) int {
		t.Helper()
		req, err := http.NewRequest("GET", url+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		if user != "" {
			req.SetBasicAuth(user, password)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	shared := []string{"CATTLE_HTTP_HOST=0.0.0.0", "CATTLE_DB_URL=" + testkit.PostgresSchema(t), "CATTLE_REDIS_URL=" + testkit.RedisDB(t)}
	part := func(profile string, more ...string) *program {
		env := append([]string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HTTP_PORT=" + freePort(t)}, shared...)
		return start(t, append(env, more...), "server", "--profile", profile)
	}
	api := part("api")
	var access, secret string
	until(t, "the key", 5*time.Second, func() bool {
		for _, line := range strings.Split(api.log.String(), "\n") {
			_, _ = fmt.Sscanf(strings.TrimSpace(line), "CATTLE_ACCESS_KEY=%s", &access)
			_, _ = fmt.Sscanf(strings.TrimSpace(line), "CATTLE_SECRET_KEY=%s", &secret)
		}
		return secret != ""
	})
	if n := status(api.url, "", ""); n != 401 {
		t.Errorf("a stranger gets %d", n)
	}
	if n := status(api.url, access, secret); n != 200 {
		t.Errorf("the administrator gets %d", n)
	}
	address := "127.0.0.1:" + freePort(t)
	for _, p := range []*program{part("worker", "CATTLE_METRICS_ADDRESS="+address), part("gateway")} {
		if n := status(p.url, access, secret); n != 404 {
			t.Errorf("a part that cannot tell who asks answers %d", n)
		}
	}
	if n := status("http://"+address, "", ""); n != 200 {
		t.Errorf("the address that was set answers %d", n)
	}
}

// An agent that connects is counted while it is connected, and its own secret is in
// no log, neither its nor the server's.
func TestMetricsCountTheAgentsThatAreConnected(t *testing.T) {
	t.Parallel()
	in := &installation{t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HTTP_PORT=" + freePort(t), "CATTLE_LOG_LEVEL=debug"}}
	p := in.start()
	p.ask("POST", "/v1/registrationtokens", object{})
	var token string
	until(t, "the token", 20*time.Second, func() bool {
		for _, o := range p.list("/v1/registrationtokens?state=active") {
			token, _ = o["token"].(string)
		}
		return token != ""
	})
	home := t.TempDir()
	agent := start(t, []string{"CATTLE_HOME=" + home}, "agent", "--url", p.url, "--token", token, "--drivers", "sim")
	p.shows("the agent", scrape{"cattle_agents_connected": 1, "cattle_agents_played": 0})
	p.hosts(1, "")
	_, c := p.ask("POST", "/v1/containers", object{"imageUuid": "sim:x"})
	p.becomes("/v1/containers/"+c.id(), "running")
	agent.kill()
	p.shows("it gone", scrape{"cattle_agents_connected": 0})
	secrets := append(secretsIn(t, home), token)
	if len(secrets) != 2 {
		t.Fatalf("the agent has %d secrets", len(secrets)-1)
	}
	for _, said := range []string{p.log.String(), agent.log.String()} {
		for _, s := range secrets {
			if strings.Contains(said, s) {
				t.Errorf("the log knows %q:\n%s", s, said)
			}
		}
	}
	if !strings.Contains(agent.log.String(), "command=compute.instance.activate") {
		t.Errorf("the agent does not tell of its commands:\n%s", agent.log)
	}
}

// secretsIn reads the secrets that an agent keeps in its home.
func secretsIn(t *testing.T, home string) (secrets []string) {
	t.Helper()
	files, err := os.ReadDir(home)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(filepath.Join(home, f.Name()))
		if err != nil {
			continue // a folder
		}
		var keys struct {
			SecretKey string `json:"secretKey"`
		}
		if json.Unmarshal(raw, &keys) == nil && keys.SecretKey != "" {
			secrets = append(secrets, keys.SecretKey)
		}
	}
	return secrets
}
