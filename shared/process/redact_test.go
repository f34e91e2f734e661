package process

import "testing"

func TestSecretsAreTakenOutOfErrors(t *testing.T) {
	for text, want := range map[string]string{
		"cannot pull from https://me:s3cret@registry/x: 401": "cannot pull from https://***@registry/x: 401",
		`{"password":"s3cret","user":"me"}`:                  `{"password":"***","user":"me"}`,
		"Authorization: Bearer s3cret refused":               "Authorization: Bearer *** refused",
		"secretValue=s3cret&publicValue=me":                  "secretValue=***&publicValue=me",
		"the token of agent 3 is old":                        "the token of agent 3 is old",
		"no memory on host 3: 12 MB free":                    "no memory on host 3: 12 MB free",
	} {
		if got := Redact(text); got != want {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}
