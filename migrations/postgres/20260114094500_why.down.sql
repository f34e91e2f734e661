alter table "process_instance" drop column step;
alter table "process_instance" drop column wait_resource;
alter table "process_instance" drop column held_since;
alter table "agent" drop column disconnected_since;
