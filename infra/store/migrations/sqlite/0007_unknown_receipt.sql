-- Settled invoices of the house's own nodes that the ledger does not know (rule 24): a restored database
-- has lost them. A person takes them as they are up to an amount; they stay on record.
create table unknown_receipt (
    node_id blob not null,
    hash blob not null,
    paid_msat integer not null,
    excused_msat integer not null default 0,
    primary key (node_id, hash)
) strict, without rowid;

create index unknown_receipt_open on unknown_receipt (node_id, hash)
    where paid_msat > excused_msat;

-- What a node had settled up to here is older than its books. Until now it was only counted.
alter table node_cursor add column settle_begin integer not null default 0;
update node_cursor set settle_begin = settle_index;
