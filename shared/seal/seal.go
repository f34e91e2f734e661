// Package seal keeps secrets unreadable for whoever gets hold of the database: it
// encrypts single values, and those values inside of JSON documents that stand under
// the name of a secret.
//
//	value ──AES-256-GCM──▶ key of its own ──AES-256-GCM──▶ the ring's newest key
//
// Every value has a key of its own, which is used once and stands beside the value,
// encrypted with a key of the ring. What was sealed says which key of the ring opens it,
// so that keys can be changed one after the other: the first seals, all open.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Prefix is what every sealed text begins with.
const Prefix = "enc1."

const keySize = 32

// ErrNoKey says that the ring lacks the key that something was sealed with.
var ErrNoKey = errors.New("the key that it was encrypted with is not here")

// Ring is the keys of an installation, the one that seals first. The nil Ring has none:
// it leaves everything as it is.
type Ring struct {
	ids  []string
	keys map[string]cipher.AEAD
}

var goodID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Parse reads keys, written ID:BASE64 with 32 bytes each and separated by commas or
// lines; lines that begin with # are none. The first key seals. No keys are no Ring.
func Parse(text string) (*Ring, error) {
	r := &Ring{keys: map[string]cipher.AEAD{}}
	for _, line := range strings.FieldsFunc(text, func(c rune) bool { return c == '\n' || c == ',' }) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		id, encoded, _ := strings.Cut(line, ":")
		key, err := base64.StdEncoding.DecodeString(encoded)
		if !goodID.MatchString(id) || err != nil || len(key) != keySize {
			return nil, errors.New("an encryption key is written ID:BASE64, with 32 bytes behind the colon") // and not shown
		}
		if r.keys[id] != nil {
			return nil, fmt.Errorf("there are two encryption keys with the id %s", id)
		}
		r.ids, r.keys[id] = append(r.ids, id), gcm(key)
	}
	if len(r.ids) == 0 {
		return nil, nil
	}
	return r, nil
}

// NewKey makes a key as Parse reads it.
func NewKey(id string) string { return id + ":" + base64.StdEncoding.EncodeToString(random(keySize)) }

// Newest is the id of the key that seals, "" for the nil Ring.
func (r *Ring) Newest() string {
	if r == nil {
		return ""
	}
	return r.ids[0]
}

// Seal encrypts a text.
func (r *Ring) Seal(plain string) string {
	if r == nil {
		return plain
	}
	id := r.ids[0]
	own := random(keySize)
	return Prefix + id + "." + encode(lock(r.keys[id], own, id)) + "." + encode(lock(gcm(own), []byte(plain), id))
}

// Open decrypts what Seal made. A text that was never sealed is its own answer.
func (r *Ring) Open(text string) (string, error) {
	if r == nil || !strings.HasPrefix(text, Prefix) {
		return text, nil
	}
	parts := strings.Split(text[len(Prefix):], ".")
	if len(parts) != 3 {
		return text, nil
	}
	key := r.keys[parts[0]]
	if key == nil {
		return "", fmt.Errorf("%w: %s", ErrNoKey, parts[0])
	}
	own, err := unlock(key, parts[1], parts[0])
	if err != nil || len(own) != keySize {
		return "", errors.New("an encrypted value was changed")
	}
	plain, err := unlock(gcm(own), parts[2], parts[0])
	if err != nil {
		return "", errors.New("an encrypted value was changed")
	}
	return string(plain), nil
}

// SealDocument encrypts the values under the given names in a JSON document without
// blanks, wherever they stand in it. null, truth values and the empty text stay.
func (r *Ring) SealDocument(doc string, names []string) string {
	if r == nil {
		return doc
	}
	for _, name := range names {
		doc = replace(doc, name, func(raw string) string {
			switch raw {
			case "null", "true", "false", `""`:
				return raw
			}
			return `"` + r.Seal(raw) + `"`
		})
	}
	return doc
}

// OpenDocument decrypts what SealDocument encrypted. What only looks like it stays: it
// was there before the first key.
func (r *Ring) OpenDocument(doc string, names []string) string {
	if r == nil || !strings.Contains(doc, `":"`+Prefix) {
		return doc
	}
	for i := len(names) - 1; i >= 0; i-- { // the last that was sealed is outermost
		doc = replace(doc, names[i], func(raw string) string {
			if !strings.HasPrefix(raw, `"`+Prefix) {
				return raw
			}
			plain, err := r.Open(strings.Trim(raw, `"`))
			if err != nil {
				return raw
			}
			return plain
		})
	}
	return doc
}

// replace puts other values in place of those under a name.
func replace(doc, name string, with func(raw string) string) string {
	key := `"` + name + `":`
	if !strings.Contains(doc, key) {
		return doc
	}
	var b strings.Builder
	for {
		i := strings.Index(doc, key)
		if i < 0 {
			b.WriteString(doc)
			return b.String()
		}
		i += len(key)
		b.WriteString(doc[:i])
		doc = doc[i:]
		var raw json.RawMessage
		if json.NewDecoder(strings.NewReader(doc)).Decode(&raw) != nil || !strings.HasPrefix(doc, string(raw)) {
			continue
		}
		b.WriteString(with(string(raw)))
		doc = doc[len(raw):]
	}
}

func gcm(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // only for a key of another size
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}

func lock(key cipher.AEAD, plain []byte, id string) []byte {
	nonce := random(key.NonceSize())
	return key.Seal(nonce, nonce, plain, []byte(id))
}

func unlock(key cipher.AEAD, text, id string) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) < key.NonceSize() {
		return nil, errors.New("not sealed")
	}
	return key.Open(nil, b[:key.NonceSize()], b[key.NonceSize():], []byte(id))
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return b
}
