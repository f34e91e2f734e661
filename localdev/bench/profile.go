package bench

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/pprof/profile"
)

// share is what a package had of the samples of a profile.
type share struct {
	name       string
	cumulative int64 // it, or what it had called
	flat       int64 // itself
}

// spent asks a process that serves profiles where its processor time goes in the
// next seconds.
func spent(ctx context.Context, address string, seconds time.Duration) (*profile.Profile, error) {
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", address, max(1, int(seconds.Seconds())))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		return nil, fmt.Errorf("cannot take a profile: %s: %s", resp.Status, text)
	}
	return profile.Parse(resp.Body)
}

// byPackage adds up the samples by the packages on their stacks, the largest first.
func byPackage(p *profile.Profile) (all []share, total int64) {
	sums := map[string]*share{}
	value := len(p.SampleType) - 1 // of a processor profile: nanoseconds
	for _, s := range p.Sample {
		v := s.Value[value]
		total += v
		seen := map[string]bool{}
		for i, l := range s.Location {
			for j, at := range l.Line { // inlined calls first
				name := packageOf(at.Function.Name)
				if sums[name] == nil {
					sums[name] = &share{name: name}
				}
				if i == 0 && j == 0 {
					sums[name].flat += v
				}
				if !seen[name] {
					seen[name] = true
					sums[name].cumulative += v
				}
			}
		}
	}
	for _, s := range sums {
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b share) int {
		return cmp.Or(cmp.Compare(b.cumulative, a.cumulative), strings.Compare(a.name, b.name))
	})
	return all, total
}

// packageOf cuts the function off a name like github.com/a/b.(*T).f[...].func1.
func packageOf(function string) string {
	function, _, _ = strings.Cut(function, "[")
	slash := strings.LastIndexByte(function, '/') + 1
	name, _, _ := strings.Cut(function[slash:], ".")
	return function[:slash] + name
}

// printProfile prints the packages that had most, with what they called.
func printProfile(p *profile.Profile, starts float64) {
	const most = 15
	all, total := byPackage(p)
	took := time.Duration(total)
	line("profile", fmt.Sprintf("%.2f ms", ms64(took)/starts), fmt.Sprintf("processor time of the server for each of %.0f starts; with what they call, and themselves:", starts))
	for _, s := range all[:min(most, len(all))] {
		name := strings.TrimPrefix(s.name, "github.com/cattleio/")
		fmt.Printf("    %5.1f %%  %5.1f %%  %6.2f ms   %s\n", percent(s.cumulative, total), percent(s.flat, total), ms64(time.Duration(s.cumulative))/starts, name)
	}
}

func ms64(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func percent(part, of int64) float64 { return 100 * float64(part) / float64(max(of, 1)) }
