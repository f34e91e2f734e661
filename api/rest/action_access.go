package rest

import (
	"slices"
	"strings"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/wire"
)

// The actions with which one looks at an instance, or works in it. They change nothing in
// the database, and are in no published schema: clients know the actions of a release.
// Whoever may stop an instance may take them.
var accesses = []string{wire.AccessLogs, wire.AccessExecute, wire.AccessScreen}

// accessTo returns which of them a name is, "" for none of a type's.
func accessTo(s *shape, name string) string {
	i := slices.IndexFunc(accesses, func(a string) bool { return strings.EqualFold(a, name) })
	if i < 0 || s.typ.Base().Name != "instance" || !slices.ContainsFunc(s.actions, func(a actionSlot) bool { return a.name == "stop" }) {
		return ""
	}
	return accesses[i]
}

// What may be said of an access.
var (
	accessFollow  = schema.Bool("follow")
	accessLines   = schema.Int("lines")
	accessCommand = schema.New("command", "array[string]").NeverNull()
	accessTTY     = schema.Bool("tty")
	accessStdin   = schema.Bool("attachStdin")
)

// defaultLines is how many lines of a log are shown that were written before.
const defaultLines = 100

// giveAccess answers with a ticket and with the address that takes it.
func (r *request) giveAccess(t *auth.Type, id int64, what string) error {
	row, err := r.writable(t, id)
	if err != nil {
		return err
	}
	if state := row.State(); what != wire.AccessLogs && state != "running" {
		return fault.Invalid("ActionNotAvailable", "action", "%s is not possible while the state is %s", what, state)
	}
	wanted, err := r.wantedAccess(what)
	if err != nil {
		return err
	}
	if r.api.Access == nil {
		return fault.Unavailable("no host can be asked")
	}
	token, err := r.api.Access(r.ctx, r.caller.AccountID, r.caller.KeyID, row, wanted)
	if err != nil {
		return err
	}
	o := open(nil)
	o.raw("id", "null")
	o.text("type", "hostAccess")
	o.raw("links", "{}")
	o.raw("actions", "{}")
	o.text("url", "ws"+strings.TrimPrefix(r.base, "http")+"/v1/hostaccess")
	o.text("token", token)
	if what == wire.AccessScreen {
		o.value("password", row.Field("libvirtVncPassword"))
	}
	r.changed(t, row.Key(), what, 200)
	return r.send(200, o.close())
}

// wantedAccess reads what is said of an access.
func (r *request) wantedAccess(what string) (wire.Access, error) {
	wanted := wire.Access{What: what, Lines: defaultLines}
	var fields []*schema.Field
	switch what {
	case wire.AccessLogs:
		fields = []*schema.Field{accessFollow, accessLines}
	case wire.AccessExecute:
		fields = []*schema.Field{accessCommand, accessTTY, accessStdin}
	}
	in, err := r.readInput()
	if err != nil {
		return wanted, err
	}
	for _, f := range fields {
		sent, ok := in.values[f.Name]
		if !ok {
			continue
		}
		v, err := r.convert(f.Name, f.Type, sent)
		if err == nil {
			err = r.check(nil, &auth.Field{Field: f}, v, 0)
		}
		if err != nil {
			return wanted, err
		}
		switch f {
		case accessFollow:
			wanted.Follow, _ = v.(bool)
		case accessLines:
			wanted.Lines, _ = v.(int64)
		case accessTTY:
			wanted.TTY, _ = v.(bool)
		case accessStdin:
			wanted.Input, _ = v.(bool)
		case accessCommand:
			words, _ := v.([]any)
			for _, w := range words {
				word, _ := w.(string)
				wanted.Command = append(wanted.Command, word)
			}
		}
	}
	if what == wire.AccessExecute && len(wanted.Command) == 0 {
		return wanted, fault.Invalid("MissingRequired", "command", "command is required")
	}
	return wanted, nil
}
