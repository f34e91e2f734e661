package seal

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"regexp"
	"strconv"
	"strings"
)

// A secret that nobody is to read again is kept as hashed:ROUNDS:SALT:SUM, the sum being
// PBKDF2 (RFC 8018) with HMAC-SHA-256. What a person chose takes many rounds to try; what
// NewPair made cannot be guessed anyway.
const (
	hashed       = "hashed:"
	chosenRounds = 200_000
	mostRounds   = 1_000_000 // that are believed of a stored text
)

// Hash is what is kept of a secret; chosen says that a person thought of it.
func Hash(secret string, chosen bool) string {
	salt := random(16)
	rounds := 1
	if chosen {
		rounds = chosenRounds
	}
	return Rehash(hashed+strconv.Itoa(rounds)+":"+hex.EncodeToString(salt)+":", secret)
}

// Hashed tells whether a text is what is kept of a secret, and not a secret.
func Hashed(text string) bool { _, _, ok := recipe(text); return ok }

// Recipe is how a hash was made, without its sum: whoever knows the secret makes the hash
// of it by Rehash. It is "" for what is no hash.
func Recipe(text string) string {
	if !Hashed(text) {
		return ""
	}
	return text[:strings.LastIndexByte(text, ':')+1]
}

// Rehash makes a hash in the way of another, or by its recipe; "" if there is no way.
func Rehash(like, secret string) string {
	rounds, salt, ok := recipe(like)
	if !ok {
		return ""
	}
	sum, err := pbkdf2.Key(sha256.New, secret, salt, rounds, sha256.Size)
	if err != nil {
		return ""
	}
	return hashed + strconv.Itoa(rounds) + ":" + hex.EncodeToString(salt) + ":" + hex.EncodeToString(sum)
}

// Same tells whether a secret is the one that is kept, as it is or as a hash.
func Same(kept, secret string) bool {
	if Hashed(kept) {
		secret = Rehash(kept, secret)
	}
	return hmac.Equal([]byte(kept), []byte(secret))
}

func recipe(text string) (rounds int, salt []byte, ok bool) {
	rest, ok := strings.CutPrefix(text, hashed)
	parts := strings.Split(rest, ":")
	if !ok || len(parts) != 3 {
		return 0, nil, false
	}
	rounds, err := strconv.Atoi(parts[0])
	salt, bad := hex.DecodeString(parts[1])
	return rounds, salt, err == nil && bad == nil && rounds > 0 && rounds <= mostRounds && len(salt) == 16
}

// NewPair makes the two values of a key: twenty digits, and forty characters without those
// of the class bad.
func NewPair(bad string) (public, secret string, err error) {
	secret = base64.StdEncoding.EncodeToString(random(128))
	if bad != "" {
		class, err := regexp.Compile(bad)
		if err != nil {
			return "", "", err
		}
		secret = class.ReplaceAllString(secret, "")
	}
	if len(secret) < 40 {
		return "", "", errors.New("cannot make a secret: too few good characters are left")
	}
	return strings.ToUpper(hex.EncodeToString(random(10))), secret[:40], nil
}
