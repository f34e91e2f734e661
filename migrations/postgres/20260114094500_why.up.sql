-- What a process that has not ended can say of itself: where it stands, what it was refused, since when its
-- claims are in force; and since when an agent is gone.
alter table "process_instance" add column step varchar(1024);
alter table "process_instance" add column wait_resource varchar(255);
alter table "process_instance" add column held_since bigint;
alter table "agent" add column disconnected_since bigint;
