-- Ids are 16 bytes, hashes 32, instants milliseconds since 1970, amounts msat.
--
-- Tables that grow with every payment have rowids where their key is random: new rows then lie
-- together, and only a small index page is touched elsewhere. A commit costs what pages it touches.

create table org (
    org_id blob primary key,
    name text not null unique,
    created_at integer not null
) strict, without rowid;

-- The fence: every append moves seq under it, every load moves epoch.
create table org_head (
    org_id blob primary key references org,
    epoch integer not null,
    seq integer not null
) strict, without rowid;

create table api_key (
    key_id blob primary key,
    org_id blob not null,
    environment_id blob not null,
    name text not null,
    digest blob not null unique,
    created_at integer not null,
    revoked_at integer,
    unique (org_id, environment_id, name)
) strict, without rowid;

-- Names of keys that have sealed, each with a value that only this key opens: so a missing or a
-- wrong key is found at the start, without a walk through all sealed rows.
create table seal_key (
    seal_key text primary key,
    proof blob not null
) strict, without rowid;

create table node (
    node_id blob primary key,
    owner_id blob, -- Null: a node of the credit pool.
    name text not null unique,
    address text not null,
    certificate text,
    macaroon blob not null, -- Sealed.
    seal_key text not null references seal_key,
    identity blob not null unique,
    network text not null,
    stopped text
) strict, without rowid;

create table journal (
    org_id blob not null,
    seq integer not null,
    at integer not null,
    body text not null,
    primary key (org_id, seq)
) strict;

-- Which events move which wallet: a wallet's ledger is read without a walk through the journal.
create table ledger (
    org_id blob not null,
    wallet_id blob not null,
    seq integer not null,
    primary key (org_id, wallet_id, seq)
) strict, without rowid;

-- Environments, lines, nodes, wallets and accounts, as they stand.
create table standing (
    org_id blob not null,
    kind integer not null,
    id blob not null,
    body text not null,
    primary key (org_id, kind, id)
) strict, without rowid;

create table payment (
    org_id blob not null,
    payment_id blob not null,
    wallet_id blob not null,
    created_at integer not null,
    open integer not null,
    -- Of a send that a node has failed or contradicted: outgoing_hash may have forgotten it.
    failed_hash blob,
    body text not null,
    primary key (org_id, payment_id)
) strict;

create index payment_newest on payment (org_id, created_at, payment_id);
-- What loading reads. Small, because payments leave it when they end.
create index payment_open on payment (org_id) where open = 1;
create index payment_failed on payment (failed_hash) where failed_hash is not null;

-- One outgoing payment for each hash in the whole installation that is not proven failed. The node
-- and the number of the attempt are null while there is none.
create table outgoing_hash (
    hash blob primary key,
    org_id blob not null,
    payment_id blob not null,
    node_id blob,
    attempt integer
) strict;

-- Invoices of ours. A preimage belongs to one node for ever.
create table incoming_hash (
    hash blob primary key,
    org_id blob not null,
    payment_id blob not null,
    node_id blob not null,
    preimage blob, -- Sealed.
    seal_key text references seal_key,
    check ((preimage is null) = (seal_key is null))
) strict;

-- The one answer that a payer's payment gets to its claim, kept by the payee.
create table claim (
    org_id blob not null,
    payer_id blob not null,
    payer_payment_id blob not null,
    primary key (org_id, payer_id, payer_payment_id)
) strict, without rowid;

-- Failures on record for ever: one that is reported again proves nothing.
create table failure (
    hash blob not null,
    node_id blob not null,
    payment_index integer not null,
    creation_time_ns integer not null,
    org_id blob not null,
    primary key (hash, node_id, payment_index, creation_time_ns)
) strict, without rowid;

-- The inbox: what nodes say they have been paid, and how much of it is booked.
create table inbox (
    node_id blob not null,
    hash blob not null references incoming_hash (hash),
    paid_msat integer not null,
    booked_msat integer not null default 0,
    primary key (node_id, hash)
) strict, without rowid;

create index inbox_open on inbox (node_id, hash) where paid_msat > booked_msat;

create table node_cursor (
    node_id blob primary key,
    settle_index integer not null default 0,
    payment_index integer not null default 0,
    -- Settled invoices that are not ours.
    unknown integer not null default 0
) strict, without rowid;

create table pod (
    session_id blob primary key,
    lease_until integer not null
) strict, without rowid;

-- One row. The generation is also in a file beside the database; see generation.rs.
create table installation (
    only integer primary key check (only = 1),
    generation text,
    frozen text
) strict;

insert into installation (only) values (1);
