package client

//go:generate go run ./gen types.go
