package handler

import (
	"strings"
	"testing"
)

func TestNamesOfImagesAsAgentsGetThem(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("0123456789abcdef", 4)
	for text, want := range map[string]string{
		"busybox": "busybox latest busybox:latest", "a/b:1": "a/b 1 a/b:1", "host:5000/b": "host:5000/b latest host:5000/b:latest",
		"b@" + digest: "b latest b@" + digest, "host:5000/b:1@" + digest: "host:5000/b 1 host:5000/b@" + digest,
	} {
		m := dockerImage(text)
		if got := strings.Join([]string{m["qualifiedName"].(string), m["tag"].(string), m["fullName"].(string)}, " "); got != want {
			t.Errorf("%s is %s; want %s", text, got, want)
		}
	}
}
