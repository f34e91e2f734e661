package rest

import (
	"fmt"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/schema"
)

// executeTask runs a task now, in the background.
func executeTask(r *request, _ *auth.Type, row *schema.Row) error {
	if r.api.RunTask == nil {
		return fault.Unavailable("no tasks run here")
	}
	if err := r.api.RunTask(row.Str("name")); err != nil {
		return fmt.Errorf("cannot run task %s: %w", row.Str("name"), err)
	}
	return r.sendRow(200, row)
}
