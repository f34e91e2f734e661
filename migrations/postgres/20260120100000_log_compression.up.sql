-- Logs are compressed by lz4, which costs a tenth of what the default does, where this server knows it.
do $$
declare
	part regclass;
begin
	for part in select inhrelid::regclass from pg_inherits where inhparent = 'process_execution'::regclass
		union all select 'process_execution'::regclass
	loop
		execute format('alter table %s alter column log set compression lz4', part);
	end loop;
exception when feature_not_supported or syntax_error then null;
end $$;
