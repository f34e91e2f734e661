package api

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/gofiber/fiber/v2"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/api/rest"
	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/item"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
)

// content hands out configuration items, and takes down what agents have applied.
type content struct {
	store   *store.Store
	bundles func() item.Bundles
}

func (h content) serve(c *fiber.Ctx, caller auth.Caller, name string) error {
	agent, err := h.agent(c, caller)
	if err != nil {
		return err
	}
	if c.Method() == fiber.MethodPut {
		return h.applied(c, agent, name)
	}
	status, err := h.store.ItemOf(c.UserContext(), agent, name)
	if err != nil {
		return err
	}
	bundle, err := h.bundles().Get(name)
	if status == nil || errors.Is(err, item.ErrUnknown) {
		return fault.NotFound()
	}
	if err != nil {
		return err
	}
	var archive bytes.Buffer
	if err := bundle.Write(&archive, fmt.Sprint(status.Requested, "-", bundle.Source()), c.Query("current")); err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEOctetStream)
	return c.Send(archive.Bytes())
}

// agent is the caller's own; one who sees all of them, or has several, names it.
func (h content) agent(c *fiber.Ctx, caller auth.Caller) (int64, error) {
	unnamed := fault.Invalid("MissingRequired", "agentId", "agentId is required")
	id, _ := rest.Input(c)["agentId"].(int64)
	if caller.AllAccounts {
		if id == 0 {
			return 0, unnamed
		}
		return id, nil
	}
	agents, err := h.store.Find(c.UserContext(), resource.All.Type("agent"), map[string]any{"accountId": caller.AccountID, "removed": nil})
	if err != nil {
		return 0, err
	}
	if id == 0 && len(agents) > 1 {
		return 0, unnamed
	}
	i := slices.IndexFunc(agents, func(a *schema.Row) bool { return id == 0 || a.ID() == id })
	if i < 0 {
		return 0, fault.NotFound()
	}
	return agents[i].ID(), nil
}

func (h content) applied(c *fiber.Ctx, agent int64, name string) error {
	version, _ := rest.Input(c)["version"].(string)
	known := false
	err := h.store.Write(c.UserContext(), "configuration item", func(tx *store.Tx) (err error) {
		known, err = tx.ApplyItem(c.UserContext(), agent, name, version)
		return err
	})
	if err == nil && !known {
		err = fault.NotFound()
	}
	if err != nil {
		return err
	}
	none := map[string]any{}
	return c.JSON(map[string]any{"type": "configContent", "id": name, "links": none, "actions": none, "version": version}, "application/json; charset=utf-8")
}
