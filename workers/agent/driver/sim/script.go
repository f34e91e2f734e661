package sim

import (
	"encoding/json"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/cattleio/cattle/shared/wire"
)

// A script says how a simulator misbehaves, step by step: which command, in what way,
// and how often.
//
//	simScript: "compute.instance.activate lose 1, storage.volume.activate twice 0.5, * drop 0.01"
//
// The ways are
//
//	fail   an error, and nothing is done
//	drop   silence, and nothing is done
//	lose   it is done, and nobody hears of it
//	spoil  it is done, and the answer is an error
//	twice  it is done, and answered two times
//
// A whole number means so many commands of that name for a resource, the first ones;
// a fraction is a share of all, by chance; nothing means always. * is every command but
// a ping. A script is found anywhere in a request, so in the data of an instance, and in
// the data of the agent. The first step that applies decides.
type step struct {
	command, way string
	often        float64
}

var scriptText = regexp.MustCompile(`"simScript"\s*:\s*"([^"\\]*)"`)

// script reads what a text says; what is no step says nothing.
func script(text string) []step {
	var steps []step
	for _, found := range scriptText.FindAllStringSubmatch(text, -1) {
		for _, part := range strings.FieldsFunc(found[1], func(r rune) bool { return r == ',' || r == ';' }) {
			words := strings.Fields(part)
			if len(words) < 2 {
				continue
			}
			s := step{command: words[0], way: words[1], often: math.Inf(1)}
			if len(words) > 2 {
				often, err := strconv.ParseFloat(words[2], 64)
				if err != nil {
					continue
				}
				s.often = often
			}
			steps = append(steps, s)
		}
	}
	return steps
}

// scriptOf is the script in the data of an agent.
func scriptOf(data map[string]any) []step {
	text, err := json.Marshal(data)
	if err != nil {
		return nil
	}
	return script(string(text))
}

// way tells how the answer to a command is to go wrong; "" is not at all.
func (s *Simulator) way(name, text string, e *wire.Event) string {
	own := script(text)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, steps := range [][]step{own, s.script} {
		for _, next := range steps {
			if next.command == name || next.command == "*" && name != wire.Ping {
				if s.due(next, name, e) {
					return next.way
				}
			}
		}
	}
	return ""
}

// due tells whether a step applies this time.
func (s *Simulator) due(next step, name string, e *wire.Event) bool {
	switch {
	case math.IsInf(next.often, 1):
		return true
	case next.often < 1:
		return s.config.Chance() < next.often
	}
	key := strings.Join([]string{next.command, next.way, name, wire.Value(e.ResourceType), wire.Value(e.ResourceID)}, " ")
	if s.done[key] >= int(next.often) {
		return false
	}
	if s.done == nil {
		s.done = map[string]int{}
	}
	s.done[key]++
	return true
}
