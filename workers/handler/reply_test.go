package handler

import (
	"encoding/json"
	"testing"
)

// An agent sets what its command is for, of what that is about. The rest is left out.
func TestWhatAnAgentMaySet(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ command, says, sets string }{
		{"storage.image.activate", `{"+data":{"dockerImage":{"Id":"1"}},"state":"removed"}`, `{"+data":{"dockerImage":{"Id":"1"}}}`},
		{"storage.image.activate", `{"image":{"format":"touch","name":"mine","isPublic":true,"+data":{"dockerImage":{"Id":"1"},"libvirt":{},"+fields":{"dockerIp":"1"}}}}`,
			`{"image":{"+data":{"dockerImage":{"Id":"1"}},"format":"touch"}}`},
		{"storage.image.activate", `{"storagePool":{"+data":{"x":1}},"instance":{"+data":{"x":1}}}`, `{}`},
		{"storage.volume.activate", `{"format":"qcow2","virtualSizeMb":1,"volume":{"format":"qcow2","instanceId":7,"+data":{"libvirt":{"a":1}},"image":{"format":"raw"}}}`,
			`{"format":"qcow2","virtualSizeMb":1,"volume":{"+data":{"libvirt":{"a":1}},"format":"qcow2"}}`},
		{"storage.volume.remove", `{"image":{"format":"raw"},"host":{"+data":{"x":1}}}`, `{}`},
		{"compute.instance.activate", `{"hostId":9,"instance":{"accountId":1,"uuid":"u","kind":"k","token":"t","agentId":5,"removed":1,"image":{"format":"raw"},
			"+data":{"+libvirt":{"xml":"x"},"own":1,"io.cattle.platform.x":1,"+fields":{"dockerIp":"1","startOnCreate":false,"+capabilities":["console"]}}}}`,
			`{"instance":{"+data":{"+fields":{"+capabilities":["console"],"dockerIp":"1"},"+libvirt":{"xml":"x"},"own":1}}}`},
		{"compute.instance.deactivate", `{"instance":{"data":{"fields":5}}}`, `{"instance":{"+data":{"+fields":{}}}}`},
		{"compute.instance.deactivate", `{"host":{"+data":{"libvirt":{"type":"xen"}}},"instance":5}`, `{}`},
	} {
		var says map[string]any
		if err := json.Unmarshal([]byte(x.says), &says); err != nil {
			t.Fatal(err)
		}
		if sets, _ := json.Marshal(allowed(x.command, says)); string(sets) != x.sets {
			t.Errorf("%s sets %s, not %s", x.command, sets, x.sets)
		}
	}
}
