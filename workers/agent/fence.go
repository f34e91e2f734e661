package agent

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/cattleio/cattle/shared/wire"
)

const (
	// keptFences bounds the file and the memory; the oldest are forgotten first.
	keptFences = 100_000
	// looseLines is how many superseded lines the file may hold before it is compacted.
	looseLines = 100_000
)

// fences knows the highest epoch seen for each resource, also after a restart.
//
// The file is a log of "EPOCH RESOURCE" lines. A line is written before its
// command is begun but not synced: a write takes a microsecond, a sync 0.2 ms on a
// fast disk and many times that on a slow one, with all other commands waiting. What a write
// without sync can lose is lost only when the machine dies, and then nothing that
// the commands started is alive either.
type fences struct {
	mu    sync.Mutex
	path  string
	file  *os.File
	seen  map[string]int64
	order []string // by last rise, oldest first; may name a resource again
	lines int
}

func openFences(path string) (*fences, error) {
	f := &fences{path: path, seen: map[string]int64{}}
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read fences: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		number, resource, _ := strings.Cut(lines.Text(), " ")
		epoch, err := strconv.ParseInt(number, 10, 64)
		if err == nil && resource != "" { // a torn last line is none
			f.raise(resource, epoch)
		}
	}
	if err := errors.Join(lines.Err(), f.compact()); err != nil {
		return nil, fmt.Errorf("cannot read fences: %w", err)
	}
	return f, nil
}

// Admit tells whether a command may be done: none with a lower epoch has been
// admitted before. From then on only those with the same or a higher one may.
func (f *fences) Admit(fence *wire.Fence) (bool, error) {
	if fence == nil || fence.Resource == "" || strings.ContainsAny(fence.Resource, "\r\n") {
		return true, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	last, known := f.seen[fence.Resource]
	if known && fence.Epoch <= last {
		return fence.Epoch == last, nil
	}
	if _, err := fmt.Fprintf(f.file, "%d %s\n", fence.Epoch, fence.Resource); err != nil {
		return false, fmt.Errorf("cannot keep the order of commands: %w", err)
	}
	f.raise(fence.Resource, fence.Epoch)
	if f.lines > len(f.seen)+looseLines {
		return true, f.compact()
	}
	return true, nil
}

// Close gives the file back.
func (f *fences) Close() error { return f.file.Close() }

func (f *fences) raise(resource string, epoch int64) {
	f.lines++
	if last, known := f.seen[resource]; known && epoch <= last {
		return
	}
	f.seen[resource] = epoch
	f.order = append(f.order, resource)
}

// compact writes each resource once.
func (f *fences) compact() error {
	f.trim()
	var text bytes.Buffer
	for _, resource := range f.order {
		fmt.Fprintf(&text, "%d %s\n", f.seen[resource], resource)
	}
	if err := replaceFile(f.path, text.Bytes()); err != nil {
		return err
	}
	file, err := os.OpenFile(f.path, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot open fences: %w", err)
	}
	if f.file != nil {
		_ = f.file.Close() // it is no longer the file of that name
	}
	f.file, f.lines = file, len(f.order)
	return nil
}

// trim leaves the newest keptFences resources, each once in the order.
func (f *fences) trim() {
	var newest []string
	met := make(map[string]bool, len(f.seen))
	for i := len(f.order) - 1; i >= 0; i-- {
		resource := f.order[i]
		switch {
		case met[resource]:
		case len(newest) < keptFences:
			newest = append(newest, resource)
		default:
			delete(f.seen, resource)
		}
		met[resource] = true
	}
	slices.Reverse(newest)
	f.order = newest
}
