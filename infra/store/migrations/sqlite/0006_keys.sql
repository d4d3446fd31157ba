-- What a key may do, until when, and from where. Keys from before could do all that there was to do: a
-- bit for each permission, theirs are read, receive and write.
alter table api_key add column permissions integer not null default 7;
alter table api_key add column expires_at integer;
-- Networks with commas between them; empty means from everywhere.
alter table api_key add column valid_ips text not null default '';
alter table api_key add column updated_at integer not null default 0;
alter table api_key add column last_used_at integer;
update api_key set updated_at = coalesce(revoked_at, created_at);

-- Keys that callers put on their requests, and what was answered. Status and body are null while the
-- request is carried out.
create table idempotency (
    org_id blob not null,
    environment_id blob not null,
    key text not null,
    fingerprint blob not null,
    began_at integer not null,
    status integer,
    body blob,
    primary key (org_id, environment_id, key),
    check ((status is null) = (body is null))
) strict;

-- The oldest are forgotten first.
create index idempotency_by_age on idempotency (began_at);
