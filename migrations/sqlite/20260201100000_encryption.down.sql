drop table "encryption_key";
