-- No two agents that are there have one address, whoever asks at the same time.
create unique index agent_uri_taken on "agent" ("uri") where "removed" is null and "uri" is not null;
