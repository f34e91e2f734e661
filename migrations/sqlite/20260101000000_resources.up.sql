create table "account" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"external_id"                varchar(255),
	"external_id_type"           varchar(128)
);
create unique index account_uuid on "account" ("uuid");
create index account_remove_time on "account" (remove_time) where remove_time is not null;
create index account_name on "account" ("name");

create table "agent" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"account_id"                 bigint,
	"zone_id"                    bigint,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"agent_group_id"             bigint,
	"managed_config"             boolean not null default true,
	"uri"                        varchar(255)
);
create unique index agent_uuid on "agent" ("uuid");
create index agent_remove_time on "agent" (remove_time) where remove_time is not null;
create index agent_name on "agent" ("name");
create index agent_account_id on "agent" ("account_id");
create index agent_agent_group_id on "agent" ("agent_group_id");
create index agent_uri on "agent" ("uri");

create table "agent_group" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"account_id"                 bigint,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0
);
create unique index agent_group_uuid on "agent_group" ("uuid");
create index agent_group_remove_time on "agent_group" (remove_time) where remove_time is not null;
create index agent_group_name on "agent_group" ("name");
create index agent_group_account_id on "agent_group" ("account_id");

create table "credential" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"account_id"                 bigint,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"public_value"               varchar(4096),
	"secret_value"               varchar(4096)
);
create unique index credential_uuid on "credential" ("uuid");
create index credential_remove_time on "credential" (remove_time) where remove_time is not null;
create index credential_name on "credential" ("name");
create index credential_account_id on "credential" ("account_id");
create index credential_public_value on "credential" ("public_value");

create table "credential_instance_map" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"credential_id"              bigint,
	"instance_id"                bigint
);
create unique index credential_instance_map_uuid on "credential_instance_map" ("uuid");
create index credential_instance_map_remove_time on "credential_instance_map" (remove_time) where remove_time is not null;
create index credential_instance_map_credential_id on "credential_instance_map" ("credential_id");
create index credential_instance_map_instance_id on "credential_instance_map" ("instance_id");

create table "external_handler" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"priority"                   bigint
);
create unique index external_handler_uuid on "external_handler" ("uuid");
create index external_handler_remove_time on "external_handler" (remove_time) where remove_time is not null;
create index external_handler_name on "external_handler" ("name");

create table "external_handler_external_handler_process_map" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"external_handler_id"        bigint,
	"external_handler_process_id" bigint
);
create unique index external_handler_external_handler_process_map_uuid on "external_handler_external_handler_process_map" ("uuid");
create index external_handler_external_handler_process_map_remove_time on "external_handler_external_handler_process_map" (remove_time) where remove_time is not null;
create index handler_map_external_handler_id on "external_handler_external_handler_process_map" ("external_handler_id");
create index handler_map_external_handler_process_id on "external_handler_external_handler_process_map" ("external_handler_process_id");

create table "external_handler_process" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0
);
create unique index external_handler_process_uuid on "external_handler_process" ("uuid");
create index external_handler_process_remove_time on "external_handler_process" (remove_time) where remove_time is not null;
create index external_handler_process_name on "external_handler_process" ("name");

create table "generic_object" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"account_id"                 bigint,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"key"                        varchar(255)
);
create unique index generic_object_uuid on "generic_object" ("uuid");
create index generic_object_remove_time on "generic_object" (remove_time) where remove_time is not null;
create index generic_object_name on "generic_object" ("name");
create index generic_object_account_id on "generic_object" ("account_id");

create table "host" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"account_id"                 bigint,
	"zone_id"                    bigint,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"agent_id"                   bigint,
	"compute_free"               bigint,
	"compute_total"              bigint,
	"is_public"                  boolean not null default false,
	"physical_host_id"           bigint,
	"uri"                        varchar(255)
);
create unique index host_uuid on "host" ("uuid");
create index host_remove_time on "host" (remove_time) where remove_time is not null;
create index host_name on "host" ("name");
create index host_account_id on "host" ("account_id");
create index host_agent_id on "host" ("agent_id");
create index host_physical_host_id on "host" ("physical_host_id");

