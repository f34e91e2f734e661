package process

import "github.com/cattleio/cattle/shared/schema"

// Checkpoint is what a process has come to: what it calls that, and how much of the whole
// lies behind it and is done with it, in percent.
type Checkpoint struct {
	Name         string
	Done, Weight int
}

// progressScope is where the data of a process says what it has come to.
const progressScope = "progress"

// Keep notes the checkpoint in the data of a process.
func (c Checkpoint) Keep(data map[string]any) {
	data[progressScope] = map[string]any{"checkpoint": c.Name, "done": float64(c.Done), "weight": float64(c.Weight)}
}

// Reached returns the checkpoint that the data of a process names.
func Reached(data map[string]any) Checkpoint {
	m, _ := data[progressScope].(map[string]any)
	name, _ := m["checkpoint"].(string)
	done, _ := m["done"].(float64)
	weight, _ := m["weight"].(float64)
	return Checkpoint{name, int(done), int(weight)}
}

// Show tells the user of a resource what its process has come to, and what an agent says
// of that: a message, and how many percent of it are done.
func (c Checkpoint) Show(row *schema.Row, message string, percent *int) {
	text := c.Name
	if text == "" || message == "" {
		text += message
	} else {
		text += " : " + message
	}
	if text != "" {
		row.SetField("transitioningMessage", text)
	}
	all := c.Done
	if percent != nil {
		all += c.Weight * min(max(*percent, 0), 100) / 100
	}
	if c == (Checkpoint{}) || all > 100 {
		row.SetField("transitioningProgress", nil)
		return
	}
	row.SetField("transitioningProgress", all)
}
