//! Commands of the suite, and who decides them.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

use domain::{
    InvoiceTerms, Msat, Network, NodeId, OrgId, PaymentHash, PaymentId, Preimage, PublicKey,
    lightning::{FailureId, FailureReason},
    org::{
        Command, Metadata, NodeSays, Payee, ReceiveTerms, Resolution, ResolveFacts, Row, SendFacts,
        SendTerms,
    },
    payment::Finding,
};
use ports::{
    Clock,
    journal::{Append, AppendError, Taken},
};

use crate::bed::{Bed, NODES, WALLET, msat};

pub(crate) const AMOUNT_MSAT: u64 = 1_000;

/// On a bed.
#[derive(Clone, Debug)]
pub(crate) struct Writer(tests::writer::Writer);

impl Deref for Writer {
    type Target = tests::writer::Writer;

    fn deref(&self) -> &tests::writer::Writer {
        &self.0
    }
}

impl DerefMut for Writer {
    fn deref_mut(&mut self) -> &mut tests::writer::Writer {
        &mut self.0
    }
}

impl Writer {
    pub(crate) async fn load(bed: &Bed, org: OrgId) -> Writer {
        Writer(bed.store.load(org, bed.session).await.unwrap().into())
    }

    pub(crate) fn prepare(&mut self, bed: &Bed, command: Command) -> Append {
        self.0.prepare(bed.clock.now(), &command)
    }

    pub(crate) async fn run(&mut self, bed: &Bed, command: Command) {
        let append = self.prepare(bed, command);
        bed.store.append(&[append]).await.unwrap();
    }

    /// As `run`, for a refusal: memory goes back to what it was.
    pub(crate) async fn try_run(&mut self, bed: &Bed, command: Command) -> Result<(), AppendError> {
        let before = self.clone();
        let append = self.prepare(bed, command);
        let outcome = bed.store.append(&[append]).await;
        if outcome.is_err() {
            *self = before;
        }
        outcome
    }

    /// An append without events, which books a receipt that had been booked before.
    pub(crate) fn nothing(&self, bed: &Bed, taken: Vec<Taken>) -> Append {
        Append { taken, ..self.0.nothing(bed.clock.now()) }
    }

    pub(crate) async fn receive(
        &mut self,
        bed: &Bed,
        payment: PaymentId,
        secret: u8,
        node: NodeId,
    ) {
        let append = self.prepare_receive(bed, payment, secret, node);
        bed.store.append(&[append]).await.unwrap();
    }

    pub(crate) fn prepare_receive(
        &mut self,
        bed: &Bed,
        payment: PaymentId,
        secret: u8,
        node: NodeId,
    ) -> Append {
        let terms = ReceiveTerms {
            wallet: WALLET,
            amount_msat: Some(AMOUNT_MSAT),
            description: "tea".to_owned(),
            expiry_seconds: 3_600,
            metadata: Metadata::new(),
        };
        let command = Command::Receive { payment, terms, hash: hash(secret), node };
        self.0.prepare_receive(bed.clock.now(), &command, preimage(secret))
    }

    /// The payment as the store has it.
    pub(crate) async fn stored(&self, bed: &Bed, payment: PaymentId) -> Option<Row> {
        bed.store.payment(self.org.id, payment).await.unwrap()
    }
}

pub(crate) fn preimage(secret: u8) -> Preimage {
    Preimage([secret; 32])
}

pub(crate) fn hash(secret: u8) -> PaymentHash {
    preimage(secret).hash()
}

/// A send on the first nodes, one attempt each.
pub(crate) fn send(bed: &Bed, payment: PaymentId, hash: PaymentHash) -> Command {
    send_by(bed, payment, hash, &NODES[..1])
}

pub(crate) fn send_by(
    bed: &Bed,
    payment: PaymentId,
    hash: PaymentHash,
    plan: &[NodeId],
) -> Command {
    let now = bed.clock.now();
    let invoice = InvoiceTerms {
        text: format!("lnbcrt1{hash}"),
        network: Network::Regtest,
        hash,
        amount_msat: Some(msat(AMOUNT_MSAT)),
        payee: PublicKey([2; 33]),
        description: "tea".to_owned(),
        expires_at: now.plus_seconds(3_600),
    };
    let facts = SendFacts {
        hash_taken: false,
        payee: Payee::Outside,
        plan: plan.to_vec(),
        older_failures: Vec::new(),
        permitted_until: now.plus_seconds(5),
        network: Network::Regtest,
        default_fee_ppm: 1_000,
        default_fee_min_msat: msat(10),
    };
    let terms = SendTerms {
        wallet: WALLET,
        invoice,
        amount_msat: None,
        fee_limit_msat: Some(10),
        description: None,
        metadata: Metadata::new(),
    };
    Command::Send { payment, terms: Arc::new(terms), facts: Box::new(facts) }
}

pub(crate) fn paid(bed: &Bed, payment: PaymentId, secret: u8) -> Command {
    paid_in_full(bed, payment, [secret; 32])
}

pub(crate) fn paid_in_full(bed: &Bed, payment: PaymentId, secret: [u8; 32]) -> Command {
    let finding = Finding::Paid {
        preimage: Preimage(secret),
        amount_msat: msat(AMOUNT_MSAT),
        fee_msat: msat(3),
    };
    report(bed, payment, 1, finding)
}

/// Proof of failure of an attempt; `index` tells one failure from another.
pub(crate) fn failed(bed: &Bed, payment: PaymentId, attempt: u32, index: u64) -> Command {
    let failure = FailureId { payment_index: index, creation_time_ns: 7 };
    let reason = FailureReason::NoRoute;
    let finding = Finding::FailedOnStream { reason, failure, after_update: true };
    report(bed, payment, attempt, finding)
}

fn report(bed: &Bed, payment: PaymentId, attempt: u32, finding: Finding) -> Command {
    let permitted_until = bed.clock.now().plus_seconds(5);
    Command::Report { payment, attempt, request: 1, finding, permitted_until }
}

/// What a person says of a payment that its node does not have, when no permission is left.
pub(crate) fn resolved(bed: &Bed, payment: PaymentId, resolution: Resolution) -> Command {
    let asked_at = bed.clock.now().plus_seconds(60);
    let facts =
        Box::new(ResolveFacts { lost: true, says: vec![(NODES[0], NodeSays::Nothing)], asked_at });
    Command::Resolve { payment, resolution, evidence: "a letter".to_owned(), facts }
}

pub(crate) fn receipt(payment: PaymentId, paid_msat: Msat) -> Command {
    Command::Receipt { payment, paid_msat }
}
