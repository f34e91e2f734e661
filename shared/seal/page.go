package seal

import (
	"fmt"
	"strings"
)

// PageToken is what pages of ours repeat, so that no foreign one can speak for them: the
// one that a browser has sent, or a new one if it cannot be sent back as it came.
func PageToken(sent string) string {
	if sent == "" || len(sent) > 128 || strings.Trim(sent, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_") != "" {
		return fmt.Sprintf("%X", random(16))
	}
	return sent
}
