//! SQLite and memory keep one contract: whatever happens to both, they answer the same.

use std::sync::Arc;

use domain::{Msat, OrgId, PaymentHash, SessionId, Timestamp, org::PaymentStatus};
use ports::{
    Clock, Directory, Guard, Journal, Placement, Reads, Receipts,
    directory::OrgRecord,
    journal::{Append, AppendError, Question, Seq, Taken},
    lightning::Settlement,
    placement::LeaseLength,
    reads::{Direction, LedgerFilter, PaymentFilter, PaymentOrder},
    receipts::Unknown,
};
use proptest::{collection::vec, prelude::*};

use crate::{
    Memory, Sqlite,
    testing::{Still, Writer, hash_of, node, numbered},
};

const ORGS: u128 = 2;
const PAYMENTS: u128 = 6;
const SECRETS: u8 = 2;

/// What happens next. Numbers are small, so that things meet.
#[derive(Clone, Debug)]
enum Step {
    Send {
        org: u128,
        payment: u128,
        secret: u8,
    },
    /// One of the open sends, on one node or on both that are in its plan.
    Fail {
        org: u128,
        payment: u128,
        index: u64,
        both: bool,
    },
    Pay {
        org: u128,
        payment: u128,
    },
    Receive {
        org: u128,
        payment: u128,
        secret: u8,
    },
    Commit,
    /// Somebody else loads the organisation, and the one at hand does not know.
    LoadElsewhere {
        org: u128,
    },
    Settle {
        secret: u8,
        paid_msat: u64,
        index: u64,
    },
    /// Books what the inbox has.
    Book,
}

fn step() -> impl Strategy<Value = Step> {
    let org = || 1..=ORGS;
    let payment = || 1..=PAYMENTS;
    let secret = || 1..=SECRETS;
    prop_oneof![
        4 => (org(), payment(), secret())
            .prop_map(|(org, payment, secret)| Step::Send { org, payment, secret }),
        3 => (org(), payment(), 1..3_u64, any::<bool>())
            .prop_map(|(org, payment, index, both)| Step::Fail { org, payment, index, both }),
        1 => (org(), payment()).prop_map(|(org, payment)| Step::Pay { org, payment }),
        2 => (org(), payment(), secret())
            .prop_map(|(org, payment, secret)| Step::Receive { org, payment, secret }),
        4 => Just(Step::Commit),
        1 => org().prop_map(|org| Step::LoadElsewhere { org }),
        2 => (secret(), 0..3_u64, 1..5_u64)
            .prop_map(|(secret, paid_msat, index)| Step::Settle { secret, paid_msat, index }),
        1 => Just(Step::Book),
    ]
}

struct Both {
    memory: Memory,
    sqlite: Arc<Sqlite>,
    clock: Arc<Still>,
    writers: Vec<Writer>,
    pending: Vec<Append>,
    _folder: tempfile::TempDir,
}

fn session() -> SessionId {
    numbered(1)
}

