package libvirt

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestHowATemplateIsFilledIn(t *testing.T) {
	t.Parallel()
	values := map[string]any{"a": "x<y", "n": json.Number("163840"), "list": []map[string]any{{"v": "1"}, {"v": "2"}},
		"r": row{"b": map[string]any{"c": "deep"}}, "none": []string{}}
	for text, want := range map[string]string{
		`{{.a}} {{xml .a}} {{.a | xml}}`: "x<y x&lt;y x&lt;y",
		`{{.n}}`:                         "163840",
		`{{range .list}}[{{.v}}]{{else}}none{{end}}`:                     "[1][2]",
		`{{range .none}}x{{else}}none{{end}}`:                            "none",
		`{{range $i, $v := .list}}{{$i}}={{$v.v}} {{end}}`:               "0=1 1=2 ",
		`{{.r.b.c}}{{.r.x.y.z}}`:                                         "deep",
		`{{with .r.b}}{{.c}}{{$.n}}{{end}}`:                              "deep163840",
		`{{if and .a (not .none)}}yes{{else}}no{{end}}`:                  "yes",
		`{{if eq .r.b.c "deep"}}yes{{else if .a}}no{{end}}`:              "yes",
		`{{if ne .a "x"}}{{printf "%s-%s" .r.b.c "s"}}{{end}}`:           "deep-s",
		`{{$x := "1"}}{{if .a}}{{$x = "2"}}{{end}}{{$x}}`:                "2",
		`{{block "q" .r}}{{.b.c}}{{end}}{{define "z"}}never{{end}}`:      "deep",
		`{{or .none "otherwise"}}`:                                       "otherwise",
		`{{/* nothing */}}{{- .a -}}  .`:                                 "x<y.",
		`{{.a.b}}`:                                                       "error: there is no b in x<y",
		`{{template "gone"}}`:                                            `error: there is no block "gone"`,
		`{{define "loop"}}{{template "loop"}}{{end}}{{template "loop"}}`: `error: block "loop" goes around in a circle`,
		`{{range .a}}{{end}}`:                                            "error: .a is no list",
		`{{break}}`:                                                      "error: template: t:1: {{break}} outside {{range}}",
	} {
		all, err := parseTrees("t", text)
		got := ""
		if err == nil {
			got, err = all.weave("t", values)
		}
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

func TestATemplateOfOlderAgents(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{{define "x"}}y{{end}}`: `{{define "x"}}y{{end}}`,
		"<%inherit file=\"/default_template.tmpl\"/>\n<%block name=\"graphics\">\n<graphics type=\"spice\"/></%block>": "{{define \"graphics\"}}\n<graphics type=\"spice\"/>{{end}}",
		"<%block name=\"x\">${instance.uuid}</%block>":                                                                 "error: block x holds more than XML",
		"<%block name=\"x\">\n% if a:\n</%block>":                                                                      "error: block x holds more than XML",
		"<%inherit file=\"/other.tmpl\"/>":                                                                             "error: it holds more than blocks",
	} {
		got, err := translate(text)
		if err != nil {
			got = "error: " + err.Error()
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

// Of the templates that an instance names the first that exists is taken.
func TestAnInstanceNamesItsTemplates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "there.tmpl"), []byte(`{{define "header"}}{{.x}}{{end}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &Driver{config: Config{TemplateDirs: []string{dir}}}
	for asked, want := range map[string]string{"there.tmpl": "y", "nowhere.tmpl, there.tmpl": "y", "nowhere.tmpl there.tmpl,": "y", "nowhere.tmpl,default_template.tmpl": "<domain", "nowhere.tmpl": "there is no template nowhere.tmpl"} {
		got, err := d.render(asked, map[string]any{"x": "y", "type": "qemu"})
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(strings.TrimSpace(got), want) {
			t.Errorf("%s: %s", asked, got)
		}
	}
}

func TestInterfacesOfAMachine(t *testing.T) {
	t.Parallel()
	var instance row
	text := `{"nics":[
		{"deviceNumber":1,"macAddress":"02:03:04:05:06:08","data":{"libvirt":{"network":{"type":"user"}}}},
		{"deviceNumber":0,"macAddress":"02:03:04:05:06:07","network":{"data":{"libvirt":{"network":{"type":"bridge","source":[{"bridge":"a\"b"}]}}}}},
		{"deviceNumber":2,"removed":1}]}`
	if err := json.Unmarshal([]byte(text), &instance); err != nil {
		t.Fatal(err)
	}
	got, err := interfaces(instance, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`<interface type="bridge"><mac address="02:03:04:05:06:07"></mac><source bridge="a&#34;b"></source></interface>`,
		`<interface type="user"><mac address="02:03:04:05:06:08"></mac></interface>`} {
		if !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("%s is not among %s", want, got)
		}
	}
	if got, err := interfaces(row{}, nil); err != nil || len(got) != 1 || got[0] != `<interface type="network"><source network="default"></source></interface>` {
		t.Errorf("without a nic there is %v, %v", got, err)
	}
	if _, err := interfaces(row{"nics": []any{map[string]any{"data": map[string]any{"libvirt": map[string]any{"network": map[string]any{"a><b": "c"}}}}}}, nil); err == nil {
		t.Error("a name that is none went through")
	}
}

func TestDevicesBeyondTheAlphabet(t *testing.T) {
	t.Parallel()
	for number, want := range map[int]string{0: "vda", 25: "vdz", 26: "vdaa", 27: "vdab", 701: "vdzz", 702: "vdaaa"} {
		if got := deviceName(number); got != want {
			t.Errorf("device %d is %s, want %s", number, got, want)
		}
	}
}

// A processor, its module and the device have to be there: the device alone may be one
// on which nothing starts.
func TestWhereKVMIs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		device, flag, module string
		want                 bool
	}{
		{"kvm", "vmx", "kvm_intel", true}, {"kvm", "svm", "kvm_amd", true}, {"kvm", "svm", "kvm_intel", false},
		{"", "vmx", "kvm_intel", false}, {"kvm", "", "kvm_intel", false}, {"kvm", "vmx", "", false},
	} {
		root := t.TempDir() + "/"
		for path, text := range map[string]string{"dev/" + c.device: "", "proc/cpuinfo": "flags\t: fpu " + c.flag + "\n", "proc/modules": c.module + " 1 0\n"} {
			_ = os.MkdirAll(filepath.Dir(root+path), 0o755)
			_ = os.WriteFile(root+path, []byte(text), 0o644) // a directory where the device is missing
		}
		if got := hasKVM(root); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
