//! A batch of decisions in one transaction: fence, claims, rows, COMMIT, in this order.
//!
//! Everything before COMMIT is sent at once, without waiting for the answer to the statement before;
//! every answer is read and compared before COMMIT is sent. So a batch costs two round trips.

use std::{collections::BTreeSet, future::Future, time::Duration};

use domain::{OrgId, PaymentHash};
use ports::journal::{Append, AppendError, Taken};
use tokio::time::timeout;
use tokio_postgres::{Error, Row, Statement, types::ToSql};
use uuid::Uuid;

use super::{
    lane::{CommitError, Connection, Lane, commit},
    session::{BEGIN, cause},
};
use crate::{
    seal::{Place, SealKeys, Sealed},
    shape::{
        Batch, ClaimRow, ClaimedHash, FailureRow, FreedHash, Head, IncomingHash, JournalRow,
        LedgerRow, MovedHash, PaymentRow, StandingRow, direction_number, status_number, to_signed,
    },
};

/// A server that says nothing for this long has been told by its own time-outs to give up.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

type Answer = Result<Vec<Row>, Error>;

pub(super) async fn append(
    lane: &Lane,
    keys: &SealKeys,
    appends: &[Append],
) -> Result<(), AppendError> {
    let batch = Batch::of(appends)?;
    let preimages = seal(&batch.incoming, keys)?;
    let (turn, connection) = lane.turn().await.map_err(aborted)?;
    fail::fail_point!("store::before_append", |_| Err(AppendError::Aborted(
        "fail point".to_owned()
    )));
    match within(connection.write(&batch, &preimages)).await {
        Some(Ok(())) => {}
        Some(Err(why)) => {
            within(turn.roll_back(connection)).await;
            return Err(why);
        }
        None => return Err(AppendError::Aborted("no answer in time".to_owned())),
    }
    if connection.client.is_closed() {
        return Err(AppendError::Aborted("the connection was lost".to_owned()));
    }
    fail::fail_point!("store::before_commit", |_| Err(AppendError::Aborted(
        "fail point".to_owned()
    )));
    match within(commit(&connection.client)).await {
        Some(Ok(())) => {
            fail::fail_point!("store::after_commit", |_| Err(AppendError::Unknown(
                "fail point".to_owned()
            )));
            turn.end(connection);
            Ok(())
        }
        Some(Err(CommitError::RolledBack(why))) => {
            within(turn.roll_back(connection)).await;
            Err(AppendError::Aborted(why))
        }
        Some(Err(CommitError::Lost(why))) => Err(AppendError::Unknown(why)),
        None => Err(AppendError::Unknown("no answer to COMMIT in time".to_owned())),
    }
}

/// `None`: no answer in time. The connection must not be used again.
async fn within<T>(answer: impl Future<Output = T>) -> Option<T> {
    timeout(ANSWER_WITHIN, answer).await.ok()
}

fn aborted(error: Error) -> AppendError {
    AppendError::Aborted(cause(&error))
}

fn seal(incoming: &[IncomingHash], keys: &SealKeys) -> Result<Vec<Option<Sealed>>, AppendError> {
    let sealed = incoming.iter().map(|row| {
        let Some(preimage) = &row.preimage else { return Ok(None) };
        keys.seal(Place::Preimage(row.hash), &preimage.0).map(Some)
    });
    let sealed: Result<_, _> = sealed.collect();
    sealed.map_err(|error| AppendError::Aborted(error.to_string()))
}

impl Connection {
    /// Everything before COMMIT. Polled in this order, and each sends when it is first polled.
    async fn write(&self, batch: &Batch, preimages: &[Option<Sealed>]) -> Result<(), AppendError> {
        let (begun, heads, lost, written) = tokio::join!(
            biased;
            self.client.batch_execute(BEGIN),
            self.fence(&batch.heads),
            self.claim(batch, preimages),
            self.write_rows(batch),
        );
        begun.map_err(aborted)?;
        fenced(heads.map_err(aborted)?)?;
        let lost = lost.map_err(aborted)?;
        if !lost.is_empty() {
            return Err(AppendError::LostClaim(lost.into_iter().collect()));
        }
        fenced(written.map_err(aborted)?)
    }

    /// Answers the organisations whose head does not stand as expected.
    async fn fence(&self, heads: &[Head]) -> Result<BTreeSet<OrgId>, Error> {
        let orgs = column(heads, |head| *head.org.uuid());
        let epochs = column(heads, |head| to_signed(head.epoch.0));
        let expected = column(heads, |head| to_signed(head.expected.0));
        let next = column(heads, |head| to_signed(head.next.0));
        let moved =
            self.send(&self.statements.fence, &[&orgs, &epochs, &expected, &next], heads).await?;
        missing(heads, |head| head.org, |head| *head.org.uuid(), &moved, |row| row.try_get(0))
    }

