-- Payments of ours that their node has shown, so that it cannot lose one unnoticed (rule 24). Written
-- a moment later and not for every payment: those that are still open, and some of the newest.
create table sighting (
    node_id blob not null,
    org_id blob not null,
    payment_id blob not null,
    hash blob not null,
    -- A person has looked: it is not held against the node again.
    excused integer not null default 0,
    primary key (node_id, org_id, payment_id)
) strict, without rowid;
