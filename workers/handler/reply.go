package handler

import "strings"

// sizes are the columns that the reply of an agent may set of what is stored.
var sizes = map[string]bool{"format": true, "virtualSizeMb": true, "physicalSizeMb": true}

// replied are all columns and fields that it may set; data may be merged except for the
// engine's part of it and data.fields, of which only these names pass. An agent that sends
// more is not refused: the rest is left out.
var replied = map[string]bool{
	"format": true, "virtualSizeMb": true, "physicalSizeMb": true,
	"dockerHostIp": true, "dockerPorts": true, "dockerIp": true,
	"libvirtVncAddress": true, "libvirtVncPassword": true, "capabilities": true,
}

// allowed returns what an agent may set of what it sent in reply to a command: the tie that
// the command is about, and what it ties.
func allowed(command string, result map[string]any) map[string]any {
	out := permitted(result, replied, allowedData)
	verb := strings.LastIndexByte(command, '.')
	switch name := command[:max(verb, 0)]; name {
	case "storage.image": // of which others make instances, too
		descend(out, result, "image", sizes, func(data map[string]any) map[string]any {
			return permitted(data, map[string]bool{"dockerImage": true}, nil)
		})
	case "storage.volume":
		descend(out, result, "volume", sizes, allowedData)
	case "compute.instance":
		descend(out, result, "instance", replied, allowedData)
	}
	return out
}

// descend adds what may be set of a row that the command's own refers to.
func descend(out, result map[string]any, name string, names map[string]bool, data func(map[string]any) map[string]any) {
	if inner, ok := result[name].(map[string]any); ok {
		out[name] = permitted(inner, names, data)
	}
}

// permitted returns the values of these names, and what is permitted of data.
func permitted(result map[string]any, names map[string]bool, data func(map[string]any) map[string]any) map[string]any {
	out := map[string]any{}
	for name, v := range result {
		bare := strings.TrimPrefix(name, "+")
		if inner, isMap := v.(map[string]any); data != nil && bare == "data" && isMap {
			out["+data"] = data(inner)
		} else if names[bare] {
			out[name] = v
		}
	}
	return out
}

// allowedData passes every key of data but those of the engine.
func allowedData(data map[string]any) map[string]any {
	out := map[string]any{}
	for name, v := range data {
		bare := strings.TrimPrefix(name, "+")
		switch {
		case bare == "fields":
			fields, _ := v.(map[string]any)
			out["+fields"] = permitted(fields, replied, nil)
		case !strings.HasPrefix(bare, "io.cattle."):
			out[name] = v
		}
	}
	return out
}
