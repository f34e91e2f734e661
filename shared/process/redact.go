package process

import "regexp"

// Secrets get into errors in these forms: in front of the host of an address, and
// behind a name that tells what they are.
var (
	inAddress = regexp.MustCompile(`(://)[^/\s@]+@`)
	behindKey = regexp.MustCompile(`(?i)((?:password|passwd|secret|token|api_?key|authorization|credential)[\w-]*"?\s*[:=]\s*"?(?:basic\s+|bearer\s+)?)[^\s",;&]+`)
)

// Redact takes out of a text what looks like a secret.
func Redact(text string) string {
	text = inAddress.ReplaceAllString(text, "$1***@")
	return behindKey.ReplaceAllString(text, "$1***")
}