    /// Answers the organisations that claim what another holds.
    async fn claim(
        &self,
        batch: &Batch,
        preimages: &[Option<Sealed>],
    ) -> Result<BTreeSet<OrgId>, Error> {
        let (payments, freed, claimed, kept, moved, incoming, claims, failures) = tokio::join!(
            biased;
            self.claim_ids(&batch.new_payments),
            self.free(&batch.freed),
            self.claim_outgoing(&batch.claimed),
            self.claim_outgoing(&batch.kept),
            self.move_outgoing(&batch.moved),
            self.claim_incoming(&batch.incoming, preimages),
            self.claim_answers(&batch.claims),
            self.claim_failures(&batch.failures),
        );
        let mut lost = payments?;
        lost.extend(freed?);
        lost.extend(claimed?);
        // What another payment holds by now stays with it.
        kept?;
        lost.extend(moved?);
        lost.extend(incoming?);
        lost.extend(claims?);
        lost.extend(failures?);
        Ok(lost)
    }

    async fn claim_ids(&self, rows: &[PaymentRow]) -> Result<BTreeSet<OrgId>, Error> {
        let orgs = column(rows, |row| *row.org.uuid());
        let payments = column(rows, |row| *row.payment.uuid());
        let environments = column(rows, |row| *row.listing.environment.uuid());
        let wallets = column(rows, |row| *row.listing.wallet.uuid());
        let directions = column(rows, |row| direction_number(row.listing.direction));
        let created = column(rows, |row| row.listing.created_at.millis());
        let metadata = column(rows, |row| row.listing.metadata_json());
        let now = Changing::of(rows);
        let columns: [&(dyn ToSql + Sync); 16] = [
            &orgs,
            &payments,
            &environments,
            &wallets,
            &directions,
            &created,
            &metadata,
            &now.statuses,
            &now.updated,
            &now.updated_seqs,
            &now.open,
            &now.failed,
            &now.bodies,
            &now.first,
            &now.last,
            &now.seqs,
        ];
        let claimed = self.send(&self.statements.new_payments, &columns, rows).await?;
        missing(rows, |row| row.org, payment_key, &claimed, read_payment_key)
    }

    async fn free(&self, rows: &[FreedHash]) -> Result<BTreeSet<OrgId>, Error> {
        let hashes = column(rows, |row| &row.hash.0[..]);
        let orgs = column(rows, |row| *row.org.uuid());
        let payments = column(rows, |row| *row.payment.uuid());
        let freed = self.send(&self.statements.freed, &[&hashes, &orgs, &payments], rows).await?;
        missing(rows, |row| row.org, |row| row.hash.0.to_vec(), &freed, read_hash)
    }

    async fn claim_outgoing(&self, rows: &[ClaimedHash]) -> Result<BTreeSet<OrgId>, Error> {
        let hashes = column(rows, |row| &row.hash.0[..]);
        let orgs = column(rows, |row| *row.org.uuid());
        let payments = column(rows, |row| *row.payment.uuid());
        let nodes = column(rows, |row| row.attempt.map(|(node, _)| *node.uuid()));
        let attempts = column(rows, |row| row.attempt.map(|(_, number)| i64::from(number)));
        let columns: [&(dyn ToSql + Sync); 5] = [&hashes, &orgs, &payments, &nodes, &attempts];
        let claimed = self.send(&self.statements.claimed, &columns, rows).await?;
        missing(rows, |row| row.org, |row| row.hash.0.to_vec(), &claimed, read_hash)
    }

    async fn move_outgoing(&self, rows: &[MovedHash]) -> Result<BTreeSet<OrgId>, Error> {
        let hashes = column(rows, |row| &row.hash.0[..]);
        let orgs = column(rows, |row| *row.org.uuid());
        let nodes = column(rows, |row| *row.node.uuid());
        let attempts = column(rows, |row| i64::from(row.attempt));
        let columns: [&(dyn ToSql + Sync); 4] = [&hashes, &orgs, &nodes, &attempts];
        let moved = self.send(&self.statements.moved, &columns, rows).await?;
        missing(rows, |row| row.org, |row| row.hash.0.to_vec(), &moved, read_hash)
    }

