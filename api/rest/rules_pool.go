package rest

import (
	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
)

// acquireAddress hands out an address of a pool.
func acquireAddress(r *request, _ *auth.Type, pool *schema.Row) error {
	subnets, err := r.api.Store.Find(r.ctx, resource.All.Type("subnet"), map[string]any{"ipPoolId": pool.ID(), "state": "active"})
	if err != nil {
		return err
	}
	values := map[string]any{"kind": "pooledIpAddress", "role": "public", "ipPoolId": pool.ID(), "accountId": r.caller.AccountID}
	if len(subnets) > 0 {
		values["subnetId"] = subnets[0].ID()
	}
	var row *schema.Row
	err = r.write("acquire", func(w *write) error {
		row = newRow(resource.All.Type("ipAddress"), w.now, values)
		row.SetField("capabilities", []any{"associate"})
		return w.launch(row, "create", values)
	})
	if err != nil {
		return err
	}
	return r.sendRow(200, row)
}