create index host_placement on "host" ("compute_free" desc, "id") where state = 'active' and removed is null;

create table "host_ip_address_map" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"host_id"                    bigint,
	"ip_address_id"              bigint
);
create unique index host_ip_address_map_uuid on "host_ip_address_map" ("uuid");
create index host_ip_address_map_remove_time on "host_ip_address_map" (remove_time) where remove_time is not null;
create index host_ip_address_map_host_id on "host_ip_address_map" ("host_id");
create index host_ip_address_map_ip_address_id on "host_ip_address_map" ("ip_address_id");

create table "host_vnet_map" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"host_id"                    bigint,
	"vnet_id"                    bigint
);
create unique index host_vnet_map_uuid on "host_vnet_map" ("uuid");
create index host_vnet_map_remove_time on "host_vnet_map" (remove_time) where remove_time is not null;
create index host_vnet_map_host_id on "host_vnet_map" ("host_id");
create index host_vnet_map_vnet_id on "host_vnet_map" ("vnet_id");

create table "image" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"account_id"                 bigint,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"checksum"                   varchar(255),
	"format"                     varchar(255),
	"instance_kind"              varchar(255),
	"is_public"                  boolean not null default false,
	"physical_size_mb"           bigint,
	"url"                        varchar(255),
	"virtual_size_mb"            bigint
);
create unique index image_uuid on "image" ("uuid");
create index image_remove_time on "image" (remove_time) where remove_time is not null;
create index image_name on "image" ("name");
create index image_account_id on "image" ("account_id");

create table "image_storage_pool_map" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"image_id"                   bigint,
	"storage_pool_id"            bigint
);
create unique index image_storage_pool_map_uuid on "image_storage_pool_map" ("uuid");
create index image_storage_pool_map_remove_time on "image_storage_pool_map" (remove_time) where remove_time is not null;
create index image_storage_pool_map_image_id on "image_storage_pool_map" ("image_id", "storage_pool_id");
create index image_storage_pool_map_storage_pool_id on "image_storage_pool_map" ("storage_pool_id");

create table "instance" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"account_id"                 bigint,
	"zone_id"                    bigint,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"agent_id"                   bigint,
	"allocation_state"           varchar(255),
	"compute"                    bigint,
	"domain"                     varchar(128),
	"first_running"              bigint,
	"hostname"                   varchar(255),
	"image_id"                   bigint,
	"instance_triggered_stop"    varchar(128),
	"memory_mb"                  bigint,
	"offering_id"                bigint,
	"token"                      varchar(255),
	"userdata"                   text
);
create unique index instance_uuid on "instance" ("uuid");
create index instance_remove_time on "instance" (remove_time) where remove_time is not null;
create index instance_name on "instance" ("name");
create index instance_account_id on "instance" ("account_id");
create index instance_agent_id on "instance" ("agent_id");
create index instance_image_id on "instance" ("image_id");

create table "instance_host_map" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"host_id"                    bigint,
	"instance_id"                bigint
);
create unique index instance_host_map_uuid on "instance_host_map" ("uuid");
create index instance_host_map_remove_time on "instance_host_map" (remove_time) where remove_time is not null;
create index instance_host_map_host_id on "instance_host_map" ("host_id");
create index instance_host_map_instance_id on "instance_host_map" ("instance_id");

create table "instance_link" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"account_id"                 bigint,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"instance_id"                bigint,
	"link_name"                  varchar(255),
	"target_instance_id"         bigint
);
create unique index instance_link_uuid on "instance_link" ("uuid");
create index instance_link_remove_time on "instance_link" (remove_time) where remove_time is not null;
create index instance_link_name on "instance_link" ("name");
create index instance_link_account_id on "instance_link" ("account_id");
create index instance_link_instance_id on "instance_link" ("instance_id");
create index instance_link_target_instance_id on "instance_link" ("target_instance_id");

