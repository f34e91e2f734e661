-- Whether what an agent says of its progress is shown.
alter table agent_request add column "patient" boolean not null default false;
