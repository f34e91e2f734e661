package rest_test

import "testing"

func TestSmoke(t *testing.T) {
	stories(t, func(s *server) {
		for _, p := range []string{"/", "/v1", "/v1/schemas", "/v1/schemas/agent", "/v1/accounts", "/v1/accounts/1a1", "/v1/settings", "/v1/processdefinitions/instance.start", "/v1/resourcedefinitions", "/v1/extensionpoints"} {
			a := s.get(p).is(200)
			if len(a.text) > 1500 {
				a.text = a.text[:1500]
			}
			t.Log(p, a.header, a.text)
		}
		t.Log(s.post("/v1/agents", `{"uri":"sim://x"}`).text)
		t.Log(s.post("/v1/containers", `{"imageUuid":"sim:x"}`).text)
		t.Log(s.get("/v1/containers?include=image").text)
	})
}
