package rest_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/cattleio/cattle/api/rest"
	"github.com/cattleio/cattle/shared/config"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/testkit"
)

func BenchmarkListOf100(b *testing.B) {
	settings, err := config.Load(nil, nil, b.TempDir(), nil)
	if err != nil {
		b.Fatal(err)
	}
	s := testkit.Store(b, filepath.Join(b.TempDir(), "cattle.db"))
	err = s.Write(b.Context(), "bench", func(tx *store.Tx) error {
		for i := range 200 {
			row := store.NewRow(resource.All.Type("container"), 1400000000000, map[string]any{"name": fmt.Sprint("c", i), "state": "running",
				"imageUuid": "sim:x", "startOnCreate": true, "imageId": int64(1), "accountId": int64(1), "environment": map[string]any{"A": "b"}})
			if err := tx.Insert(b.Context(), row); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	rest.New(rest.Config{Store: s, Settings: settings}).Mount(app)
	handler := app.Handler()
	for _, path := range []string{"/v1/containers", "/v1/containers?limit=1", "/v1/schemas"} {
		b.Run(path, func(b *testing.B) {
			b.ReportAllocs()
			var c fasthttp.RequestCtx
			for b.Loop() {
				c.Request.Reset()
				c.Response.Reset()
				c.Request.SetRequestURI("http://h" + path)
				c.Request.Header.SetMethod("GET")
				handler(&c)
				if c.Response.StatusCode() != 200 {
					b.Fatal(string(c.Response.Body()))
				}
			}
			b.SetBytes(int64(len(c.Response.Body())))
		})
	}
}
