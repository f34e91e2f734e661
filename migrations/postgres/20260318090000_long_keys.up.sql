-- The public half of a key may be longer than an index that sorts takes. It is only ever looked for as a whole.
drop index credential_public_value;
create index credential_public_value on "credential" using hash ("public_value");
