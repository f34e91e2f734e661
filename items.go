package main

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/cattleio/cattle/shared/item"
)

// bundles are the configuration items of this installation: those in the folder items of
// CATTLE_HOME go before those that the program knows.
func (s *server) bundles() item.Bundles {
	return item.Bundles{Folder: filepath.Join(home(), "items"), Ignore: strings.Split(s.settings.Get("config.item.ignore.prefixes"), ",")}
}

// itemSources tells the content of each item.
func (s *server) itemSources() (map[string]string, error) {
	b := s.bundles()
	names, err := b.Names()
	if err != nil {
		return nil, err
	}
	out := make(map[string]string, len(names))
	for _, name := range names {
		bundle, err := b.Get(name)
		if err != nil {
			return nil, err
		}
		out[name] = bundle.Source()
	}
	return out, nil
}

// noteItems makes the items known, so that agents can be given them.
func (s *server) noteItems(ctx context.Context) error {
	sources, err := s.itemSources()
	if err != nil {
		return err
	}
	return s.store.NoteItems(ctx, sources)
}
