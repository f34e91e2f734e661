package engine

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/store"
)

// keepLog keeps the log of this attempt with the open unit, and with it the one that a
// dead server owes.
func (r *run) keepLog(ctx context.Context) error {
	logs := r.death()
	if r.top != nil {
		logs = append(logs, store.Attempt{UUID: r.top.history.UUID, Text: r.top.history.text()})
	}
	r.logged = true
	return r.tx.Log(ctx, r.p, logs...)
}

// keepDeath keeps what a dead server owes where this attempt leaves no log of its own.
func (r *run) keepDeath(ctx context.Context) error {
	if r.logged {
		return nil
	}
	return r.tx.Log(ctx, r.p, r.death()...)
}

// death is the log of the attempt before this one, if its server died in it.
func (r *run) death() []store.Attempt {
	if !r.p.Terminated {
		return nil
	}
	l := newLog()
	x := &execution{ID: uuid.NewString(), Name: r.p.Name, ProcessName: r.p.Name, ProcessID: &r.p.ID, ResourceType: r.p.ResourceType,
		ResourceID: fmt.Sprint(r.p.ResourceID), Start: r.p.Now, Lock: fmt.Sprintf("%s.%d.CHANGE", r.p.ResourceType, r.p.ResourceID),
		Transitions: []transition{}, Handlers: []*handlerLog{}, Children: []*attemptLog{}}
	x.close(process.ServerTerminated, fmt.Errorf("attempt %d ended without a word: its server died, or lost the database", r.p.Attempts-1))
	l.Executions = append(l.Executions, x)
	return []store.Attempt{{UUID: l.UUID, Text: l.text()}}
}
