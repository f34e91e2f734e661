create table "encryption_key" (
	"id"      varchar(64) primary key,
	"proof"   varchar(1024) not null,
	"created" bigint not null,
	"swept"   bigint
);
