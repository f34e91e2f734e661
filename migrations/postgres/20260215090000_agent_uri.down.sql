drop index agent_uri_taken;
