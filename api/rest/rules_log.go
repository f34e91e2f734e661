package rest

import (
	"bytes"
	"encoding/json"

	"github.com/cattleio/cattle/shared/schema"
)

// showsLog completes the log of an attempt by what is not stored of it because it follows
// from the rest, or is not kept: see engine contract 2.5. The claim of a resource is had
// with the first write and given back with the last; values before and after a handler
// hold secrets.
func showsLog(row *schema.Row, field string) (string, bool) {
	if field != "log" {
		return "", false
	}
	var log map[string]any
	d := json.NewDecoder(bytes.NewReader([]byte(row.Str("log"))))
	d.UseNumber()
	if d.Decode(&log) != nil {
		return "", false
	}
	completeLog(log)
	text, err := json.Marshal(log)
	return string(text), err == nil
}

func completeLog(log map[string]any) {
	for _, x := range objects(log["executions"]) {
		x["lockAcquireStart"], x["lockAcquired"], x["lockAcquireEnd"] = x["startTime"], x["startTime"], x["stopTime"]
		x["lockHoldTime"], x["lockAcquireFailed"], x["failedToAcquireLock"] = nil, nil, nil
		if start, ok := millisOf(x["startTime"]); ok {
			if stop, ok := millisOf(x["stopTime"]); ok {
				x["lockHoldTime"] = stop - start
			}
		}
		for _, child := range objects(x["children"]) {
			completeLog(child)
		}
		for _, h := range objects(x["processHandlerExecutions"]) {
			h["resourceValueBefore"], h["resourceValueAfter"] = nil, nil
			for _, child := range objects(h["children"]) {
				completeLog(child)
			}
		}
	}
}

func objects(v any) []map[string]any {
	list, _ := v.([]any)
	out := make([]map[string]any, 0, len(list))
	for _, x := range list {
		if m, ok := x.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

func millisOf(v any) (int64, bool) {
	n, _ := v.(json.Number)
	i, err := n.Int64()
	return i, err == nil
}
