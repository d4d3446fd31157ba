-- Payments of ours that their node has shown, so that it cannot lose one unnoticed (rule 24). Written
-- a moment later and not for every payment: those that are still open, and some of the newest.
create table sighting (
    node_id uuid not null,
    org_id uuid not null,
    payment_id uuid not null,
    hash bytea not null,
    -- A person has looked: it is not held against the node again.
    excused boolean not null default false,
    primary key (node_id, org_id, payment_id)
);
