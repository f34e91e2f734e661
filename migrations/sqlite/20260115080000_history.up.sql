-- Ended processes are found by id, the oldest first.
drop index process_instance_end_time;

-- What is due is found in the order in which it is wanted.
drop index process_instance_due;
create index process_instance_due on process_instance (priority desc, due_at, id) where end_time is null;
