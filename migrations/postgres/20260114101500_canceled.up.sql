-- A process whose resource was taken over by another does not go on, even if the resource comes back to a
-- state from which it could.
alter table "process_instance" add column canceled boolean not null default false;
