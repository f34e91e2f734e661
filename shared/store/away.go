package store

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrUnsure says that the connection was lost while a transaction was being
// committed: it is durable, or it never was.
var ErrUnsure = errors.New("the database did not say whether it committed")

// Away tells that the database could not be reached, or went away, and that nothing
// was done: the same may be asked again once it is back.
func Away(err error) bool { return disconnected(err) && !errors.Is(err, ErrUnsure) }

// disconnected tells an error of the connection from a refusal.
func disconnected(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "25P03" || strings.HasPrefix(pg.Code, "57P")
	}
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, pgconn.ErrConnClosed)
}

// unsure marks an error of a commit after which nobody knows what became of it. What never
// left because its connection had died before is not one.
func unsure(err error) error {
	if pgconn.SafeToRetry(err) {
		return err
	}
	var connect *pgconn.ConnectError
	var refused *pgconn.PgError
	if !disconnected(err) || errors.As(err, &connect) || errors.As(err, &refused) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnsure, err)
}
