package gateway

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/cattleio/cattle/shared/wire"
)

// changes makes resource.change out of all that is told about resources: at most
// one event a second for each, with the resource as its reader sees it. Each
// gateway does so for its own readers, and only while it has some: no leader has
// to be found, nothing is missed while one changes, and nobody pays for readers
// that do not exist. What a reader sees is asked of an API server, once for all
// readers with the same view.
type changes struct {
	g *Gateway

	life sync.Mutex // held while readers come and go
	stop []func()

	mu      sync.Mutex
	readers map[int64]reader
	next    int64
	news    map[changed]int64 // the account that it belongs to, or unknown
	past    past
	gap     bool // news were dropped
}

// reader is a subscription to resource.change.
type reader struct {
	*stream
	account string // only resources of this one; "" for all
	name    string // of the events it gets; "" for the plain one
}

// changed is a resource as it was named by whoever told.
type changed struct{ typ, id string }

const (
	unknown  = -1
	tick     = time.Second
	askers   = 32      // views asked for at the same time
	mostNews = 100_000 // beyond that news are lost: readers are told the next time
)

func newChanges(g *Gateway) *changes {
	return &changes{g: g, readers: map[int64]reader{}, news: map[changed]int64{}}
}

// add begins to serve a reader, and returns how to end it.
func (c *changes) add(ctx context.Context, r reader) (remove func()) {
	c.life.Lock()
	defer c.life.Unlock()
	if c.stop == nil {
		c.interrupted()
		for _, name := range []string{wire.StateChange, wire.ProgressChange, wire.APIChange} {
			c.stop = append(c.stop, c.g.Bus.Subscribe(ctx, wire.EventChannel(name), c.hear))
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next++
	id := c.next
	c.readers[id] = r
	if r.resumes {
		if c.past.linger != nil {
			c.past.linger.Stop()
			c.past.linger = nil
		}
		missed, upTo := c.resume(r)
		r.atBegin = func() {
			if r.expired {
				r.expire()
			}
			if r.behind.Load() {
				go c.catchUp(r, missed, upTo)
			}
		}
	}
	return func() { c.remove(id) }
}

func (c *changes) remove(id int64) {
	c.life.Lock()
	defer c.life.Unlock()
	c.mu.Lock()
	if c.readers[id].resumes && c.past.linger == nil {
		c.past.linger = time.AfterFunc(lingering, c.leave)
	}
	delete(c.readers, id)
	c.mu.Unlock()
	c.rest()
}

// leave forgets the past when no reader with a cursor has come back.
func (c *changes) leave() {
	c.life.Lock()
	defer c.life.Unlock()
	c.mu.Lock()
	c.past.linger = nil
	c.mu.Unlock()
	c.rest()
}

// rest stops listening when nobody reads or may come back. c.life is held.
func (c *changes) rest() {
	c.mu.Lock()
	wanted := len(c.readers) > 0 || c.past.linger != nil
	c.mu.Unlock()
	if wanted {
		return
	}
	for _, stop := range c.stop {
		stop()
	}
	c.stop = nil
}

// hear notes a resource that somebody told about.
func (c *changes) hear(payload string) {
	var e struct {
		Name         string
		ResourceType string
		ResourceID   string
		Data         struct {
			AccountID int64
		}
	}
	if json.Unmarshal([]byte(payload), &e) != nil || e.ResourceType == "" || e.ResourceID == "" {
		return
	}
	owner := e.Data.AccountID
	// There it is the account that asked for the change. The API names what it creates, too:
	// a type without processes has no other news of that.
	if e.Name == wire.APIChange {
		owner = unknown
	}
	k := changed{e.ResourceType, e.ResourceID}
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok := c.news[k]
	if ok && owner == unknown {
		owner = known
	}
	if !ok && len(c.news) >= mostNews {
		c.g.dropped.Add(1)
		c.gap = true
		return
	}
	c.news[k] = owner
}

// run tells readers every second what has changed, until ctx ends. While that
// takes longer, more is told at once.
func (c *changes) run(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		c.mu.Lock()
		news, gap := c.news, c.gap
		c.news, c.gap = map[changed]int64{}, false
		if len(news) > 0 {
			c.past.keep(news)
		}
		round, age := c.past.round, c.past.age
		views := c.viewsOf(c.readers)
		c.mu.Unlock()
		if gap {
			c.interrupted()
		}
		if len(views) == 0 {
			c.done(round, age)
			continue
		}
		var g errgroup.Group
		g.SetLimit(askers)
		for k, owner := range news {
			g.Go(func() error {
				if c.tell(ctx, k, owner, views) != nil {
					c.again(k, owner)
				}
				return nil
			})
		}
		_ = g.Wait()
		c.done(round, age)
	}
}

// view is what decides how a resource looks to a reader.
type view struct {
	account int64 // 0 for those who see the rows of all
	kind    string
	plain   bool
	base    string
	include string
}

// again notes a change that could not be told: it comes with the next ones.
func (c *changes) again(k changed, owner int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.news[k]; !ok && len(c.news) < mostNews {
		c.news[k] = owner
	}
}

// viewsOf groups readers by what they see.
func (c *changes) viewsOf(some map[int64]reader) map[view][]reader {
	out := map[view][]reader{}
	for _, r := range some {
		v := view{r.who.AccountID, r.who.Kind, r.plain, r.base, strings.Join(r.include, "\x00")}
		if r.who.All {
			v.account = 0
		}
		out[v] = append(out[v], r)
	}
	return out
}

// tell tells all who want to know about one resource.
func (c *changes) tell(ctx context.Context, k changed, owner int64, views map[view][]reader) error {
	id, err := strconv.ParseInt(k.id, 10, 64)
	if err != nil {
		return nil //nolint:nilerr // it names no row
	}
	var failed error
	for v, readers := range views {
		var wanting []reader
		for _, r := range readers {
			if r.account != "" && owner == unknown {
				a, err := c.g.askView(ctx, wire.ViewRequest{Type: k.typ, ResourceID: id})
				if err != nil {
					return err
				}
				owner = a.Owner
			}
			if r.account == "" || r.account == strconv.FormatInt(owner, 10) {
				wanting = append(wanting, r)
			}
		}
		if len(wanting) == 0 {
			continue
		}
		r := wanting[0]
		a, err := c.g.askView(ctx, wire.ViewRequest{AccountID: r.who.AccountID, Plain: v.plain, BaseURL: v.base, Include: r.include, Type: k.typ, ResourceID: id})
		if err != nil {
			c.g.Log.Debug("a change was not told", "type", k.typ, "resource", k.id, "err", err)
			failed = err
			continue
		}
		for _, r := range wanting {
			r.tell(k, a.Resource)
		}
	}
	return failed
}

func (r reader) tell(k changed, resource json.RawMessage) {
	e := &wire.Event{ID: uuid.NewString(), Name: wire.ResourceChange, ResourceType: wire.Text(k.typ), ResourceID: wire.Text(k.id), TimeMillis: time.Now().UnixMilli()}
	if r.name != "" {
		e.Name = r.name
	}
	if len(resource) > 0 && string(resource) != "null" {
		e.Data, _ = wire.Encode(map[string]json.RawMessage{"resource": resource})
	}
	show(e, r.plain)
	if r.resumes {
		e.Cursor, _ = r.at.Load().(string)
	}
	r.send(e)
}

// askView asks the API server that spoke last, or else all of them.
func (g *Gateway) askView(ctx context.Context, q wire.ViewRequest) (a wire.ViewAnswer, err error) {
	q.ID, q.ReplyTo = uuid.NewString(), g.address()
	g.mu.Lock()
	teller := g.teller
	g.mu.Unlock()
	err = g.ask(ctx, q.ID, q, &a, wire.ServerChannel("api."+teller), wire.ViewChannel)
	return a, err
}