create table "ip_address" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"account_id"                 bigint,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"address"                    varchar(255),
	"hostname"                   varchar(255),
	"ip_pool_id"                 bigint,
	"is_public"                  boolean not null default false,
	"network_id"                 bigint,
	"role"                       varchar(128),
	"subnet_id"                  bigint
);
create unique index ip_address_uuid on "ip_address" ("uuid");
create index ip_address_remove_time on "ip_address" (remove_time) where remove_time is not null;
create index ip_address_name on "ip_address" ("name");
create index ip_address_account_id on "ip_address" ("account_id");
create index ip_address_ip_pool_id on "ip_address" ("ip_pool_id");
create index ip_address_network_id on "ip_address" ("network_id");
create index ip_address_subnet_id on "ip_address" ("subnet_id");

create table "ip_address_nic_map" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"ip_address_id"              bigint,
	"nic_id"                     bigint
);
create unique index ip_address_nic_map_uuid on "ip_address_nic_map" ("uuid");
create index ip_address_nic_map_remove_time on "ip_address_nic_map" (remove_time) where remove_time is not null;
create index ip_address_nic_map_ip_address_id on "ip_address_nic_map" ("ip_address_id");
create index ip_address_nic_map_nic_id on "ip_address_nic_map" ("nic_id");

create table "ip_association" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"account_id"                 bigint,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"child_ip_address_id"        bigint,
	"ip_address_id"              bigint,
	"role"                       varchar(255)
);
create unique index ip_association_uuid on "ip_association" ("uuid");
create index ip_association_remove_time on "ip_association" (remove_time) where remove_time is not null;
create index ip_association_name on "ip_association" ("name");
create index ip_association_account_id on "ip_association" ("account_id");
create index ip_association_child_ip_address_id on "ip_association" ("child_ip_address_id");
create index ip_association_ip_address_id on "ip_association" ("ip_address_id");

create table "ip_pool" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"account_id"                 bigint,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"is_public"                  boolean not null default false
);
create unique index ip_pool_uuid on "ip_pool" ("uuid");
create index ip_pool_remove_time on "ip_pool" (remove_time) where remove_time is not null;
create index ip_pool_name on "ip_pool" ("name");
create index ip_pool_account_id on "ip_pool" ("account_id");

create table "network" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"account_id"                 bigint,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"domain"                     varchar(128),
	"is_public"                  boolean not null default false
);
create unique index network_uuid on "network" ("uuid");
create index network_remove_time on "network" (remove_time) where remove_time is not null;
create index network_name on "network" ("name");
create index network_account_id on "network" ("account_id");

create table "network_service" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"account_id"                 bigint,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"network_id"                 bigint,
	"network_service_provider_id" bigint
);
create unique index network_service_uuid on "network_service" ("uuid");
create index network_service_remove_time on "network_service" (remove_time) where remove_time is not null;
create index network_service_name on "network_service" ("name");
create index network_service_account_id on "network_service" ("account_id");
create index network_service_network_id on "network_service" ("network_id");
create index network_service_network_service_provider_id on "network_service" ("network_service_provider_id");

create table "network_service_provider" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"account_id"                 bigint,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"network_id"                 bigint
);
create unique index network_service_provider_uuid on "network_service_provider" ("uuid");
create index network_service_provider_remove_time on "network_service_provider" (remove_time) where remove_time is not null;
create index network_service_provider_name on "network_service_provider" ("name");
create index network_service_provider_account_id on "network_service_provider" ("account_id");
create index network_service_provider_network_id on "network_service_provider" ("network_id");

create table "network_service_provider_instance_map" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"instance_id"                bigint,
	"network_service_provider_id" bigint
);
create unique index network_service_provider_instance_map_uuid on "network_service_provider_instance_map" ("uuid");
create index network_service_provider_instance_map_remove_time on "network_service_provider_instance_map" (remove_time) where remove_time is not null;
create index network_service_provider_instance_map_instance_id on "network_service_provider_instance_map" ("instance_id");
create index handler_map_network_service_provider_id on "network_service_provider_instance_map" ("network_service_provider_id");

