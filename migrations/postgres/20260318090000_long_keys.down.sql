drop index credential_public_value;
create index credential_public_value on "credential" ("public_value");
