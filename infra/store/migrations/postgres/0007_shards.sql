-- Several engines over one store. A pod is one life of an engine; the only process of an installation
-- has no name.
alter table pod
    add column name text not null default '',
    add column address text not null default '',
    add column began_at timestamptz not null default clock_timestamp();
alter table pod alter column name drop default, alter column address drop default;

-- Who should load the organisations of a shard. Who can write them is the epoch's to say, so a row
-- that is wrong for a moment costs time and nothing else.
create table shard_owner (
    shard smallint primary key check (shard between 0 and 4095),
    session uuid
) with (fillfactor = 50);
insert into shard_owner (shard) select generate_series(0, 4095);
