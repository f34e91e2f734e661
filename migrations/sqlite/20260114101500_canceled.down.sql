alter table "process_instance" drop column canceled;
