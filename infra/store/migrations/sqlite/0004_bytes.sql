-- Stored forms are bytes: JSON, which they were, took twice the room and had to be written twice for
-- each payment. Those that are there stay as they are; their first byte tells the two apart.

create table journal_of_bytes (
    org_id blob not null,
    seq integer not null,
    at integer not null,
    body blob not null,
    primary key (org_id, seq)
) strict;
insert into journal_of_bytes select org_id, seq, at, cast(body as blob) from journal;
drop table journal;
alter table journal_of_bytes rename to journal;

create table standing_of_bytes (
    org_id blob not null,
    kind integer not null,
    id blob not null,
    body blob not null,
    primary key (org_id, kind, id)
) strict, without rowid;
insert into standing_of_bytes select org_id, kind, id, cast(body as blob) from standing;
drop table standing;
alter table standing_of_bytes rename to standing;

create table payment_of_bytes (
    org_id blob not null,
    payment_id blob not null,
    wallet_id blob not null,
    created_at integer not null,
    open integer not null,
    -- Of a send that a node has failed or contradicted: outgoing_hash may have forgotten it.
    failed_hash blob,
    body blob not null,
    primary key (org_id, payment_id)
) strict;
insert into payment_of_bytes
    select org_id, payment_id, wallet_id, created_at, open, failed_hash, cast(body as blob)
    from payment;
drop table payment;
alter table payment_of_bytes rename to payment;
create index payment_newest on payment (org_id, created_at, payment_id);
-- What loading reads. Small, because payments leave it when they end.
create index payment_open on payment (org_id) where open = 1;
create index payment_failed on payment (failed_hash) where failed_hash is not null;
