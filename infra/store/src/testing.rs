//! What tests of stores need: an organisation that decides, and the appends that come of it.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use domain::{
    InvoiceTerms, Msat, Network, NodeId, PaymentHash, PaymentId, Preimage, PublicKey, Timestamp,
    id::Id,
    lightning::{FailureId, FailureReason},
    org::{Backing, Command, Metadata, Org, Payee, ReceiveTerms, SendFacts, SendTerms},
    payment::Finding,
};
use ports::{
    Clock,
    journal::{Append, Loaded, Seq},
};
use uuid::Uuid;

/// A number as an id, to name things in tests.
pub(crate) fn numbered<Kind>(number: u128) -> Id<Kind> {
    Id::new(Uuid::from_u128(number))
}

pub(crate) fn node(number: u128) -> NodeId {
    numbered(0xA0 + number)
}

/// A clock that stands still until it is moved.
#[derive(Default)]
pub(crate) struct Still(AtomicI64);

impl Still {
    pub(crate) fn advance(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// One loaded organisation, as its actor keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    pub(crate) org: Org,
    pub(crate) seq: Seq,
}

impl Writer {
    pub(crate) fn of(loaded: Loaded) -> Writer {
        Writer { org: loaded.org, seq: loaded.seq }
    }

    /// Decides and applies. `None` when the command is refused or changes nothing.
    pub(crate) fn decide(&mut self, command: &Command, at: Timestamp) -> Option<Append> {
        let events = self.org.decide(command, at).ok()?.events;
        if events.is_empty() {
            return None;
        }
        events.iter().for_each(|event| self.org.apply(event, at));
        let append = Append {
            org: self.org.id,
            epoch: self.org.epoch,
            expected: self.seq,
            at,
            rows: self.org.rows_touched(&events),
            preimages: Vec::new(),
            taken: Vec::new(),
            events,
        };
        self.seq = Seq(self.seq.0 + u64::try_from(append.events.len()).unwrap());
        Some(append)
    }

    /// An environment, a line of credit and a wallet, with the numbers 1 to 3.
    pub(crate) fn open_wallet(&mut self) -> Vec<Append> {
        self.open_wallet_at(Timestamp::default())
    }

    /// Gives the wallet another limit.
    pub(crate) fn limit(&mut self, limit: u64, at: Timestamp) -> Option<Append> {
        let limit_msat = Msat::new(limit).unwrap();
        self.decide(&Command::SetWalletLimit { wallet: numbered(3), limit_msat }, at)
    }

    pub(crate) fn open_wallet_at(&mut self, at: Timestamp) -> Vec<Append> {
        let limit_msat = Msat::new(1_000_000_000).unwrap();
        let (environment, line) = (numbered(1), numbered(2));
        let commands = [
            Command::CreateEnvironment { environment, name: "live".to_owned() },
            Command::OpenLine { line, environment, limit_msat },
            Command::CreateWallet {
                wallet: numbered(3),
                environment,
                name: "main".to_owned(),
                backing: Backing::Line(line),
                limit_msat,
                metadata: Metadata::new(),
            },
        ];
        let appends =
            commands.iter().map(|command| self.decide(command, at).expect("a new organisation"));
        appends.collect()
    }

    pub(crate) fn send(&mut self, payment: u128, secret: u8, at: Timestamp) -> Option<Append> {
        let invoice = InvoiceTerms {
            text: format!("lnbcrt{secret}"),
            network: Network::Regtest,
            hash: hash_of(secret),
            amount_msat: Msat::new(1_000),
            payee: PublicKey([2; 33]),
            description: String::new(),
            expires_at: at.plus_seconds(3_600),
        };
        let terms = SendTerms {
            wallet: numbered(3),
            invoice,
            amount_msat: None,
            fee_limit_msat: Some(10),
            description: None,
            metadata: Metadata::new(),
        };
        let facts = Box::new(SendFacts {
            hash_taken: false,
            payee: Payee::Outside,
            plan: vec![node(1), node(2)],
            older_failures: Vec::new(),
            permitted_until: at.plus_seconds(5),
            network: Network::Regtest,
            default_fee_ppm: 0,
            default_fee_min_msat: Msat::ZERO,
        });
        let terms = Arc::new(terms);
        self.decide(&Command::Send { payment: numbered(payment), terms, facts }, at)
    }

    /// The number of an open send, or one of none.
    pub(crate) fn nth_open_send(&self, nth: u128) -> u128 {
        let open = self.org.outgoing.values().filter(|payment| payment.is_open());
        let open: Vec<u128> = open.map(|payment| payment.id.uuid().as_u128()).collect();
        let count = u128::try_from(open.len()).unwrap();
        let index = nth.checked_rem(count).and_then(|index| usize::try_from(index).ok());
        index.and_then(|index| open.get(index).copied()).unwrap_or(nth)
    }

    /// The open attempt of a payment has failed; the next node is tried, if there is one.
    pub(crate) fn fail(&mut self, payment: u128, index: u64, at: Timestamp) -> Option<Append> {
        let failure = FailureId { payment_index: index, creation_time_ns: 1 };
        let reason = FailureReason::NoRoute;
        self.report(payment, Finding::FailedOnStream { reason, failure, after_update: true }, at)
    }

    pub(crate) fn pay(&mut self, payment: u128, at: Timestamp) -> Option<Append> {
        let id: PaymentId = numbered(payment);
        let sent = self.org.outgoing.get(&id)?;
        let secret = (0..=u8::MAX).find(|secret| hash_of(*secret) == sent.hash())?;
        let (amount_msat, fee_msat) = (sent.amount_msat, Msat::new(2)?);
        let preimage = Preimage([secret; 32]);
        self.report(payment, Finding::Paid { preimage, amount_msat, fee_msat }, at)
    }

    fn report(&mut self, payment: u128, finding: Finding, at: Timestamp) -> Option<Append> {
        let id = numbered(payment);
        let (attempt, request) = (self.org.outgoing.get(&id)?.attempt_count(), 1);
        let permitted_until = at.plus_seconds(5);
        self.decide(
            &Command::Report { payment: id, attempt, request, finding, permitted_until },
            at,
        )
    }

    pub(crate) fn receive(&mut self, payment: u128, secret: u8, at: Timestamp) -> Option<Append> {
        let terms = ReceiveTerms {
            wallet: numbered(3),
            amount_msat: Some(500),
            description: "tea".to_owned(),
            expiry_seconds: 60,
            metadata: Metadata::new(),
        };
        let command = Command::Receive {
            payment: numbered(payment),
            terms,
            hash: hash_of(secret),
            node: node(1),
        };
        let mut append = self.decide(&command, at)?;
        append.preimages.push(Preimage([secret; 32]));
        Some(append)
    }

    pub(crate) fn receipt(
        &mut self,
        payment: u128,
        paid_msat: Msat,
        at: Timestamp,
    ) -> Option<Append> {
        self.decide(&Command::Receipt { payment: numbered(payment), paid_msat }, at)
    }
}

pub(crate) fn hash_of(secret: u8) -> PaymentHash {
    Preimage([secret; 32]).hash()
}
