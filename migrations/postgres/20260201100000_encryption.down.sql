drop table "encryption_key";

alter table "credential" alter column "secret_value" type varchar(4096);
