create index process_instance_end_time on process_instance (end_time);

drop index process_instance_due;
create index process_instance_due on process_instance (due_at, priority) where end_time is null;