create table "nic" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"account_id"                 bigint,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"device_number"              bigint,
	"instance_id"                bigint,
	"mac_address"                varchar(128),
	"network_id"                 bigint,
	"subnet_id"                  bigint,
	"vnet_id"                    bigint
);
create unique index nic_uuid on "nic" ("uuid");
create index nic_remove_time on "nic" (remove_time) where remove_time is not null;
create index nic_name on "nic" ("name");
create index nic_account_id on "nic" ("account_id");
create index nic_instance_id on "nic" ("instance_id");
create index nic_network_id on "nic" ("network_id");
create index nic_subnet_id on "nic" ("subnet_id");
create index nic_vnet_id on "nic" ("vnet_id");

create table "offering" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"account_id"                 bigint,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"is_public"                  boolean not null default false
);
create unique index offering_uuid on "offering" ("uuid");
create index offering_remove_time on "offering" (remove_time) where remove_time is not null;
create index offering_name on "offering" ("name");
create index offering_account_id on "offering" ("account_id");

create table "physical_host" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"account_id"                 bigint,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0
);
create unique index physical_host_uuid on "physical_host" ("uuid");
create index physical_host_remove_time on "physical_host" (remove_time) where remove_time is not null;
create index physical_host_name on "physical_host" ("name");
create index physical_host_account_id on "physical_host" ("account_id");

create table "port" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"account_id"                 bigint,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"instance_id"                bigint,
	"private_ip_address_id"      bigint,
	"private_port"               bigint,
	"protocol"                   varchar(128) not null,
	"public_ip_address_id"       bigint,
	"public_port"                bigint
);
create unique index port_uuid on "port" ("uuid");
create index port_remove_time on "port" (remove_time) where remove_time is not null;
create index port_name on "port" ("name");
create index port_account_id on "port" ("account_id");
create index port_instance_id on "port" ("instance_id");
create index port_private_ip_address_id on "port" ("private_ip_address_id");
create index port_public_ip_address_id on "port" ("public_ip_address_id");

create table "storage_pool" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"account_id"                 bigint,
	"zone_id"                    bigint,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"agent_id"                   bigint,
	"external"                   boolean not null default false,
	"physical_total_size_mb"     bigint,
	"virtual_total_size_mb"      bigint
);
create unique index storage_pool_uuid on "storage_pool" ("uuid");
create index storage_pool_remove_time on "storage_pool" (remove_time) where remove_time is not null;
create index storage_pool_name on "storage_pool" ("name");
create index storage_pool_account_id on "storage_pool" ("account_id");
create index storage_pool_agent_id on "storage_pool" ("agent_id");

create table "storage_pool_host_map" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"host_id"                    bigint,
	"storage_pool_id"            bigint
);
create unique index storage_pool_host_map_uuid on "storage_pool_host_map" ("uuid");
create index storage_pool_host_map_remove_time on "storage_pool_host_map" (remove_time) where remove_time is not null;
create index storage_pool_host_map_host_id on "storage_pool_host_map" ("host_id");
create index storage_pool_host_map_storage_pool_id on "storage_pool_host_map" ("storage_pool_id");

create table "subnet" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"account_id"                 bigint,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"cidr_size"                  bigint,
	"end_address"                varchar(255),
	"gateway"                    varchar(255),
	"ip_pool_id"                 bigint,
	"is_public"                  boolean not null default false,
	"network_address"            varchar(255),
	"network_id"                 bigint,
	"start_address"              varchar(255)
);
create unique index subnet_uuid on "subnet" ("uuid");
create index subnet_remove_time on "subnet" (remove_time) where remove_time is not null;
create index subnet_name on "subnet" ("name");
create index subnet_account_id on "subnet" ("account_id");
create index subnet_ip_pool_id on "subnet" ("ip_pool_id");
create index subnet_network_id on "subnet" ("network_id");

