package agent

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/agent/driver"
)

// pingTime is what a driver has for its report: the server waits 5 s.
const pingTime = 4 * time.Second

// pinger answers pings beside the commands, one at a time.
type pinger struct {
	drivers map[string]driver.Driver
	home    home
	send    func(*wire.Event) error
	log     *slog.Logger
	pings   chan *wire.Event
	silent  map[string]bool // drivers that could not tell last time
}

func newPinger(drivers map[string]driver.Driver, home home, send func(*wire.Event) error, log *slog.Logger) *pinger {
	return &pinger{drivers: drivers, home: home, send: send, log: log, pings: make(chan *wire.Event, 10), silent: map[string]bool{}}
}

// take accepts a ping and returns at once. One that asks for no answer only keeps
// the connection alive; too many are dropped, because the next one is near.
func (p *pinger) take(e *wire.Event) {
	if e.ReplyTo == nil {
		return
	}
	select {
	case p.pings <- e:
	default:
		p.log.Warn("ping dropped, too many are waiting")
	}
}

func (p *pinger) run(ctx context.Context) error {
	for {
		select {
		case e := <-p.pings:
			_ = p.send(p.answer(ctx, e)) // whoever lost the connection pings again
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *pinger) answer(ctx context.Context, e *wire.Event) *wire.Event {
	var data wire.PingData
	_ = json.Unmarshal(e.Data, &data) // a ping without data asks for nothing
	asked := data.Options
	data.Resources = []wire.Resource{}
	if asked.Resources || asked.Instances {
		data = p.report(ctx, asked)
	}
	answer, err := e.Reply(data)
	if err != nil {
		return e.Fail("cannot write the answer", err.Error())
	}
	return answer
}

// report asks every driver. The list of instances is called complete only when it
// is: a driver that could not tell makes it incomplete, unless what it drives was
// never met on this host.
func (p *pinger) report(ctx context.Context, asked wire.PingOptions) wire.PingData {
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	data := wire.PingData{Options: asked, Resources: []wire.Resource{}}
	for _, kind := range slices.Sorted(maps.Keys(p.drivers)) {
		resources, err := p.drivers[kind].Report(ctx, asked)
		if err == nil && !p.home.met(kind) {
			err = p.home.meet(kind)
		}
		if err != nil {
			absent := errors.Is(err, driver.ErrAbsent) && !p.home.met(kind)
			data.Options.Instances = data.Options.Instances && absent
		}
		p.note(ctx, kind, err)
		if err != nil {
			continue
		}
		data.Resources = merge(data.Resources, resources)
	}
	return data
}

// note logs when a driver falls silent and when it speaks again.
func (p *pinger) note(ctx context.Context, kind string, err error) {
	switch was := p.silent[kind]; {
	case err != nil && !was:
		p.log.WarnContext(ctx, "no report from driver", "driver", kind, "err", err)
	case err == nil && was:
		p.log.InfoContext(ctx, "driver reports again", "driver", kind)
	}
	p.silent[kind] = err != nil
}

// merge leaves out what another driver reported already, as the machine they share.
func merge(all, more []wire.Resource) []wire.Resource {
	for _, r := range more {
		known := slices.ContainsFunc(all, func(o wire.Resource) bool { return o.Type == r.Type && o.UUID == r.UUID })
		if r.Type == "instance" || !known {
			all = append(all, r)
		}
	}
	return all
}
