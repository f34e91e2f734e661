// Package migrations holds the numbered SQL that makes and changes the tables, up
// and down, once for each database. It imports nothing of the project: the server
// and the tests apply the same files.
package migrations

import "embed"

//go:embed postgres/*.sql
var Postgres embed.FS

//go:embed sqlite/*.sql
var SQLite embed.FS
