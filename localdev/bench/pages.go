package bench

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cattleio/cattle/shared/store"
)

const (
	pageRuns    = 40              // how often a page is asked for to tell its time
	pageClients = 8               // that ask at once for a rate
	pageTurn    = 3 * time.Second // how long they ask one server before the other
	pageTurns   = 3
)

// pages measures pages of a hundred out of many containers, at every depth, and beside
// them a handler written by hand for this one list.
func (b *bencher) pages(ctx context.Context) error {
	d, err := newDatabases(ctx)
	if err != nil {
		return err
	}
	defer d.drop()
	began := time.Now()
	if err := fillPages(ctx, d.postgres, b.rows); err != nil {
		return fmt.Errorf("cannot fill the table: %w", err)
	}
	line("filled", fmt.Sprintf("%.0f s", time.Since(began).Seconds()), fmt.Sprintf("%d containers on Postgres", b.rows))
	product, err := served(ctx, d.env()...)
	if err != nil {
		return err
	}
	defer product.close()
	if err := b.depths(ctx, product); err != nil {
		return err
	}
	byHand, err := newRig()
	if err != nil {
		return err
	}
	if err := byHand.serve(ctx, "handler", nil, "bench", "handler", d.postgres, byHand.port); err != nil {
		return err
	}
	defer byHand.close()
	return beside(ctx, product, byHand)
}