create table "subnet_vnet_map" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"subnet_id"                  bigint,
	"vnet_id"                    bigint
);
create unique index subnet_vnet_map_uuid on "subnet_vnet_map" ("uuid");
create index subnet_vnet_map_remove_time on "subnet_vnet_map" (remove_time) where remove_time is not null;
create index subnet_vnet_map_subnet_id on "subnet_vnet_map" ("subnet_id");
create index subnet_vnet_map_vnet_id on "subnet_vnet_map" ("vnet_id");

create table "vnet" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"account_id"                 bigint,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"network_id"                 bigint,
	"uri"                        varchar(255)
);
create unique index vnet_uuid on "vnet" ("uuid");
create index vnet_remove_time on "vnet" (remove_time) where remove_time is not null;
create index vnet_name on "vnet" ("name");
create index vnet_account_id on "vnet" ("account_id");
create index vnet_network_id on "vnet" ("network_id");

create table "volume" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"account_id"                 bigint,
	"zone_id"                    bigint,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"allocation_state"           varchar(255),
	"attached_state"             varchar(255),
	"device_number"              bigint,
	"format"                     varchar(255),
	"image_id"                   bigint,
	"instance_id"                bigint,
	"offering_id"                bigint,
	"physical_size_mb"           bigint,
	"virtual_size_mb"            bigint
);
create unique index volume_uuid on "volume" ("uuid");
create index volume_remove_time on "volume" (remove_time) where remove_time is not null;
create index volume_name on "volume" ("name");
create index volume_account_id on "volume" ("account_id");
create index volume_image_id on "volume" ("image_id");
create index volume_instance_id on "volume" ("instance_id");

create table "volume_storage_pool_map" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"storage_pool_id"            bigint,
	"volume_id"                  bigint
);
create unique index volume_storage_pool_map_uuid on "volume_storage_pool_map" ("uuid");
create index volume_storage_pool_map_remove_time on "volume_storage_pool_map" (remove_time) where remove_time is not null;
create index volume_storage_pool_map_storage_pool_id on "volume_storage_pool_map" ("storage_pool_id");
create index volume_storage_pool_map_volume_id on "volume_storage_pool_map" ("volume_id");

create table "zone" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"account_id"                 bigint,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0
);
create unique index zone_uuid on "zone" ("uuid");
create index zone_remove_time on "zone" (remove_time) where remove_time is not null;
create index zone_name on "zone" ("name");
create index zone_account_id on "zone" ("account_id");

create table "config_item" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255) not null,
	"source_version"             varchar(1024) not null
);
create unique index config_item_name on "config_item" ("name");

create table "config_item_status" (
	"agent_id"                   bigint,
	"applied_updated"            bigint,
	"applied_version"            bigint not null default -1,
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255) not null,
	"requested_updated"          bigint not null,
	"requested_version"          bigint not null default 0,
	"source_version"             varchar(255)
);
create index config_item_status_agent_id on "config_item_status" ("agent_id");
create unique index config_item_status_name_agent on "config_item_status" ("name", "agent_id");

create table "data" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255) not null,
	"value"                      text not null,
	"visible"                    boolean not null default true
);
create unique index data_name on "data" ("name");

create table "databasechangelog" (
	"author"                     varchar(255),
	"comments"                   varchar(255),
	"dateexecuted"               bigint,
	"description"                varchar(255),
	"exectype"                   varchar(10),
	"filename"                   varchar(255),
	"id"                         text,
	"liquibase"                  varchar(20),
	"md5sum"                     varchar(35),
	"orderexecuted"              bigint,
	"tag"                        varchar(255)
);

create table "databasechangeloglock" (
	"id"                         integer primary key autoincrement,
	"locked"                     boolean,
	"lockedby"                   varchar(255),
	"lockgranted"                bigint
);

