package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// JoinToken makes a token that lasts until a moment and is for one host: the first
// that registers with it.
func JoinToken(publicValue, secretValue string, until time.Time) string {
	return signJoin(publicValue, secretValue, until.UnixMilli(), rand.Text())
}

// JoinNonce is what tells one such token from all others, "" for a token of another kind.
func JoinNonce(token string) string {
	if parts := strings.Split(token, ":"); len(parts) == 4 {
		return parts[2]
	}
	return ""
}

func checkJoin(token, secretValue string, now time.Time) bool {
	parts := strings.Split(token, ":")
	if len(parts) != 4 || secretValue == "" {
		return false
	}
	until, err := strconv.ParseInt(parts[1], 10, 64)
	same := subtle.ConstantTimeCompare([]byte(token), []byte(signJoin(parts[0], secretValue, until, parts[2]))) == 1
	return err == nil && same && !now.After(time.UnixMilli(until))
}

func signJoin(publicValue, secretValue string, until int64, nonce string) string {
	text := strings.Join([]string{publicValue, strconv.FormatInt(until, 10), nonce}, ":")
	mac := hmac.New(sha256.New, []byte(secretValue))
	mac.Write([]byte("join:" + text))
	return text + ":" + hex.EncodeToString(mac.Sum(nil))
}