    async fn claim_incoming(
        &self,
        rows: &[IncomingHash],
        preimages: &[Option<Sealed>],
    ) -> Result<BTreeSet<OrgId>, Error> {
        let hashes = column(rows, |row| &row.hash.0[..]);
        let orgs = column(rows, |row| *row.org.uuid());
        let payments = column(rows, |row| *row.payment.uuid());
        let nodes = column(rows, |row| *row.node.uuid());
        let keys = column(preimages, |sealed| sealed.as_ref().map(|it| it.key_id.as_str()));
        let sealed = column(preimages, |sealed| sealed.as_ref().map(|it| it.bytes.as_slice()));
        let columns: [&(dyn ToSql + Sync); 6] = [&hashes, &orgs, &payments, &nodes, &keys, &sealed];
        let claimed = self.send(&self.statements.incoming, &columns, rows).await?;
        missing(rows, |row| row.org, |row| row.hash.0.to_vec(), &claimed, read_hash)
    }

    async fn claim_answers(&self, rows: &[ClaimRow]) -> Result<BTreeSet<OrgId>, Error> {
        let orgs = column(rows, |row| *row.org.uuid());
        let payers = column(rows, |row| *row.payer.uuid());
        let payments = column(rows, |row| *row.payer_payment.uuid());
        let claimed =
            self.send(&self.statements.claims, &[&orgs, &payers, &payments], rows).await?;
        let key = |row: &ClaimRow| (*row.org.uuid(), *row.payer.uuid(), *row.payer_payment.uuid());
        missing(
            rows,
            |row| row.org,
            key,
            &claimed,
            |row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)),
        )
    }

    async fn claim_failures(&self, rows: &[FailureRow]) -> Result<BTreeSet<OrgId>, Error> {
        let hashes = column(rows, |row| &row.hash.0[..]);
        let nodes = column(rows, |row| *row.node.uuid());
        let indexes = column(rows, |row| to_signed(row.failure.payment_index));
        let times = column(rows, |row| row.failure.creation_time_ns);
        let columns: [&(dyn ToSql + Sync); 4] = [&hashes, &nodes, &indexes, &times];
        let claimed = self.send(&self.statements.failures, &columns, rows).await?;
        let key = |row: &FailureRow| {
            let failure = row.failure;
            let index = to_signed(failure.payment_index);
            (row.hash.0.to_vec(), *row.node.uuid(), index, failure.creation_time_ns)
        };
        missing(
            rows,
            |row| row.org,
            key,
            &claimed,
            |row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?)),
        )
    }

    /// Answers the organisations whose payments are not there to be updated.
    async fn write_rows(&self, batch: &Batch) -> Result<BTreeSet<OrgId>, Error> {
        let (journal, ledger, standing, payments, taken) = tokio::join!(
            biased;
            self.write_journal(&batch.journal),
            self.write_ledger(&batch.ledger),
            self.write_standing(&batch.standing),
            self.write_payments(&batch.payments),
            self.write_taken(&batch.taken),
        );
        journal?;
        ledger?;
        standing?;
        taken?;
        payments
    }

    async fn write_journal(&self, rows: &[JournalRow]) -> Answer {
        let orgs = column(rows, |row| *row.org.uuid());
        let seqs = column(rows, |row| to_signed(row.seq.0));
        let times = column(rows, |row| row.at.millis());
        let payments = column(rows, |row| row.payment.map(|payment| *payment.uuid()));
        let bodies = column(rows, |row| row.body.as_slice());
        let columns: [&(dyn ToSql + Sync); 5] = [&orgs, &seqs, &times, &payments, &bodies];
        self.send(&self.statements.journal, &columns, rows).await
    }

    async fn write_ledger(&self, rows: &[LedgerRow]) -> Answer {
        let orgs = column(rows, |row| *row.org.uuid());
        let wallets = column(rows, |row| *row.wallet.uuid());
        let seqs = column(rows, |row| to_signed(row.seq.0));
        self.send(&self.statements.ledger, &[&orgs, &wallets, &seqs], rows).await
    }

    /// Nearly always they are all there, and an update costs half of an insert that finds them.
    async fn write_standing(&self, rows: &[StandingRow]) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let orgs = column(rows, |row| *row.org.uuid());
        let kinds = column(rows, |row| row.kind.number());
        let ids = column(rows, |row| row.id);
        let bodies = column(rows, |row| row.body.as_slice());
        let columns: [&(dyn ToSql + Sync); 4] = [&orgs, &kinds, &ids, &bodies];
        let there = self.client.execute(&self.statements.standing, &columns).await?;
        if usize::try_from(there) != Ok(rows.len()) {
            self.client.execute(&self.statements.new_standing, &columns).await?;
        }
        Ok(())
    }

    async fn write_payments(&self, rows: &[PaymentRow]) -> Result<BTreeSet<OrgId>, Error> {
        let orgs = column(rows, |row| *row.org.uuid());
        let payments = column(rows, |row| *row.payment.uuid());
        let now = Changing::of(rows);
        let columns: [&(dyn ToSql + Sync); 11] = [
            &orgs,
            &payments,
            &now.statuses,
            &now.updated,
            &now.updated_seqs,
            &now.open,
            &now.failed,
            &now.bodies,
            &now.first,
            &now.last,
            &now.seqs,
        ];
        let written = self.send(&self.statements.payments, &columns, rows).await?;
        missing(rows, |row| row.org, payment_key, &written, read_payment_key)
    }

    async fn write_taken(&self, rows: &[Taken]) -> Answer {
        let nodes = column(rows, |row| *row.node.uuid());
        let hashes = column(rows, |row| &row.hash.0[..]);
        let paid = column(rows, |row| row.paid_msat.signed().get());
        self.send(&self.statements.taken, &[&nodes, &hashes, &paid], rows).await
    }

    /// Sends nothing for a batch without such rows.
    async fn send<T>(
        &self,
        statement: &Statement,
        columns: &[&(dyn ToSql + Sync)],
        rows: &[T],
    ) -> Answer {
        match rows.is_empty() {
            true => Ok(Vec::new()),
            false => self.client.query(statement, columns).await,
        }
    }
}