create table "process_execution" (
	"id"                         integer primary key autoincrement,
	"log"                        text,
	"process_instance_id"        bigint not null,
	"uuid"                       varchar(128) not null,
	"created"                    bigint
);
create unique index process_execution_uuid on "process_execution" ("uuid");
create index process_execution_process_instance_id on "process_execution" ("process_instance_id");

create table "process_instance" (
	"data"                       text,
	"end_time"                   bigint,
	"exit_reason"                varchar(128),
	"id"                         integer primary key autoincrement,
	"phase"                      varchar(128),
	"priority"                   bigint not null default 0,
	"process_name"               varchar(128),
	"resource_id"                varchar(128),
	"resource_type"              varchar(128),
	"result"                     varchar(128),
	"running_process_server_id"  varchar(128),
	"start_process_server_id"    varchar(128),
	"start_time"                 bigint,
	"run_epoch"                  bigint not null default 0,
	"lease_until"                bigint,
	"due_at"                     bigint not null default 0,
	"attempts"                   bigint not null default 0,
	"busy_count"                 bigint not null default 0,
	"wake_seq"                   bigint not null default 0,
	"parent_process_id"          bigint,
	"wait_agent_id"              bigint,
	"holding"                    boolean not null default false,
	"terminated"                 boolean not null default false,
	"last_error"                 varchar(1024)
);
create index process_instance_due on process_instance (due_at, priority) where end_time is null;
create index process_instance_pending on process_instance (resource_type, resource_id) where end_time is null;
create index process_instance_resource on process_instance (resource_type, resource_id, start_time);
create index process_instance_agent on process_instance (wait_agent_id) where end_time is null and wait_agent_id is not null;
create index process_instance_end_time on process_instance (end_time);

create table "resource_pool" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255),
	"kind"                       varchar(255) not null,
	"uuid"                       varchar(128) not null,
	"description"                varchar(1024),
	"state"                      varchar(128) not null,
	"created"                    bigint,
	"removed"                    bigint,
	"remove_time"                bigint,
	"data"                       text,
	"account_id"                 bigint,
	"revision"                   bigint not null default 0,
	"claim_process_id"           bigint,
	"claim_epoch"                bigint not null default 0,
	"item"                       varchar(255),
	"owner_id"                   bigint,
	"owner_type"                 varchar(255),
	"pool_id"                    bigint,
	"pool_type"                  varchar(255),
	"qualifier"                  varchar(128) not null default 'default'
);
create unique index resource_pool_uuid on "resource_pool" ("uuid");
create index resource_pool_remove_time on "resource_pool" (remove_time) where remove_time is not null;
create index resource_pool_name on "resource_pool" ("name");
create index resource_pool_account_id on "resource_pool" ("account_id");
create unique index resource_pool_item on "resource_pool" ("pool_type", "pool_id", "qualifier", "item");

create table "setting" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(255) not null,
	"value"                      varchar(1024) not null
);
create unique index setting_name on "setting" ("name");

create table "task" (
	"id"                         integer primary key autoincrement,
	"name"                       varchar(128) not null
);
create unique index task_name on "task" ("name");

create table "task_instance" (
	"end_time"                   bigint,
	"exception"                  varchar(255),
	"id"                         integer primary key autoincrement,
	"name"                       varchar(128) not null,
	"server_id"                  varchar(128) not null,
	"start_time"                 bigint not null,
	"task_id"                    bigint not null
);
create index task_instance_task_id on "task_instance" ("task_id");

create table agent_request (
	"id"         varchar(64) primary key,
	"process_id" bigint not null,
	"step_key"   text not null,
	"agent_id"   bigint not null,
	"name"       varchar(128) not null,
	"reply_to"   varchar(128) not null,
	"sends"      bigint not null,
	"status"     varchar(16) not null,
	"reply"      text
);
create unique index agent_request_step on agent_request (process_id, step_key);
create index agent_request_agent on agent_request (agent_id);
