alter table process_execution alter column log set compression default;
