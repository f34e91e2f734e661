-- Logs of attempts live in one table a day, so that to forget a day is to drop a table. Days are made ahead;
-- what finds none goes to the last one of them, so that no log is ever refused.
alter table process_execution rename to process_execution_whole;
alter index process_execution_pkey rename to process_execution_whole_pkey;
alter index process_execution_uuid rename to process_execution_whole_uuid;
alter index process_execution_process_instance_id rename to process_execution_whole_instance;

create sequence process_execution_ids;
create table process_execution (
	"id"                         bigint not null default nextval('process_execution_ids'),
	"log"                        text,
	"process_instance_id"        bigint not null,
	"uuid"                       varchar(128) not null,
	"created"                    bigint not null,
	primary key ("id", "created")
) partition by range ("created");
alter sequence process_execution_ids owned by process_execution.id;
create index process_execution_process_instance_id on process_execution ("process_instance_id", "id");
create index process_execution_uuid on process_execution ("uuid");
create table process_execution_other partition of process_execution default;

do $$
declare
	today int := floor(extract(epoch from clock_timestamp()) / 86400)::int;
begin
	for d in today .. today + 1 loop
		execute format('create table process_execution_%s partition of process_execution for values from (%s) to (%s)',
			to_char(to_timestamp(d * 86400::bigint) at time zone 'UTC', 'YYYYMMDD'), d * 86400000::bigint, (d + 1) * 86400000::bigint);
	end loop;
end $$;

insert into process_execution (id, log, process_instance_id, uuid, created)
	select id, log, process_instance_id, uuid, coalesce(created, (extract(epoch from clock_timestamp())*1000)::bigint) from process_execution_whole;
select setval('process_execution_ids', (select coalesce(max(id), 0) + 1 from process_execution_whole), false);
drop table process_execution_whole;

-- Ended processes are found by id, the oldest first. The table is vacuumed by what has changed, however many have ended:
-- the indexes of what is pending hold what has ended since.
drop index process_instance_end_time;
alter table process_instance set (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 20000);

-- What is due is found in the order in which it is wanted.
drop index process_instance_due;
create index process_instance_due on process_instance (priority desc, due_at, id) where end_time is null;
