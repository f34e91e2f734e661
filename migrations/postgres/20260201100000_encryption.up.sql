-- What is encrypted is longer than what a client sends. Postgres changes no row for this.
alter table "credential" alter column "secret_value" type text;

create table "encryption_key" (
	"id"      varchar(64) primary key,
	"proof"   varchar(1024) not null,
	"created" bigint not null,
	"swept"   bigint
);
