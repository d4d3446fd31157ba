//! The statements of a journal transaction: set-based, each sorted by its key.
//!
//! What a failed attempt changes is looked up by its key and then changed where it lies, in the same order, so that the
//! planner cannot compare each row of the table with each of the batch because it has heard of few. No row moves
//! meanwhile: it is its organisation's, which the fence keeps from all others. What nearly every batch updates is joined
//! as the planner likes, as a second fetch of each row would cost more: those tables are small in new installations
//! only. The inbox is not behind the fence.

use tokio_postgres::{Client, Error, Statement};

const FENCE: &str = "
    update org_head set seq = batch.next
    from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[])
        as batch (org_id, epoch, expected, next)
    where org_head.org_id = batch.org_id
        and org_head.epoch = batch.epoch and org_head.seq = batch.expected
    returning org_head.org_id";

const NEW_PAYMENTS: &str = "
    insert into payment (org_id, payment_id, environment_id, wallet_id, direction, created_at_ms,
        metadata, status, updated_at_ms, updated_seq, open, failed_hash, body, seqs)
    select org_id, payment_id, environment_id, wallet_id, direction, created_at_ms,
        metadata::jsonb, status, updated_at_ms, updated_seq, open, failed_hash, body,
        ($16::bigint[])[first_seq:last_seq]
    from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::smallint[], $6::bigint[],
            $7::text[], $8::smallint[], $9::bigint[], $10::bigint[], $11::bool[], $12::bytea[],
            $13::bytea[], $14::int[], $15::int[])
        as batch (org_id, payment_id, environment_id, wallet_id, direction, created_at_ms,
            metadata, status, updated_at_ms, updated_seq, open, failed_hash, body, first_seq,
            last_seq)
    on conflict do nothing
    returning org_id, payment_id";

const FREED: &str = "
    delete from outgoing_hash
    using unnest($1::bytea[], $2::uuid[], $3::uuid[]) as batch (hash, org_id, payment_id),
        lateral (
            select known.ctid from outgoing_hash as known
            where known.hash = batch.hash
                and known.org_id = batch.org_id and known.payment_id = batch.payment_id
            offset 0
        ) as held
    where outgoing_hash.ctid = held.ctid
    returning outgoing_hash.hash";

const CLAIMED: &str = "
    insert into outgoing_hash (hash, org_id, payment_id, node_id, attempt)
    select * from unnest($1::bytea[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[])
    on conflict do nothing
    returning hash";

const MOVED: &str = "
    update outgoing_hash set node_id = batch.node_id, attempt = batch.attempt
    from unnest($1::bytea[], $2::uuid[], $3::uuid[], $4::bigint[])
            as batch (hash, org_id, node_id, attempt),
        lateral (
            select known.ctid from outgoing_hash as known
            where known.hash = batch.hash and known.org_id = batch.org_id
            offset 0
        ) as held
    where outgoing_hash.ctid = held.ctid
    returning outgoing_hash.hash";

const INCOMING: &str = "
    insert into incoming_hash
        (hash, org_id, payment_id, node_id, seal_key_id, preimage_sealed)
    select *
    from unnest($1::bytea[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::bytea[])
    on conflict do nothing
    returning hash";

const CLAIMS: &str = "
    insert into claim (org_id, payer_id, payer_payment_id)
    select * from unnest($1::uuid[], $2::uuid[], $3::uuid[])
    on conflict do nothing
    returning org_id, payer_id, payer_payment_id";

const FAILURES: &str = "
    insert into failure (hash, node_id, payment_index, creation_time_ns)
    select * from unnest($1::bytea[], $2::uuid[], $3::bigint[], $4::bigint[])
    on conflict do nothing
    returning hash, node_id, payment_index, creation_time_ns";

const JOURNAL: &str = "
    insert into journal (org_id, seq, at_ms, payment_id, body)
    select * from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::uuid[], $5::bytea[])";

const LEDGER: &str = "
    insert into ledger (org_id, wallet_id, seq)
    select * from unnest($1::uuid[], $2::uuid[], $3::bigint[])";

const STANDING: &str = "
    update standing set body = batch.body
    from unnest($1::uuid[], $2::smallint[], $3::uuid[], $4::bytea[])
        as batch (org_id, kind, id, body)
    where standing.org_id = batch.org_id
        and standing.kind = batch.kind and standing.id = batch.id";

const NEW_STANDING: &str = "
    insert into standing (org_id, kind, id, body)
    select * from unnest($1::uuid[], $2::smallint[], $3::uuid[], $4::bytea[])
    on conflict do nothing";

const PAYMENTS: &str = "
    update payment
    set status = batch.status, updated_at_ms = batch.updated_at_ms,
        updated_seq = batch.updated_seq, open = batch.open, failed_hash = batch.failed_hash,
        body = batch.body,
        seqs = case when cardinality(payment.seqs) > 64 then payment.seqs
            else payment.seqs || ($11::bigint[])[batch.first_seq:batch.last_seq] end
    from unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::bigint[], $5::bigint[], $6::bool[],
            $7::bytea[], $8::bytea[], $9::int[], $10::int[])
        as batch (org_id, payment_id, status, updated_at_ms, updated_seq, open, failed_hash, body,
            first_seq, last_seq)
    where payment.org_id = batch.org_id and payment.payment_id = batch.payment_id
    returning payment.org_id, payment.payment_id";

const TAKEN: &str = "
    update inbox set booked_msat = greatest(inbox.booked_msat, batch.paid_msat)
    from unnest($1::uuid[], $2::bytea[], $3::bigint[]) as batch (node_id, hash, paid_msat)
    where inbox.node_id = batch.node_id and inbox.hash = batch.hash";

/// As the server knows them in one session.
pub(super) struct Statements {
    pub(super) fence: Statement,
    pub(super) new_payments: Statement,
    pub(super) freed: Statement,
    pub(super) claimed: Statement,
    pub(super) moved: Statement,
    pub(super) incoming: Statement,
    pub(super) claims: Statement,
    pub(super) failures: Statement,
    pub(super) journal: Statement,
    pub(super) ledger: Statement,
    pub(super) standing: Statement,
    pub(super) new_standing: Statement,
    pub(super) payments: Statement,
    pub(super) taken: Statement,
}

impl Statements {
    pub(super) async fn prepare(client: &Client) -> Result<Statements, Error> {
        Ok(Statements {
            fence: client.prepare(FENCE).await?,
            new_payments: client.prepare(NEW_PAYMENTS).await?,
            freed: client.prepare(FREED).await?,
            claimed: client.prepare(CLAIMED).await?,
            moved: client.prepare(MOVED).await?,
            incoming: client.prepare(INCOMING).await?,
            claims: client.prepare(CLAIMS).await?,
            failures: client.prepare(FAILURES).await?,
            journal: client.prepare(JOURNAL).await?,
            ledger: client.prepare(LEDGER).await?,
            standing: client.prepare(STANDING).await?,
            new_standing: client.prepare(NEW_STANDING).await?,
            payments: client.prepare(PAYMENTS).await?,
            taken: client.prepare(TAKEN).await?,
        })
    }
}
