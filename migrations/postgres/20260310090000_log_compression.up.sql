-- The log of an attempt is some 11 KB of text with much that repeats. The quicker way to compress it is taken where the
-- server was built with it; what is there already stays as it is.
do $$ begin
	alter table process_execution alter column log set compression lz4;
exception when others then
	raise notice 'logs are compressed in the usual way: %', sqlerrm;
end $$;
