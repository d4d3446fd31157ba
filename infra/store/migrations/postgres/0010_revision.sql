-- A kind of event is written only once every process that lives can read it. Each says up to which revision
-- it does; an engine of a version from before this says nothing, and reads the first.
alter table pod add column reads smallint not null default 1;

-- Those that read and own nothing. One from before this is seen by the name of its connections only.
create table reader (
    session uuid primary key,
    name text not null,
    reads smallint not null,
    until timestamptz not null
) with (fillfactor = 50);

-- Up to which revision events may be written. It only grows.
create table allowed_revision (
    only_one boolean primary key default true check (only_one),
    revision smallint not null
);
insert into allowed_revision (revision) values (1);

-- The number of the schema refuses an older version that is started. One that has been running all the time
-- does not look at it again: an engine that was cut off until it was buried begins another life, and must not.
-- The lock waits for whoever is about to allow more.
create function refuse_older_reader() returns trigger language plpgsql as $$
declare
    allowed smallint;
begin
    select revision into strict allowed from allowed_revision for share;
    if new.reads < allowed then
        raise 'revision % is written, and this version reads % at most', allowed, new.reads;
    end if;
    return new;
end $$;
create trigger refuse_older_reader before insert on pod
    for each row execute function refuse_older_reader();
create trigger refuse_older_reader before insert on reader
    for each row execute function refuse_older_reader();
