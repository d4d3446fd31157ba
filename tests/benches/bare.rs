//! The payments of the bare two-phase loop, as columns, before any store has seen them.
//!
//! A lane holds a batch of payments in one transaction and settles the same batch in the next. Both
//! stores write exactly these rows, in this order, sorted by the key of each table.

use std::time::Duration;

use uuid::Uuid;

use crate::cpu::Cpu;
use crate::latency::Latency;

/// How one bare loop runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) organisations: usize,
    /// Sub-accounts of each shared account (node liquidity, fee income), as `shard` in the product.
    pub(crate) shards: usize,
    /// Connections, each with its own organisations and shards.
    pub(crate) lanes: usize,
    /// Payments in one transaction.
    pub(crate) batch: usize,
}

impl Shape {
    /// The loop that the floors are ratios to.
    pub(crate) const STANDARD: Shape =
        Shape { organisations: ORGANISATIONS, shards: ORGANISATIONS, lanes: 2, batch: 128 };
}

/// Fewer organisations make larger groups of one fence row and one balance row, and a much faster
/// loop, so a workload that is compared with the loop has as many as the loop.
pub(crate) const ORGANISATIONS: usize = 1_000;

/// What the loop did in its measured time.
pub(crate) struct Pace {
    pub(crate) rate: f64,
    /// CPU time of all measured payments.
    pub(crate) cpu: Cpu,
    pub(crate) payments: u64,
    pub(crate) elapsed: Duration,
    /// From the first statement to the answer to COMMIT.
    pub(crate) batch: Latency,
    pub(crate) commit: Latency,
}

/// What every organisation starts with: enough for every payment of a run.
pub(crate) const FUNDED_MSAT: i64 = 1_000_000_000_000_000;

pub(crate) const EPOCH: i64 = 1;

const AMOUNT_MSAT: i64 = 1_000_000;
const ROUTING_FEE_MSAT: i64 = 300;
const ROUTING_FEE_MSAT_MAX: i64 = 1_000;
const OWN_FEE_MSAT: i64 = 500;

/// Sizes of the two events as the product would encode them, ids and hash included.
const HELD_EVENT: [u8; 160] = [0x5a; 160];
const POSTED_EVENT: [u8; 96] = [0xa5; 96];

/// `organisation` counts from 0; its id sorts like its number.
pub(crate) fn org_id(organisation: usize) -> Uuid {
    id(0x0197_0000_0000_7000, organisation)
}

pub(crate) fn wallet_account(organisation: usize) -> Uuid {
    id(0x0197_1000_0000_7000, organisation)
}

pub(crate) fn node_account(shard: usize) -> Uuid {
    id(0x0197_2000_0000_7000, shard)
}

pub(crate) fn fee_account(shard: usize) -> Uuid {
    id(0x0197_3000_0000_7000, shard)
}

fn id(kind: u64, number: usize) -> Uuid {
    Uuid::from_u64_pair(kind, 0x8000_0000_0000_0000 | number as u64)
}

/// Payments held and not yet settled: the rows of the first phase.
#[derive(Default)]
pub(crate) struct Held {
    organisations: Vec<usize>,
    pub(crate) heads: Heads,
    pub(crate) journal: Journal,
    /// Sorted by organisation, then payment.
    pub(crate) org_ids: Vec<Uuid>,
    pub(crate) payment_ids: Vec<Uuid>,
    pub(crate) hashes: Vec<[u8; 32]>,
    pub(crate) amounts: Vec<i64>,
    pub(crate) holds: Vec<i64>,
    /// Sorted by payment.
    pub(crate) ids: Vec<(Uuid, Uuid)>,
    /// Sorted by hash.
    pub(crate) claims: Vec<([u8; 32], Uuid, Uuid)>,
    pub(crate) balances: Balances,
}

/// The rows of the second phase of the same payments.
#[derive(Default)]
pub(crate) struct Posted {
    pub(crate) heads: Heads,
    pub(crate) journal: Journal,
    pub(crate) entries: Entries,
    pub(crate) balances: Balances,
    pub(crate) org_ids: Vec<Uuid>,
    pub(crate) payment_ids: Vec<Uuid>,
    pub(crate) costs: Vec<i64>,
}

/// The fence: one row for each organisation in the batch.
#[derive(Default)]
pub(crate) struct Heads {
    pub(crate) org_ids: Vec<Uuid>,
    pub(crate) expected: Vec<i64>,
    pub(crate) next: Vec<i64>,
    pub(crate) epochs: Vec<i64>,
}

#[derive(Default)]
pub(crate) struct Journal {
    pub(crate) org_ids: Vec<Uuid>,
    pub(crate) seqs: Vec<i64>,
    pub(crate) events: Vec<&'static [u8]>,
}

/// Two or three for each payment: wallet, node, and own fee on every second one.
#[derive(Default)]
pub(crate) struct Entries {
    pub(crate) org_ids: Vec<Uuid>,
    pub(crate) seqs: Vec<i64>,
    pub(crate) lines: Vec<i16>,
    pub(crate) accounts: Vec<Uuid>,
    pub(crate) amounts: Vec<i64>,
}

/// Changes, summed: an account occurs once.
#[derive(Default)]
pub(crate) struct Balances {
    pub(crate) accounts: Vec<Uuid>,
    pub(crate) posted: Vec<i64>,
    pub(crate) held: Vec<i64>,
}

