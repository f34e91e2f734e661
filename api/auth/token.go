package auth

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// TokenUser is the user name that goes with a registration token.
const TokenUser = "registrationToken"

// Token makes the registration token of a credential. It is the same throughout an
// hour.
func Token(publicValue, secretValue string, now time.Time) string {
	return sign(publicValue, secretValue, now.UTC().Truncate(time.Hour).UnixMilli())
}

// TokenKey returns the public value that a token names; ok tells whether the text
// has the shape of a token.
func TokenKey(token string) (publicValue string, ok bool) {
	if JoinNonce(token) != "" {
		publicValue, _, _ = strings.Cut(token, ":")
		return publicValue, publicValue != ""
	}
	publicValue, millis, _, ok := split(token)
	return publicValue, ok && publicValue != "" && millis > 0
}

// CheckToken tells whether a token was made from the secret and has not run out.
func CheckToken(token, secretValue string, now time.Time, period time.Duration) bool {
	if JoinNonce(token) != "" {
		return checkJoin(token, secretValue, now)
	}
	publicValue, millis, _, ok := split(token)
	if !ok || secretValue == "" {
		return false
	}
	same := subtle.ConstantTimeCompare([]byte(token), []byte(sign(publicValue, secretValue, millis))) == 1
	return same && !now.After(time.UnixMilli(millis).Add(period))
}

func split(token string) (publicValue string, millis int64, signature string, ok bool) {
	parts := strings.Split(token, ":")
	if len(parts) != 3 {
		return "", 0, "", false
	}
	millis, err := strconv.ParseInt(parts[1], 10, 64)
	return parts[0], millis, parts[2], err == nil
}

var unsafe = strings.NewReplacer("/", "", "=", "", "+", "")

func sign(publicValue, secretValue string, millis int64) string {
	text := publicValue + ":" + strconv.FormatInt(millis, 10)
	mac := hmac.New(sha1.New, []byte(secretValue))
	mac.Write([]byte(text))
	return text + ":" + unsafe.Replace(base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}
