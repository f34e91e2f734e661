package handler

import "strings"

// replied are the columns and fields that the reply of an agent may set; data may
// be merged except for data.fields, of which only these names pass. An agent that
// sends more is not refused: the rest is left out.
var replied = map[string]bool{
	"format": true, "virtualSizeMb": true, "physicalSizeMb": true,
	"dockerHostIp": true, "dockerPorts": true, "dockerIp": true,
	"libvirtVncAddress": true, "libvirtVncPassword": true, "capabilities": true,
}

// related are the rows that a reply about a map may reach.
var related = map[string]bool{"instance": true, "image": true, "volume": true, "storagePool": true, "host": true}

// allowed returns what an agent may set of what it sent.
func allowed(result map[string]any) map[string]any {
	out := map[string]any{}
	for name, v := range result {
		bare := strings.TrimPrefix(name, "+")
		inner, isMap := v.(map[string]any)
		switch {
		case bare == "data" && isMap:
			out["+data"] = allowedData(inner)
		case related[name] && isMap:
			out[name] = allowed(inner)
		case replied[bare]:
			out[name] = v
		}
	}
	return out
}

// allowedData passes every key of data but those of the engine.
func allowedData(data map[string]any) map[string]any {
	out := map[string]any{}
	for name, v := range data {
		if strings.TrimPrefix(name, "+") != "fields" {
			out[name] = v
			continue
		}
		fields := map[string]any{}
		if m, ok := v.(map[string]any); ok {
			for k, x := range m {
				if replied[strings.TrimPrefix(k, "+")] {
					fields[k] = x
				}
			}
		}
		out["+fields"] = fields
	}
	return out
}