impl Both {
    async fn begin() -> Both {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Arc::new(Still::default()));
        let memory = Memory::new(clock.clone());
        let sqlite = Sqlite::open(folder.path(), None, clock.clone(), LeaseLength::USUAL).unwrap();
        let (writers, pending) = (Vec::new(), Vec::new());
        let mut both = Both { memory, sqlite, clock, writers, pending, _folder: folder };
        both.memory.begin(session()).await.unwrap();
        both.sqlite.begin(session()).await.unwrap();
        for number in 1..=ORGS {
            let (id, name) = (numbered(number), format!("org {number}"));
            let record = OrgRecord { id, name, created_at: Timestamp::default() };
            both.memory.add_org(&record).await.unwrap();
            both.sqlite.add_org(&record).await.unwrap();
            let mut writer = both.load(id).await;
            both.pending.extend(writer.open_wallet());
            both.writers.push(writer);
        }
        both.commit().await;
        both
    }

    async fn load(&self, org: OrgId) -> Writer {
        let memory = self.memory.load(org, session()).await.unwrap();
        let sqlite = self.sqlite.load(org, session()).await.unwrap();
        assert_eq!(memory.org, sqlite.org);
        assert_eq!(memory.seq, sqlite.seq);
        Writer::of(sqlite)
    }

    async fn step(&mut self, step: &Step) {
        // Some things happen in the same millisecond.
        let at = self.clock.now();
        let writer = |org: u128| usize::try_from(org - 1).unwrap();
        let append = match *step {
            Step::Send { org, payment, secret } => {
                self.writers[writer(org)].send(payment, secret, at)
            }
            Step::Fail { org, payment, index, both } => {
                let payment = self.writers[writer(org)].nth_open_send(payment);
                let first = self.writers[writer(org)].fail(payment, index, at);
                self.pending.extend(first);
                both.then(|| self.writers[writer(org)].fail(payment, index, at)).flatten()
            }
            Step::Pay { org, payment } => {
                let payment = self.writers[writer(org)].nth_open_send(payment);
                self.writers[writer(org)].pay(payment, at)
            }
            Step::Receive { org, payment, secret } => {
                self.writers[writer(org)].receive(payment, secret, at)
            }
            Step::LoadElsewhere { org } => {
                self.load(numbered(org)).await;
                None
            }
            Step::Commit => {
                self.clock.advance(1);
                self.commit().await;
                None
            }
            Step::Settle { secret, paid_msat, index } => {
                self.settle(secret, paid_msat, index).await;
                None
            }
            Step::Book => {
                self.book(at).await;
                None
            }
        };
        self.pending.extend(append);
    }

    /// Commits what has gathered, taking out whom both refuse, as the lane does.
    async fn commit(&mut self) {
        loop {
            let batch = std::mem::take(&mut self.pending);
            let memory = self.memory.append(&batch).await;
            let sqlite = self.sqlite.append(&batch).await;
            assert_eq!(memory, sqlite);
            let out = match sqlite {
                Ok(()) => return,
                Err(AppendError::LostClaim(orgs) | AppendError::Fenced(orgs)) => orgs,
                Err(error @ (AppendError::Aborted(_) | AppendError::Unknown(_))) => {
                    panic!("{error}")
                }
            };
            assert!(!out.is_empty());
            self.pending = batch;
            self.pending.retain(|append| !out.contains(&append.org));
            for org in out {
                let fresh = self.load(org).await;
                let stale = self.writers.iter_mut().find(|writer| writer.org.id == org);
                *stale.unwrap() = fresh;
            }
        }
    }

    async fn settle(&self, secret: u8, paid: u64, settle_index: u64) {
        let paid_msat = Msat::new(paid).unwrap();
        let batch =
            [Settlement { hash: hash_of(secret), paid_msat, settle_index, spontaneous: false }];
        let memory = self.memory.take_in(node(1), &batch, Unknown::Kept).await;
        assert_eq!(memory, self.sqlite.take_in(node(1), &batch, Unknown::Kept).await);
    }

    async fn book(&mut self, at: Timestamp) {
        let open = self.sqlite.open_receipts().await.unwrap();
        assert_eq!(self.memory.open_receipts().await.unwrap(), open);
        for receipt in open {
            let writer = self.writers.iter_mut().find(|writer| writer.org.id == receipt.org);
            let writer = writer.unwrap();
            let taken =
                Taken { node: receipt.node, hash: receipt.hash, paid_msat: receipt.paid_msat };
            let number = receipt.payment.uuid().as_u128();
            let booked = writer.receipt(number, receipt.paid_msat, at);
            // What is credited already is marked without an event.
            let mut append = booked.unwrap_or_else(|| Append {
                org: writer.org.id,
                epoch: writer.org.epoch,
                expected: writer.seq,
                at,
                events: Vec::new(),
                rows: Vec::new(),
                preimages: Vec::new(),
                taken: Vec::new(),
            });
            append.taken.push(taken);
            self.pending.push(append);
        }
    }

    async fn compare(&self) {
        let (memory, sqlite) = (&self.memory, &self.sqlite);
        let hashes: Vec<PaymentHash> = (1..=SECRETS).map(hash_of).collect();
        for number in 1..=ORGS {
            let org: OrgId = numbered(number);
            assert_eq!(memory.standing(org).await, sqlite.standing(org).await);
            let (memory_journal, journal) =
                (memory.journal(org, Seq(2), 99).await, sqlite.journal(org, Seq(2), 99).await);
            assert_eq!(memory_journal, journal);
            self.compare_ledger(org).await;
            self.compare_feed(org).await;
            self.compare_payments(org).await;
            for hash in &hashes {
                let question = Question {
                    org,
                    payment: numbered(1),
                    hash: Some(*hash),
                    claim: Some((numbered(1), numbered(1))),
                };
                let known = sqlite.look_up(&[question]).await;
                assert_eq!(memory.look_up(&[question]).await, known);
            }
        }
        for node in [node(1), node(2)] {
            let unknown = sqlite.unknown_payments(node, &hashes).await;
            assert_eq!(memory.unknown_payments(node, &hashes).await, unknown);
            assert_eq!(memory.settle_cursor(node).await, sqlite.settle_cursor(node).await);
        }
        let open = sqlite.orgs_with_open_work().await;
        assert_eq!(memory.orgs_with_open_work().await, open);
        for org in open.unwrap() {
            assert_eq!(memory.open_payments(org).await, sqlite.open_payments(org).await);
        }
        assert_eq!(memory.open_receipts().await, sqlite.open_receipts().await);
        for hash in hashes {
            assert_eq!(memory.preimage(hash).await, sqlite.preimage(hash).await);
        }
    }

    async fn compare_ledger(&self, org: OrgId) {
        let (memory, sqlite) = (&self.memory, &self.sqlite);
        let after = LedgerFilter { after: Some(Seq(4)), ..LedgerFilter::default() };
        let at = Some(Timestamp::from_millis(2));
        let first = LedgerFilter { to: at, ..LedgerFilter::default() };
        let later = LedgerFilter { from: at, ..LedgerFilter::default() };
        let of_one = LedgerFilter { payment: Some(numbered(1)), ..LedgerFilter::default() };
        for filter in [after, first, later, of_one] {
            for ascending in [true, false] {
                let expected = memory.ledger(org, numbered(3), &filter, ascending, 1, 9).await;
                let found = sqlite.ledger(org, numbered(3), &filter, ascending, 1, 9).await;
                assert_eq!(found, expected, "{filter:?}");
            }
            let expected = memory.count_ledger(org, numbered(3), &filter).await;
            assert_eq!(sqlite.count_ledger(org, numbered(3), &filter).await, expected);
        }
    }

    async fn compare_feed(&self, org: OrgId) {
        for environment in [numbered(1), numbered(9)] {
            let mut after = Seq(0);
            loop {
                let page = self.sqlite.feed(org, environment, after, 5).await.unwrap();
                assert_eq!(self.memory.feed(org, environment, after, 5).await.unwrap(), page);
                if page.1 == after {
                    break;
                }
                after = page.1;
            }
        }
    }

    /// Page by page, until there are no more, in every order.
    async fn compare_payments(&self, org: OrgId) {
        let (memory, sqlite) = (&self.memory, &self.sqlite);
        let all = PaymentFilter::all(numbered(1));
        let ended = PaymentFilter {
            statuses: vec![PaymentStatus::Completed, PaymentStatus::Failed],
            updated_after: Some(Seq(6)),
            ..all.clone()
        };
        let received = PaymentFilter { direction: Some(Direction::Receive), ..all.clone() };
        for filter in [all, ended, received] {
            for order in [PaymentOrder::Created, PaymentOrder::Updated] {
                for ascending in [true, false] {
                    self.compare_pages(org, &filter, order, ascending).await;
                }
            }
            let counts = sqlite.count_payments(org, &filter).await;
            assert_eq!(memory.count_payments(org, &filter).await, counts);
        }
        for number in 1..=PAYMENTS {
            let history = sqlite.history(org, numbered(number)).await;
            assert_eq!(memory.history(org, numbered(number)).await, history);
        }
    }

    async fn compare_pages(
        &self,
        org: OrgId,
        filter: &PaymentFilter,
        order: PaymentOrder,
        ascending: bool,
    ) {
        let mut after = None;
        loop {
            let found = self.sqlite.find_payments(org, filter, order, ascending, after, 0, 2).await;
            let page = found.unwrap();
            let expected =
                self.memory.find_payments(org, filter, order, ascending, after, 0, 2).await;
            assert_eq!(expected.unwrap(), page);
            let Some(last) = page.last() else { return };
            after = Some(last.place(order));
        }
    }

    /// What the store keeps is what the writers know, once everything is committed.
    async fn compare_writers(&mut self) {
        self.commit().await;
        for writer in &self.writers {
            let fresh = self.load(writer.org.id).await;
            let mut kept = writer.org.clone();
            kept.epoch = fresh.org.epoch;
            kept.forget_ended(Timestamp::from_millis(i64::MAX));
            assert_eq!(kept, fresh.org);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn both_stores_answer_the_same(steps in vec(step(), 0..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut both = Both::begin().await;
            for step in &steps {
                both.step(step).await;
            }
            both.compare_writers().await;
            both.compare().await;
        });
    }
}
