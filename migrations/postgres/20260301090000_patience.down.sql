alter table agent_request drop column "patient";
