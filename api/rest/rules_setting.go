package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/config"
	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
)

// settingType answers /v1/settings and /v1/activesettings. Both show settings as
// they are in force, wherever they come from.
func settingType(r *request, t *auth.Type) error {
	switch {
	case len(r.segments) > 3:
		return fault.NotFound()
	case len(r.segments) == 2 && r.method == "GET":
		return r.listSettings(t)
	case len(r.segments) == 2:
		return r.createSetting(t)
	}
	name, row, err := r.findSetting(r.segments[2])
	if err != nil {
		return err
	}
	switch r.method {
	case "PUT":
		return r.putSetting(t, name, row)
	case "DELETE":
		return r.deleteSetting(t, name, row)
	}
	return r.send(200, r.appendSetting(nil, name, row))
}

// settingRows reads all settings of the database by name.
func (r *request) settingRows() (map[string]*schema.Row, error) {
	rows, err := r.api.Store.Find(r.ctx, resource.All.Type("setting"), nil)
	if err != nil {
		return nil, err
	}
	out := map[string]*schema.Row{}
	for _, row := range rows {
		out[row.Str("name")] = row
	}
	return out, nil
}

func (r *request) listSettings(t *auth.Type) error {
	rows, err := r.settingRows()
	if err != nil {
		return err
	}
	names := make([]string, 0, len(rows))
	for name := range rows {
		names = append(names, name)
	}
	for _, v := range r.api.Settings.All() {
		if rows[v.Name] == nil {
			names = append(names, v.Name)
		}
	}
	slices.Sort(names)
	return r.sendDocs(t, func(b []byte) []byte {
		for i, name := range names {
			if i > 0 {
				b = append(b, ',')
			}
			b = r.appendSetting(b, name, rows[name])
		}
		return b
	})
}

// findSetting reads the id of a setting: that of its row, or its name. A name that
// nobody knows is a setting without a value.
func (r *request) findSetting(id string) (string, *schema.Row, error) {
	stored := id
	if _, err := strconv.ParseInt(id, 10, 64); err != nil || !r.plain {
		var ok bool
		if stored, ok = schema.ParseID(id); !ok || stored == "" {
			return "", nil, fault.NotFound()
		}
	}
	if n, err := strconv.ParseInt(stored, 10, 64); err == nil {
		row, err := r.api.Store.Get(r.ctx, resource.All.Type("setting"), n)
		if err != nil {
			return "", nil, err
		}
		return row.Str("name"), row, nil
	}
	rows, err := r.settingRows()
	if err != nil {
		return "", nil, err
	}
	name := knownName(stored, rows, r.api.Settings.All())
	return name, rows[name], nil
}

// knownName finds a setting by its exact name or, if there is none, in any case.
func knownName(name string, rows map[string]*schema.Row, known []config.Value) string {
	if rows[name] != nil || slices.ContainsFunc(known, func(v config.Value) bool { return v.Name == name }) {
		return name
	}
	for other := range rows {
		if strings.EqualFold(other, name) {
			return other
		}
	}
	for _, v := range known {
		if strings.EqualFold(v.Name, name) {
			return v.Name
		}
	}
	return name
}

func (r *request) appendSetting(b []byte, name string, row *schema.Row) []byte {
	id := name
	if row != nil {
		id = row.Key()
	}
	if t := resource.All.Type("activeSetting"); !r.plain {
		id = t.Obfuscate(id)
	}
	active, known := r.api.Settings.Lookup(name)
	known = known && !config.Hidden(name)
	o := open(b)
	o.text("id", id)
	o.text("type", "activeSetting")
	o.key("links")
	links := open(o.b)
	links.text("self", r.base+"/v1/activesettings/"+pathEscape(id))
	o.b = links.close()
	o.raw("actions", "{}")
	o.text("name", name)
	switch {
	case row != nil:
		o.value("value", row.Get("value"))
	case known:
		o.text("value", active.Value)
	default:
		o.raw("value", "null")
	}
	if known {
		o.text("activeValue", active.Value)
	} else {
		o.raw("activeValue", "null")
	}
	o.value("inDb", row != nil)
	o.value("source", optional(active.Source))
	return o.close()
}

// setting is the setting of a row as it is in force, nil if there is no such row.
func (r *request) setting(id int64) (json.RawMessage, error) {
	row, err := r.api.Store.Get(r.ctx, resource.All.Type("setting"), id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return r.appendSetting(nil, row.Str("name"), row), nil
}

// pathEscape writes an id into a URL, leaving alone what paths may hold.
func pathEscape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!._-:@", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

func (r *request) createSetting(t *auth.Type) error {
	values, err := r.values(r.settingRights(), 0, nil)
	if err != nil {
		return err
	}
	name, _ := values["name"].(string)
	if name == "" {
		return fault.Invalid("MissingRequired", "name", "a setting needs a name")
	}
	rows, err := r.settingRows()
	if err != nil {
		return err
	}
	row, err := r.saveSetting(name, values["value"], rows[name])
	if err != nil {
		return err
	}
	r.changed(t, row.Key(), "", 201)
	return r.send(201, r.appendSetting(nil, name, row))
}

// settingRights returns the type whose fields say what of a setting the caller may
// write.
func (r *request) settingRights() *auth.Type {
	if t := r.view.Type("setting"); t != nil {
		return t
	}
	return r.view.Type("activeSetting")
}

func (r *request) putSetting(t *auth.Type, name string, row *schema.Row) error {
	values, err := r.values(r.settingRights(), -1, nil)
	if err != nil {
		return err
	}
	if v, sent := values["value"]; sent {
		if f := t.Field("value"); f != nil { // null is a value of a setting, and none of what is in force
			if err := r.check(t, f, v, -1); err != nil {
				return err
			}
		}
		if row, err = r.saveSetting(name, v, row); err != nil {
			return err
		}
		r.changed(t, row.Key(), "", 200)
	}
	return r.send(200, r.appendSetting(nil, name, row))
}

func (r *request) deleteSetting(t *auth.Type, name string, row *schema.Row) error {
	if row == nil {
		return r.send(200, r.appendSetting(nil, name, nil))
	}
	last := r.appendSetting(nil, name, row)
	err := r.write("setting", func(w *write) error { return w.Delete(r.ctx, row.Type(), row.ID()) })
	if err == nil {
		err = r.api.ReloadSettings(r.ctx)
	}
	if err != nil {
		return err
	}
	r.changed(t, row.Key(), "", 200)
	return r.send(200, last)
}

// saveSetting writes a setting to the database and puts it in force here.
func (r *request) saveSetting(name string, v any, row *schema.Row) (*schema.Row, error) {
	text, _ := v.(string)
	if !validText(name) || utf8.RuneCountInString(name) > columnLength {
		return nil, fault.Invalid("InvalidFormat", "name", "a setting cannot have that name")
	}
	err := r.write("setting", func(w *write) error {
		if row == nil {
			row = newRow(resource.All.Type("setting"), w.now, map[string]any{"name": name, "value": text})
			return w.Insert(r.ctx, row)
		}
		row.Set("value", text)
		return w.Update(r.ctx, row)
	})
	if err != nil {
		return nil, err
	}
	return row, r.api.ReloadSettings(r.ctx)
}

// ReloadSettings reads the settings of the database again and puts them in force.
func (a *API) ReloadSettings(ctx context.Context) error {
	values, err := a.Store.Settings(ctx)
	if err != nil {
		return fmt.Errorf("cannot read the settings: %w", err)
	}
	a.Settings.SetDatabase(values)
	a.Auth.Forget()
	if a.SettingsChanged != nil {
		a.SettingsChanged()
	}
	return nil
}
