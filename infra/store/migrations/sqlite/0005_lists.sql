-- What payments are listed by stands beside the body, so that a list reads only the bodies that it
-- shows. No index is added: each would be written with every payment, and payment_newest and the
-- journal's own key lead to every list. What is null is filled in from bodies and journal, a chunk at a
-- time, when the store is opened; from then on every payment is written with it.
alter table payment add column environment_id blob;
alter table payment add column direction integer;
alter table payment add column status integer;
alter table payment add column updated_at integer;
-- The position of the last event that changed it, which the journal leads to it by.
alter table payment add column updated_seq integer;
-- The positions of all its events, with commas between them.
alter table payment add column seqs text;
-- JSON; null when there is none.
alter table payment add column metadata text;

-- Of an event that is about a payment.
alter table journal add column payment_id blob;

-- What is still to be filled in, wallets' and lines' beginnings included; empty once it is done.
create table backfill (
    what text primary key
) strict, without rowid;
insert into backfill select 'lists' where exists (select 1 from journal);
