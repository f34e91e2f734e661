package libvirt

import (
	_ "embed"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// defaultTemplate describes a machine, in blocks. A user's template defines blocks of
// these names anew, or says all of it by itself.
//
//go:embed default_template.tmpl
var defaultTemplate string

// defaultName is the default template's.
const defaultName = "default_template.tmpl"

// templateDirs are where a host keeps what its user wrote: a place of its own, where
// the server's configuration items put it, and where a server keeps that on one
// machine with the agent.
func templateDirs(home string) []string {
	return []string{
		filepath.Join(home, "libvirt"),
		filepath.Join(home, "pyagent", "cattle", "plugins", "libvirt"),
		filepath.Join(home, "etc", "cattle", "agents", "pyagent", "cattle", "plugins", "libvirt"),
	}
}

// Names are those of templates, or of their directories, in a text with commas or blanks.
func Names(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

// render fills in the template that was asked for, or the first that exists of the
// configured ones. It is read each time: a user may have changed it.
func (d *Driver) render(asked any, values map[string]any) (string, error) {
	base, err := parseTrees(defaultName, defaultTemplate)
	if err != nil {
		return "", err
	}
	names := d.config.Templates
	name, ok := asked.(string)
	if ok && name != "" {
		names = Names(name)
	}
	path, err := d.templatePath(names, ok && name != "")
	if err != nil {
		return "", err
	}
	if path == "" {
		return base.weave(defaultName, values)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	out, err := overridden(base, string(text), values)
	if err != nil {
		return "", fmt.Errorf("template %s: %w", path, err)
	}
	return out, nil
}

// overridden lays a user's template over the default one. One that is more than
// definitions of blocks stands for the whole.
func overridden(base trees, text string, values map[string]any) (string, error) {
	const whole = "custom"
	text, err := translate(text)
	if err != nil {
		return "", err
	}
	custom, err := parseTrees(whole, text)
	if err != nil {
		return "", err
	}
	all := base.over(custom)
	if all[whole] != nil {
		return all.weave(whole, values)
	}
	return all.weave(defaultName, values)
}

// templatePath is "" for the default template. One that an instance asks for must
// exist.
func (d *Driver) templatePath(names []string, must bool) (string, error) {
	for _, name := range names {
		if filepath.Base(name) == defaultName {
			return "", nil
		}
		places := []string{name}
		if !filepath.IsAbs(name) {
			places = nil
			for _, dir := range d.config.TemplateDirs {
				places = append(places, filepath.Join(dir, name))
			}
		}
		for _, path := range places {
			switch _, err := os.Stat(path); {
			case err == nil:
				return path, nil
			case !errors.Is(err, fs.ErrNotExist):
				return "", err
			}
		}
	}
	if must {
		return "", fmt.Errorf("there is no template %s", strings.Join(names, ", "))
	}
	return "", nil
}

// Of templates in the language of older agents those are understood that inherit the
// default one and define blocks anew that hold nothing but XML.
var (
	makoInherit = regexp.MustCompile(`<%inherit\s+file="/?` + regexp.QuoteMeta(defaultName) + `"\s*/>`)
	makoBlock   = regexp.MustCompile(`(?s)<%block\s+name="(\w+)"\s*>(.*?)</%block>`)
	makoComment = regexp.MustCompile(`(?m)^[ \t]*##.*$`)
	makoLive    = regexp.MustCompile(`(?m)<%|\$\{|^[ \t]*%`)
)

func translate(text string) (string, error) {
	if !strings.Contains(text, "<%") {
		return text, nil
	}
	text = makoInherit.ReplaceAllString(makoComment.ReplaceAllString(text, ""), "")
	var blocks strings.Builder
	for _, found := range makoBlock.FindAllStringSubmatch(text, -1) {
		if makoLive.MatchString(found[2]) {
			return "", fmt.Errorf("block %s holds more than XML; write it with {{define %q}}", found[1], found[1])
		}
		fmt.Fprintf(&blocks, "{{define %q}}%s{{end}}", found[1], strings.ReplaceAll(found[2], "{{", `{{"{{"}}`))
	}
	if rest := strings.TrimSpace(makoBlock.ReplaceAllString(text, "")); rest != "" {
		return "", errors.New("it holds more than blocks; write them with {{define \"…\"}}")
	}
	return blocks.String(), nil
}

// escape writes a value so that it is text in XML.
func escape(v any) string {
	var out strings.Builder
	_ = xml.EscapeText(&out, []byte(written(v))) // a builder takes everything
	return out.String()
}

var xmlName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

func isName(text string) bool { return xmlName.MatchString(text) }

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
