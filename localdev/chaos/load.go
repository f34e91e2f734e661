package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// kind is a type of resource that the clients work on.
type kind struct {
	path, typ string // in the API, and in SQL
	weight    int
	most      int // of a client at a time
	body      func(name string) map[string]any
	verbs     []verb
}

// verb is what a client may ask of a resource, and where it leaves that.
type verb struct {
	name, to string
	from     []string // where it makes sense; elsewhere it is asked now and then all the same
}

var kinds = []kind{
	{"containers", "instance", 14, 16, func(name string) map[string]any {
		return map[string]any{"name": name, "imageUuid": "sim:chaos"}
	}, []verb{
		{"start", "running", []string{"stopped"}},
		{"stop", "stopped", []string{"running"}},
		{"restart", "running", []string{"running"}},
		{"remove", "removed", []string{"running", "stopped"}},
		{"restore", "stopped", []string{"removed"}},
		{"purge", "purged", []string{"removed"}},
	}},
	{"credentials", "credential", 3, 4, func(name string) map[string]any {
		return map[string]any{"name": name, "kind": "apiKey"}
	}, standard},
	{"accounts", "account", 1, 3, func(name string) map[string]any {
		return map[string]any{"name": name, "kind": "user"}
	}, standard},
	{"genericobjects", "genericObject", 2, 4, func(name string) map[string]any {
		return map[string]any{"name": name, "kind": "chaos"}
	}, standard},
}

var standard = []verb{
	{"activate", "active", []string{"inactive"}},
	{"deactivate", "inactive", []string{"active"}},
	{"remove", "removed", []string{"inactive"}},
	{"restore", "inactive", []string{"removed"}},
	{"purge", "purged", []string{"removed"}},
}

// first is where a new resource of the kind comes to rest.
func (k *kind) first() string {
	if k.typ == "instance" {
		return "running"
	}
	return "active"
}

// thing is a resource as its client knows it.
type thing struct {
	kind       *kind
	id         int64
	path, name string
	uuid       string
	want       []string       // where it may come to rest; the first is what was asked for last
	accepted   map[string]int // processes that were accepted
	unsure     map[string]int // those of which no answer came
	asked      time.Time
	since      time.Time // when the last one was that got no answer
	story      []string
}

func (t *thing) say(format string, args ...any) {
	t.story = append(t.story, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// load is what the clients ask for.
type load struct {
	*rig
	accepted, created, repeated, refused, unsure, failed atomic.Int64

	mu     sync.Mutex
	things []*thing
}

func newLoad(r *rig) *load { return &load{rig: r} }

// drive asks until enough was accepted and every fault has come.
func (l *load) drive(ctx context.Context) error {
	show, stop := context.WithCancel(ctx)
	defer stop()
	go l.show(show)
	var all sync.WaitGroup
	for i := range l.clients {
		c := &client{load: l, n: i, chance: l.chance(fmt.Sprint("client", i)), http: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 4}}}
		all.Go(func() { c.work(ctx) })
	}
	all.Wait()
	return ctx.Err()
}

// show says now and then how far it is.
func (l *load) show(ctx context.Context) {
	for begin := time.Now(); pause(ctx, 10*time.Second); {
		fmt.Printf("  %4.0f s: %d operations accepted, %d commands at the hosts\n", time.Since(begin).Seconds(), l.accepted.Load(), l.hosts.asked.Load())
	}
}

// client asks for one thing after the other.
type client struct {
	*load
	n      int
	made   int
	chance *rand.Rand
	http   *http.Client
	own    []*thing
}

func (c *client) work(ctx context.Context) {
	for ctx.Err() == nil && (c.accepted.Load() < int64(c.operations) || !c.allStruck()) {
		k := c.kind()
		mine := c.things(k)
		if len(mine) == 0 || len(mine) < k.most && c.chance.IntN(3) == 0 {
			c.create(ctx, k)
			continue
		}
		t := mine[c.chance.IntN(min(3, len(mine)))] // one of those that were left alone for longest
		if time.Since(t.asked) < patience && c.chance.IntN(8) > 0 {
			pause(ctx, patience/10)
			continue
		}
		c.act(ctx, t, c.choose(t))
	}
}

// patience is how long a client mostly gives a resource to come to rest.
const patience = time.Second

func (c *client) kind() *kind {
	sum := 0
	for _, k := range kinds {
		sum += k.weight
	}
	n := c.chance.IntN(sum)
	for i := range kinds {
		if n -= kinds[i].weight; n < 0 {
			return &kinds[i]
		}
	}
	return nil
}

// things lists the resources of a kind that are still worked on.
func (c *client) things(k *kind) (out []*thing) {
	for _, t := range c.own {
		if t.kind == k {
			out = append(out, t)
		}
	}
	return out
}

// choose takes what fits, and now and then anything.
func (c *client) choose(t *thing) verb {
	var fit []verb
	for _, v := range t.kind.verbs {
		if slices.Contains(v.from, t.want[0]) {
			fit = append(fit, v)
		}
	}
	if len(fit) == 0 || c.chance.IntN(12) == 0 {
		fit = t.kind.verbs
	}
	return fit[c.chance.IntN(len(fit))]
}

