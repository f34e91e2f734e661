package handler

import (
	"context"
	"slices"
	"strings"

	"github.com/cattleio/cattle/shared/process"
)

func externalHandlerHandlers() []process.Handler {
	return []process.Handler{
		on("ExternalHandlerActivate", externalHandlerActivate, "externalhandler.activate"),
	}
}

const (
	handlerMap     = "externalHandlerExternalHandlerProcessMap"
	handlerProcess = "externalHandlerProcess"
)

// externalHandlerActivate attaches a handler from outside to the processes that it
// was registered for, and to no process twice.
func externalHandlerActivate(ctx context.Context, run process.Run) (*process.Answer, error) {
	row := run.Resource()
	maps, err := find(ctx, run, handlerMap, process.Match{"externalHandlerId": row.ID()})
	if err != nil {
		return nil, err
	}
	var mapped []string
	for _, m := range maps {
		p, err := run.Get(ctx, handlerProcess, m.Int("externalHandlerProcessId"))
		if err != nil {
			return nil, err
		}
		mapped = append(mapped, p.Str("name"))
	}
	for _, name := range processNames(row.Field("processNames")) {
		if slices.Contains(mapped, name) {
			continue
		}
		if err := run.Lock(ctx, "CREATE.EXTERNAL.HANDLER.PROCESS.LOCK."+name); err != nil {
			return nil, err
		}
		p, err := one(ctx, run, handlerProcess, process.Match{"name": name}, nil)
		if err != nil {
			return nil, err
		}
		if err := run.Execute(ctx, "externalhandlerprocess.create", p, nil); err != nil {
			return nil, err
		}
		m, err := run.Create(ctx, handlerMap, map[string]any{"externalHandlerId": row.ID(), "externalHandlerProcessId": p.ID()})
		if err != nil {
			return nil, err
		}
		mapped, maps = append(mapped, name), append(maps, m)
	}
	if err := each(ctx, run, "externalhandlerexternalhandlerprocessmap.create", maps, nil); err != nil {
		return nil, err
	}
	return with(map[string]any{"processNames": nil})
}

// processNames lists the names in a registration: texts of names with commas
// between them, in lists within lists.
func processNames(v any) []string {
	var out []string
	switch x := v.(type) {
	case string:
		for _, name := range strings.Split(x, ",") {
			if name = strings.TrimSpace(name); name != "" {
				out = append(out, name)
			}
		}
	case []any:
		for _, inner := range x {
			out = append(out, processNames(inner)...)
		}
	}
	return out
}
