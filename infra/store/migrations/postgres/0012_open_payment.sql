-- Which payments are open stands beside them. An index on payment.open kept every update that ends a payment from
-- being in place: each went into all indexes of payment again, and all of those had to be vacuumed.
lock table payment in access exclusive mode;

create table open_payment (
    org_id uuid not null,
    payment_id uuid not null,
    primary key (org_id, payment_id)
);

-- By the table itself, so that versions that know only payment.open keep it too.
create function note_begun_payments() returns trigger language plpgsql as $$
begin
    insert into open_payment
    select org_id, payment_id from written where open order by org_id, payment_id
    on conflict do nothing;
    return null;
end $$;
create function note_ended_payments() returns trigger language plpgsql as $$
begin
    delete from open_payment using written
    where not written.open
        and open_payment.org_id = written.org_id and open_payment.payment_id = written.payment_id;
    return null;
end $$;
create trigger note_begun_payments after insert on payment
    referencing new table as written
    for each statement execute function note_begun_payments();
create trigger note_begun_again after update on payment
    referencing new table as written
    for each statement execute function note_begun_payments();
create trigger note_ended_payments after update on payment
    referencing new table as written
    for each statement execute function note_ended_payments();

insert into open_payment select org_id, payment_id from payment where open;
drop index payment_open;

-- Room beside each row for the one that ends it.
alter table payment set (fillfactor = 50);
