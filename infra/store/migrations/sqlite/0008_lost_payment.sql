-- What a node of the pool has paid since its books began and the ledger does not know: a restored database
-- has lost it. It is told for as long as no payment of ours accounts for it; what a node had paid before is
-- not ours to tell of, and of the rows from before nobody knows which they are.
alter table foreign_payment add column lost integer not null default 0;

create index lost_payment on foreign_payment (node_id, hash) where lost;