/// The columns of payments that change with them.
struct Changing<'a> {
    statuses: Vec<i16>,
    updated: Vec<i64>,
    updated_seqs: Vec<i64>,
    open: Vec<bool>,
    failed: Vec<Option<&'a [u8]>>,
    bodies: Vec<&'a [u8]>,
    /// Where the positions of each payment's events begin and end in all of them, counted from 1:
    /// arrays of several lengths cannot be one parameter.
    first: Vec<i32>,
    last: Vec<i32>,
    seqs: Vec<i64>,
}

impl Changing<'_> {
    fn of(rows: &[PaymentRow]) -> Changing<'_> {
        let (mut first, mut last, mut seqs) = (Vec::new(), Vec::new(), Vec::new());
        let place = |length: usize| i32::try_from(length).expect("a batch is small");
        for row in rows {
            first.push(place(seqs.len() + 1));
            seqs.extend(row.seqs.iter().map(|seq| to_signed(seq.0)));
            last.push(place(seqs.len()));
        }
        Changing {
            statuses: column(rows, |row| status_number(row.listing.status)),
            updated: column(rows, |row| row.listing.updated_at.millis()),
            updated_seqs: column(rows, |row| to_signed(row.updated_seq.0)),
            open: column(rows, |row| row.open),
            failed: column(rows, failed_hash),
            bodies: column(rows, |row| row.body.as_slice()),
            first,
            last,
            seqs,
        }
    }
}

fn column<'a, T, V>(rows: &'a [T], value: impl Fn(&'a T) -> V) -> Vec<V> {
    rows.iter().map(value).collect()
}

/// The organisations whose rows were given and did not come back.
fn missing<T, K: Ord>(
    given: &[T],
    org: impl Fn(&T) -> OrgId,
    key: impl Fn(&T) -> K,
    back: &[Row],
    read: impl Fn(&Row) -> Result<K, Error>,
) -> Result<BTreeSet<OrgId>, Error> {
    if given.len() == back.len() {
        return Ok(BTreeSet::new());
    }
    let back = back.iter().map(read).collect::<Result<BTreeSet<K>, Error>>()?;
    Ok(given.iter().filter(|row| !back.contains(&key(row))).map(org).collect())
}

fn fenced(orgs: BTreeSet<OrgId>) -> Result<(), AppendError> {
    if orgs.is_empty() { Ok(()) } else { Err(AppendError::Fenced(orgs.into_iter().collect())) }
}

fn failed_hash(row: &PaymentRow) -> Option<&[u8]> {
    row.failed_hash.as_ref().map(|PaymentHash(hash)| &hash[..])
}

fn payment_key(row: &PaymentRow) -> (Uuid, Uuid) {
    (*row.org.uuid(), *row.payment.uuid())
}

fn read_payment_key(row: &Row) -> Result<(Uuid, Uuid), Error> {
    Ok((row.try_get(0)?, row.try_get(1)?))
}

fn read_hash(row: &Row) -> Result<Vec<u8>, Error> {
    row.try_get(0)
}
