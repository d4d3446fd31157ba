-- Everything of one organisation leads with org_id; what is global is keyed by itself. There are no
-- foreign keys: the journal lane writes rows in one fixed order under the fence of org_head, and a
-- check of each parent row would cost as much as the row.

create table org (
    org_id uuid primary key,
    name text not null unique,
    created_at_ms bigint not null
);

-- The fence. Every transaction of an organisation moves its row, so there must be room beside it for
-- the next version, else each commit touches the index too.
create table org_head (
    org_id uuid primary key,
    seq bigint not null,
    epoch bigint not null
) with (fillfactor = 50);

-- What is compressed costs more to write than it saves: the bodies are JSON of one to three kilobytes.
create table journal (
    org_id uuid not null,
    seq bigint not null,
    at_ms bigint not null,
    body text not null,
    primary key (org_id, seq)
) with (toast_tuple_target = 4080);

-- A payment is written when it begins and a few times until it ends, soon after: a part of the page is
-- left for that. `open` changes once, and then the row leaves the small index that loading reads.
create table payment (
    org_id uuid not null,
    payment_id uuid not null,
    created_at_ms bigint not null,
    open boolean not null,
    failed_hash bytea,
    body text not null,
    primary key (org_id, payment_id)
) with (fillfactor = 70, toast_tuple_target = 4080);

create index payment_by_time on payment (org_id, created_at_ms, payment_id);
create index payment_open on payment (org_id) where open;
create index payment_failed on payment (failed_hash) where failed_hash is not null;

-- One outgoing payment for each hash in the whole installation that is not proven failed (rule 11).
create table outgoing_hash (
    hash bytea primary key,
    org_id uuid not null,
    payment_id uuid not null,
    node_id uuid,
    attempt bigint
);

-- One preimage for each hash, of one node for ever (rule 22); sealed (rule 31).
create table incoming_hash (
    hash bytea primary key,
    org_id uuid not null,
    payment_id uuid not null,
    node_id uuid not null,
    seal_key_id text,
    preimage_sealed bytea
);

-- The payee's one answer to a payer's payment, for ever.
create table claim (
    org_id uuid not null,
    payer_id uuid not null,
    payer_payment_id uuid not null,
    primary key (org_id, payer_id, payer_payment_id)
);

-- Every proven failure of a hash on a node, for ever (rule 13).
create table failure (
    hash bytea not null,
    node_id uuid not null,
    payment_index bigint not null,
    creation_time_ns bigint not null,
    primary key (hash, node_id, payment_index, creation_time_ns)
);

-- Environments, lines, nodes, wallets and accounts as they stand; written with every payment.
create table standing (
    org_id uuid not null,
    kind smallint not null,
    id uuid not null,
    body text not null,
    primary key (org_id, kind, id)
) with (fillfactor = 70);

-- Which events move a wallet.
create table ledger (
    org_id uuid not null,
    wallet_id uuid not null,
    seq bigint not null,
    primary key (org_id, wallet_id, seq)
);

-- What nodes say that hashes of ours have been paid, and how much of it is booked.
create table inbox (
    node_id uuid not null,
    hash bytea not null,
    paid_msat bigint not null,
    booked_msat bigint not null default 0,
    primary key (node_id, hash)
) with (fillfactor = 70);

create index inbox_open on inbox (node_id, hash) where booked_msat < paid_msat;

create table node_cursor (
    node_id uuid primary key,
    settle_index bigint not null default 0,
    payment_index bigint not null default 0,
    unknown bigint not null default 0
) with (fillfactor = 50);

create table api_key (
    key_id uuid primary key,
    digest bytea not null unique,
    org_id uuid not null,
    environment_id uuid not null,
    name text not null,
    created_at_ms bigint not null,
    revoked_at_ms bigint,
    unique (org_id, environment_id, name)
);

create table node (
    node_id uuid primary key,
    owner_id uuid,
    name text not null unique,
    address text not null,
    certificate text,
    seal_key_id text not null,
    macaroon_sealed bytea not null,
    identity bytea not null unique,
    network text not null,
    stopped text
);

-- One row for each life of a process. Deleting it is the takeover.
create table pod (
    session uuid primary key,
    lease_until timestamptz not null
) with (fillfactor = 50);

-- Names of keys that have sealed, each with a value that only this key opens: so a missing or a wrong
-- key is found at the start.
create table seal_key (
    key_id text primary key,
    proof bytea not null
);

-- The one row about the whole: which history this is, and whether sends are frozen (rule 24).
create table installation (
    one boolean primary key default true check (one),
    generation text,
    frozen text
);
insert into installation default values;