// create makes a resource under a key, and asks again with the same key until there
// is an answer; sometimes it asks twice from the start.
func (c *client) create(ctx context.Context, k *kind) {
	c.made++
	name := fmt.Sprintf("chaos-%d-%d", c.n, c.made)
	again := 0
	if c.chance.IntN(20) == 0 {
		again = 1
	}
	for ctx.Err() == nil {
		status, o, err := c.ask(ctx, c.api(), http.MethodPost, "/v1/"+k.path, name, k.body(name))
		c.count(status, err)
		if status != http.StatusCreated {
			pause(ctx, 100*time.Millisecond)
			continue
		}
		if c.note(k, name, o); again == 0 {
			break
		}
		again--
		c.repeated.Add(1)
	}
	if t := c.own[len(c.own)-1]; t.name == name && c.chance.IntN(8) == 0 {
		c.act(ctx, t, c.choose(t)) // while it is being made
	}
}

// note keeps a resource that was made. An answer that shows another under the same
// name is kept as well: the account will find it.
func (c *client) note(k *kind, name string, o map[string]any) {
	id, _ := o["id"].(string)
	uuid, _ := o["uuid"].(string)
	for _, t := range c.own {
		if t.name == name && t.uuid == uuid {
			return
		}
	}
	t := &thing{kind: k, id: number(id), path: "/v1/" + k.path + "/" + id, name: name, uuid: uuid, want: []string{k.first()},
		accepted: map[string]int{strings.ToLower(k.typ) + ".create": 1}, unsure: map[string]int{}, asked: time.Now()}
	t.say("create accepted as %s", id)
	c.own = append(c.own, t)
	c.load.accepted.Add(1)
	c.created.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.load.things = append(c.load.things, t)
}

// number is what stands behind the letters of an id: 7 of 1i7.
func number(id string) int64 {
	at := strings.LastIndexFunc(id, func(r rune) bool { return r < '0' || r > '9' })
	n, _ := strconv.ParseInt(id[at+1:], 10, 64)
	return n
}

// act asks for one thing, once.
func (c *client) act(ctx context.Context, t *thing, v verb) {
	method, path := http.MethodPost, t.path+"/?action="+v.name
	if v.name == "remove" {
		method, path = http.MethodDelete, t.path
	}
	status, o, err := c.ask(ctx, c.api(), method, path, "", nil)
	c.count(status, err)
	t.asked = time.Now()
	process := asked(t.kind.typ, v.name)
	switch {
	case err != nil || status >= 500:
		t.say("%s: no answer: %d %v", v.name, status, err)
		t.unsure[process]++
		t.since = time.Now()
		t.want = append(t.want, v.to)
		pause(ctx, 50*time.Millisecond)
	case status >= 400:
		t.say("%s refused: %d", v.name, status)
	case v.name == "remove" && o["state"] == "removed":
		t.say("remove found it done")
	default:
		c.accepted.Add(1)
		t.say("%s accepted", v.name)
		t.accepted[process]++
		if v.name == "stop" && t.want[0] == "removed" { // a removal begins as a stop, and goes on whichever stop is done first
			break
		}
		if time.Since(t.since) > 30*time.Second { // what got no answer may still be under way
			t.want = nil
		}
		t.want = append([]string{v.to}, t.want...)
	}
	c.own = slices.DeleteFunc(c.own, func(o *thing) bool { return o == t })
	if t.want[0] != "purged" || status >= 500 || err != nil {
		c.own = append(c.own, t)
	}
}

// asked is the name under which a verb is found in SQL. The removal of what runs
// begins as a stop, so that both count as one.
func asked(typ, verb string) string {
	if typ == "instance" && verb == "stop" {
		verb = "remove"
	}
	return strings.ToLower(typ) + "." + verb
}

func (c *client) count(status int, err error) {
	switch {
	case err != nil:
		c.unsure.Add(1)
	case status >= 500:
		c.failed.Add(1)
	case status >= 400:
		c.refused.Add(1)
	}
}

// api is any of the API servers.
func (c *client) api() *part {
	apis := c.of("api")
	return apis[c.chance.IntN(len(apis))]
}

func (c *client) ask(ctx context.Context, p *part, method, path, key string, body any) (int, map[string]any, error) {
	return ask(ctx, c.http, p, method, path, key, body)
}

func (r *rig) ask(ctx context.Context, p *part, method, path, key string, body any) (int, map[string]any, error) {
	return ask(ctx, http.DefaultClient, p, method, path, key, body)
}

// ask sends a request; key makes it one that may be repeated.
func ask(ctx context.Context, by *http.Client, p *part, method, path, key string, body any) (int, map[string]any, error) {
	var text io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		text = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, p.url()+path, text)
	if err != nil {
		return 0, nil, err
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := by.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, err
	}
	o := map[string]any{}
	if err := json.Unmarshal(b, &o); err != nil && resp.StatusCode < 300 {
		return 0, nil, err
	}
	return resp.StatusCode, o, nil
}
