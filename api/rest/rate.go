package rest

import (
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/fault"
)

// allowed refuses a key or an address that asks more often than the settings allow.
func (r *request) allowed(what, name string) error {
	rate, _ := strconv.ParseFloat(r.api.text("api.rate.per."+what, ""), 64)
	if rate <= 0 || name == "" || r.again {
		return nil
	}
	seconds, _ := strconv.ParseFloat(r.api.text("api.rate.burst.seconds", ""), 64)
	if wait := r.api.buckets.Take(what+" "+name, rate, rate*seconds, time.Now()); wait > 0 {
		return fault.TooMany(wait, "this %s may ask %g times a second", what, rate)
	}
	return nil
}

// keyName is the public half of the key that the caller came with; one without a key
// is known by its account.
func (r *request) keyName() string {
	if name := auth.KeyName(r.header(fiber.HeaderAuthorization)); name != "" {
		return strconv.FormatInt(r.caller.AccountID, 10) + " " + name
	}
	return strconv.FormatInt(r.caller.AccountID, 10)
}