// fillPages makes containers as the engine leaves them, every second one stopped.
func fillPages(ctx context.Context, address string, rows int) error {
	s, err := store.Open(ctx, address)
	if err != nil {
		return err
	}
	err = errors.Join(s.Migrate(ctx), s.Close())
	if err != nil {
		return err
	}
	db, err := sql.Open("pgx", address)
	if err != nil {
		return err
	}
	defer db.Close()
	for _, text := range []string{
		`insert into image (name, kind, uuid, state, created, account_id, data) values ('bench', 'image', 'sim:bench', 'active', 1700000000000, 1, '{"fields":{}}')`,
		`insert into instance (name, kind, uuid, state, created, first_running, account_id, zone_id, allocation_state, image_id, instance_triggered_stop, memory_mb, token, data)
			select 'c' || lpad(i::text, 8, '0'), 'container', gen_random_uuid()::text, case when i % 2 = 0 then 'running' else 'stopped' end,
				1700000000000 + i * 1000, 1700000000500 + i * 1000, 1, 1, 'active', 1, 'stop', 256, md5(i::text),
				'{"fields":{"command":"sleep","commandArgs":["120"],"environment":{"A":"b"},"imageUuid":"sim:bench","privileged":false,"startOnCreate":true}}'
			from generate_series(1, ` + fmt.Sprint(rows) + `) i`,
		"vacuum analyze instance",
	} {
		if _, err := db.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// depths asks for pages at the beginning, in the middle and at the end. Their markers
// come from the page before, found by a filter on what the list is sorted by.
func (b *bencher) depths(ctx context.Context, r *rig) error {
	for _, q := range []struct {
		what, query string
		backwards   bool
	}{
		{"by id", "", false},
		{"half of them", "&state=running", false},
		{"of one image", "&imageId=1i1", false},
		{"backwards", "&sort=id&order=desc", true},
	} {
		var took []time.Duration
		for _, share := range []float64{0, 0.1, 0.5, 0.99} {
			at := int(share * float64(b.rows))
			before := fmt.Sprintf("&id_gte=%d", at)
			if q.backwards {
				before = fmt.Sprintf("&id_lte=%d", b.rows-at)
			}
			marker, err := r.markerAt(ctx, q.query+before)
			if err != nil {
				return err
			}
			t, err := r.pageTime(ctx, "/v1/containers?limit=100"+q.query+"&marker="+url.QueryEscape(marker))
			if err != nil {
				return err
			}
			took = append(took, t)
		}
		worst := slices.Max(took)
		judged("a page, "+q.what, ms(worst), "depth is nothing", worst < 2*slices.Min(took)+2*time.Millisecond,
			fmt.Sprintf("at the beginning %s, after a tenth %s, in the middle %s, at the end %s; medians of %d", ms(took[0]), ms(took[1]), ms(took[2]), ms(took[3]), pageRuns))
	}
	return nil
}

// markerAt is the marker behind the first row that a query finds.
func (r *rig) markerAt(ctx context.Context, query string) (string, error) {
	var page struct {
		Pagination struct{ Next string }
	}
	if err := r.get(ctx, "/v1/containers?limit=1"+query, &page); err != nil {
		return "", err
	}
	u, err := url.Parse(page.Pagination.Next)
	if err != nil {
		return "", err
	}
	marker := u.Query().Get("marker")
	if marker == "" {
		return "", errors.New("there is no next page: more rows are needed")
	}
	return marker, nil
}

func (r *rig) pageTime(ctx context.Context, path string) (time.Duration, error) {
	var took []time.Duration
	for i := range pageRuns + 5 {
		begin := time.Now()
		n, err := fetch(ctx, r.url+path)
		if err != nil {
			return 0, err
		}
		if n < 100_000 {
			return 0, fmt.Errorf("the page at %s is short: %d bytes", path, n)
		}
		if i >= 5 { // the first ones warm up
			took = append(took, time.Since(begin))
		}
	}
	return median(took), nil
}

// fetch reads an answer without looking into it.
func fetch(ctx context.Context, address string) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil && resp.StatusCode != 200 {
		err = fmt.Errorf("%s answers %s", address, resp.Status)
	}
	return n, err
}

// beside asks product and handler for the same pages in turns and compares how many
// they answer.
func beside(ctx context.Context, product, byHand *rig) error {
	const path = "/v1/containers?limit=100"
	if err := alike(ctx, product, byHand, path); err != nil {
		return err
	}
	var ours, theirs []float64
	for range pageTurns {
		for _, side := range []struct {
			r   *rig
			out *[]float64
		}{{product, &ours}, {byHand, &theirs}} {
			n, err := side.r.asked(ctx, path)
			if err != nil {
				return err
			}
			*side.out = append(*side.out, n)
		}
	}
	a, h := median(ours), median(theirs)
	line("pages by the product", fmt.Sprintf("%.0f /s", a), fmt.Sprintf("of 100 containers, to %d clients (median of %d turns)", pageClients, pageTurns))
	line("pages by hand", fmt.Sprintf("%.0f /s", h), "of the same containers, by a handler for nothing else, with the same libraries")
	judged("ratio", fmt.Sprintf("%.2f", a/h), ">= 0.7", a >= 0.7*h, "of the product to the handler")
	return nil
}

// alike expects both to answer with the same JSON.
func alike(ctx context.Context, product, byHand *rig, path string) error {
	var a, h map[string]any
	if err := errors.Join(product.get(ctx, path, &a), byHand.get(ctx, path, &h)); err != nil {
		return err
	}
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	var moved map[string]any // to where the product is
	if err := json.Unmarshal([]byte(replaced(string(text), byHand.url, product.url)), &moved); err != nil {
		return err
	}
	if !reflect.DeepEqual(a, moved) {
		return fmt.Errorf("the handler's page is another one: %s", differs("", a, moved))
	}
	return nil
}

// asked lets clients ask at once for as long as a turn lasts and returns the rate.
func (r *rig) asked(ctx context.Context, path string) (float64, error) {
	var n atomic.Int64
	var wg sync.WaitGroup
	failed := make(chan error, pageClients)
	begin := time.Now()
	for range pageClients {
		wg.Go(func() {
			for time.Since(begin) < pageTurn {
				if _, err := fetch(ctx, r.url+path); err != nil {
					failed <- err
					return
				}
				n.Add(1)
			}
		})
	}
	wg.Wait()
	select {
	case err := <-failed:
		return 0, err
	default:
	}
	return float64(n.Load()) / time.Since(begin).Seconds(), nil
}