/// Decides for the organisations of one lane.
pub(crate) struct Lane {
    shape: Shape,
    number: usize,
    seqs: Vec<i64>,
    payments: u64,
    random: Random,
}

impl Lane {
    pub(crate) fn new(shape: Shape, number: usize) -> Lane {
        let seqs = vec![0; shape.organisations];
        Lane { shape, number, seqs, payments: 0, random: Random(number as u64 + 1) }
    }

    /// The next payments, each of an organisation picked at random.
    pub(crate) fn hold(&mut self, payments: usize) -> Held {
        let mut organisations: Vec<usize> = (0..payments).map(|_| self.pick()).collect();
        organisations.sort_unstable();
        let mut held = Held::default();
        for &organisation in &organisations {
            let (org, payment, hash) = (org_id(organisation), self.payment_id(), self.hash());
            let hold = AMOUNT_MSAT + ROUTING_FEE_MSAT_MAX + OWN_FEE_MSAT;
            held.org_ids.push(org);
            held.payment_ids.push(payment);
            held.hashes.push(hash);
            held.amounts.push(AMOUNT_MSAT);
            held.holds.push(hold);
            held.ids.push((payment, org));
            held.claims.push((hash, org, payment));
            held.balances.add(wallet_account(organisation), 0, hold);
            self.append(organisation, &HELD_EVENT, &mut held.heads, &mut held.journal);
        }
        held.claims.sort_unstable();
        held.organisations = organisations;
        held
    }

    /// Settles every payment of a batch.
    pub(crate) fn post(&mut self, held: &Held) -> Posted {
        let mut posted = Posted::default();
        let (mut nodes, mut fees) = (Balances::default(), Balances::default());
        for (at, &organisation) in held.organisations.iter().enumerate() {
            let fee = if at % 2 == 0 { OWN_FEE_MSAT } else { 0 };
            let sent = held.amounts[at] + ROUTING_FEE_MSAT;
            let shard = organisation * self.shape.shards / self.shape.organisations;
            let seq =
                self.append(organisation, &POSTED_EVENT, &mut posted.heads, &mut posted.journal);
            let mut lines =
                vec![(wallet_account(organisation), -sent - fee), (node_account(shard), sent)];
            posted.balances.add(wallet_account(organisation), -sent - fee, -held.holds[at]);
            nodes.add(node_account(shard), sent, 0);
            if fee > 0 {
                lines.push((fee_account(shard), fee));
                fees.add(fee_account(shard), fee, 0);
            }
            posted.entries.add(org_id(organisation), seq, &lines);
            posted.org_ids.push(held.org_ids[at]);
            posted.payment_ids.push(held.payment_ids[at]);
            posted.costs.push(sent + fee);
        }
        posted.balances.extend(nodes);
        posted.balances.extend(fees);
        posted
    }

    fn append(
        &mut self,
        organisation: usize,
        event: &'static [u8],
        heads: &mut Heads,
        journal: &mut Journal,
    ) -> i64 {
        let (org, expected) = (org_id(organisation), self.seqs[organisation]);
        let seq = expected + 1;
        self.seqs[organisation] = seq;
        match (heads.org_ids.last(), heads.next.last_mut()) {
            (Some(&last), Some(next)) if last == org => *next = seq,
            (Some(_) | None, Some(_) | None) => {
                heads.org_ids.push(org);
                heads.expected.push(expected);
                heads.next.push(seq);
                heads.epochs.push(EPOCH);
            }
        }
        journal.org_ids.push(org);
        journal.seqs.push(seq);
        journal.events.push(event);
        seq
    }

    fn pick(&mut self) -> usize {
        let share = self.shape.organisations / self.shape.lanes;
        self.number * share + (self.random.next() % share as u64) as usize
    }

    /// Ordered by time, as ids of our own are.
    fn payment_id(&mut self) -> Uuid {
        self.payments += 1;
        let high = (0x0198_0000_0000 + (self.payments >> 8)) << 16 | 0x7000 | self.payments & 0xff;
        Uuid::from_u64_pair(high, 0x8000_0000_0000_0000 | self.random.next() >> 2)
    }

    fn hash(&mut self) -> [u8; 32] {
        let mut hash = [0; 32];
        for part in hash.chunks_exact_mut(8) {
            part.copy_from_slice(&self.random.next().to_be_bytes());
        }
        hash
    }
}

impl Entries {
    fn add(&mut self, org: Uuid, seq: i64, lines: &[(Uuid, i64)]) {
        for (line, &(account, amount)) in (0..).zip(lines) {
            self.org_ids.push(org);
            self.seqs.push(seq);
            self.lines.push(line);
            self.accounts.push(account);
            self.amounts.push(amount);
        }
    }
}

impl Balances {
    /// Accounts come in order, so an account that occurred before is the last one.
    fn add(&mut self, account: Uuid, posted: i64, held: i64) {
        if self.accounts.last() != Some(&account) {
            self.accounts.push(account);
            self.posted.push(0);
            self.held.push(0);
        }
        let last = self.accounts.len() - 1;
        self.posted[last] += posted;
        self.held[last] += held;
    }

    fn extend(&mut self, other: Balances) {
        self.accounts.extend(other.accounts);
        self.posted.extend(other.posted);
        self.held.extend(other.held);
    }
}

/// SplitMix64: the same payments in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}
