-- What payments are listed by stands beside the body, so that a list reads only the bodies that it
-- shows. No index is added: each would be written with every payment, and payment_by_time and the
-- journal's own key lead to every list. What is null is filled in from bodies and journal, a chunk at a
-- time, when the store is opened; from then on every payment is written with it.
alter table payment
    add column environment_id uuid,
    add column wallet_id uuid,
    add column direction smallint,
    add column status smallint,
    add column updated_at_ms bigint,
    -- The position of the last event that changed it, which the journal leads to it by.
    add column updated_seq bigint,
    -- The positions of all its events.
    add column seqs bigint[],
    -- Null when there is none.
    add column metadata jsonb;

-- Of an event that is about a payment.
alter table journal add column payment_id uuid;

-- What is still to be filled in, wallets' and lines' beginnings included; empty once it is done.
create table backfill (
    what text primary key
);
insert into backfill select 'lists' where exists (select from journal);
