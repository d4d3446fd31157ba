-- What a key may do, until when, and from where. Keys from before could do all that there was to do.
alter table api_key
    -- A bit for each permission; those of a key from before are read, receive and write.
    add column permissions smallint not null default 7,
    add column expires_at_ms bigint,
    -- Networks with commas between them; empty means from everywhere.
    add column valid_ips text not null default '',
    add column updated_at_ms bigint,
    add column last_used_at_ms bigint;
update api_key set updated_at_ms = coalesce(revoked_at_ms, created_at_ms);
alter table api_key
    alter column permissions drop default,
    alter column valid_ips drop default,
    alter column updated_at_ms set not null;

-- Keys that callers put on their requests, and what was answered. Status and body are null while the
-- request is carried out.
create table idempotency (
    org_id uuid not null,
    environment_id uuid not null,
    key text not null,
    fingerprint bytea not null,
    began_at_ms bigint not null,
    status smallint,
    body bytea,
    primary key (org_id, environment_id, key),
    check ((status is null) = (body is null))
) with (fillfactor = 70);

-- The oldest are forgotten first.
create index idempotency_by_age on idempotency (began_at_ms);
