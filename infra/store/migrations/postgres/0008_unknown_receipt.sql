-- Settled invoices of the house's own nodes that the ledger does not know (rule 24): a restored database
-- has lost them. A person takes them as they are up to an amount; they stay on record.
create table unknown_receipt (
    node_id uuid not null,
    hash bytea not null,
    paid_msat bigint not null,
    excused_msat bigint not null default 0,
    primary key (node_id, hash)
);

create index unknown_receipt_open on unknown_receipt (node_id, hash)
    where paid_msat > excused_msat;

-- What a node had settled up to here is older than its books. Until now it was only counted.
alter table node_cursor add column settle_begin bigint not null default 0;
update node_cursor set settle_begin = settle_index;
