//! Two organisations with the least of a store: journals, current rows and what may exist only once.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::{
    EnvironmentId, InvoiceTerms, LineId, Msat, Network, NodeId, OrgId, PaymentHash, PaymentId,
    Preimage, PublicKey, Rejection, Timestamp, WalletId,
    org::{Backing, Command, Decision, Event, Metadata, Org, Row, RowKey, Unique},
    payment::Epoch,
};

pub(super) const START: Timestamp = Timestamp::from_millis(1_000);
/// How long a permission issued now lasts.
pub(super) const LEASE_MS: i64 = 5_000;

pub(super) struct House {
    pub(super) orgs: [Org; 2],
    pub(super) now: Timestamp,
    pub(super) journals: [Vec<(Timestamp, Event)>; 2],
    pub(super) rows: [BTreeMap<RowKey, Row>; 2],
    /// Outgoing hashes that are not proven failed.
    hashes: BTreeMap<PaymentHash, PaymentId>,
    claims: BTreeSet<(OrgId, PaymentId)>,
}

pub(super) fn msat(msat: u64) -> Msat {
    Msat::new(msat).unwrap()
}

pub(super) fn org_id(index: usize) -> OrgId {
    OrgId::new(Uuid::from_u128(u128::try_from(index).unwrap() + 1))
}

pub(super) fn payment_id(number: u8) -> PaymentId {
    PaymentId::new(Uuid::from_u128(number.into()))
}

pub(super) fn node_id(number: u8) -> NodeId {
    NodeId::new(Uuid::from_u128(number.into()))
}

pub(super) fn wallet_id(number: u8) -> WalletId {
    WalletId::new(Uuid::from_u128(number.into()))
}

pub(super) fn line_id(number: u8) -> LineId {
    LineId::new(Uuid::from_u128(number.into()))
}

pub(super) fn environment_id(number: u8) -> EnvironmentId {
    EnvironmentId::new(Uuid::from_u128(number.into()))
}

pub(super) fn preimage(number: u8) -> Preimage {
    Preimage([number; 32])
}

/// The invoice whose preimage is the number's.
pub(super) fn invoice(
    number: u8,
    amount_msat: Option<Msat>,
    expires_at: Timestamp,
) -> InvoiceTerms {
    InvoiceTerms {
        text: format!("invoice {number}"),
        network: Network::Regtest,
        hash: preimage(number).hash(),
        amount_msat,
        payee: PublicKey([2; 33]),
        description: String::new(),
        expires_at,
    }
}

impl House {
    /// Each organisation has 1,000 msat on a line, all given to wallet 1, and 1,000 msat on its own
    /// node 9, all given to wallet 9.
    pub(super) fn open() -> House {
        let new = |index| Org::new(org_id(index), Epoch(1));
        let mut house = House {
            orgs: [new(0), new(1)],
            now: START,
            journals: [Vec::new(), Vec::new()],
            rows: [BTreeMap::new(), BTreeMap::new()],
            hashes: BTreeMap::new(),
            claims: BTreeSet::new(),
        };
        for org in [0, 1] {
            house.furnish(org);
        }
        house
    }

    fn furnish(&mut self, org: usize) {
        let (environment, line, node) = (environment_id(1), line_id(1), node_id(9));
        let wallet = |number, backing| Command::CreateWallet {
            wallet: wallet_id(number),
            environment,
            name: format!("wallet {number}"),
            backing,
            limit_msat: msat(1_000),
            metadata: Metadata::new(),
        };
        for command in [
            Command::CreateEnvironment { environment, name: "live".to_owned() },
            Command::OpenLine { line, environment, limit_msat: msat(1_000) },
            Command::SetNodeFunds { node, funds_msat: msat(1_000) },
            wallet(1, Backing::Line(line)),
            wallet(9, Backing::Node(node)),
        ] {
            self.execute(org, &command).unwrap();
        }
    }

    pub(super) fn permitted_until(&self) -> Timestamp {
        self.now.plus_millis(LEASE_MS)
    }

    pub(super) fn hash_taken(&self, hash: PaymentHash) -> bool {
        self.hashes.contains_key(&hash)
    }

    pub(super) fn claim_seen(&self, payer: OrgId, payment: PaymentId) -> bool {
        self.claims.contains(&(payer, payment))
    }

    /// Decides, commits and applies, as the shell does. An organisation that loses a unique fact to
    /// another has decided nothing and is loaded again.
    pub(super) fn execute(&mut self, org: usize, command: &Command) -> Result<Decision, Rejection> {
        self.remember(org, command);
        let decision = self.orgs[org].decide(command, self.now)?;
        let uniques: Vec<_> = decision.events.iter().flat_map(Event::uniques).collect();
        if uniques.iter().any(|unique| self.is_lost(unique)) {
            self.load(org);
            return Ok(Decision::nothing());
        }
        uniques.into_iter().for_each(|unique| self.keep(unique));
        for event in &decision.events {
            self.orgs[org].apply(event, self.now);
            self.journals[org].push((self.now, event.clone()));
        }
        for row in self.orgs[org].rows_touched(&decision.events) {
            self.rows[org].insert(row.key(), row);
        }
        Ok(decision)
    }

    /// Builds the organisation again from its rows, without the payments that have ended.
    pub(super) fn load(&mut self, org: usize) {
        let open = self.rows[org].values().filter(|row| match row {
            Row::Outgoing(payment) => payment.is_open(),
            Row::Incoming(payment) => payment.is_open(),
            Row::Environment(..)
            | Row::Line(..)
            | Row::Node(..)
            | Row::Wallet(..)
            | Row::Account(..) => true,
        });
        let Org { id, epoch: Epoch(epoch), .. } = self.orgs[org];
        self.orgs[org] = Org::from_rows(id, Epoch(epoch + 1), open.cloned());
    }

    /// Brings back the payment that the command is about, should memory have forgotten it.
    fn remember(&mut self, org: usize, command: &Command) {
        let subject = match command {
            Command::CreateEnvironment { .. }
            | Command::RenameEnvironment { .. }
            | Command::OpenLine { .. }
            | Command::SetLineLimit { .. }
            | Command::DisableLine { .. }
            | Command::EnableLine { .. }
            | Command::SetNodeFunds { .. }
            | Command::CreateWallet { .. }
            | Command::SetWalletLimit { .. }
            | Command::RenameWallet { .. }
            | Command::DeleteWallet { .. } => return,
            Command::Claim { request, .. } => request.payment,
            Command::Send { payment, .. }
            | Command::Report { payment, .. }
            | Command::Drive { payment }
            | Command::Resolve { payment, .. }
            | Command::Cancel { payment }
            | Command::Receive { payment, .. }
            | Command::InvoiceMade { payment, .. }
            | Command::InvoiceNotMade { payment }
            | Command::Receipt { payment, .. }
            | Command::InvoiceOver { payment, .. }
            | Command::ClaimAnswered { payment, .. }
            | Command::GiveUpClaim { payment } => *payment,
        };
        for key in [RowKey::Outgoing(subject), RowKey::Incoming(subject)] {
            let known = self.rows[org].get(&key).cloned();
            known.into_iter().for_each(|row| self.orgs[org].remember(row));
        }
    }

    fn is_lost(&self, unique: &Unique) -> bool {
        match unique {
            Unique::OutgoingHash { hash, .. } => self.hashes.contains_key(hash),
            Unique::Claim { payer, payer_payment } => self.claim_seen(*payer, *payer_payment),
            Unique::Payment(_)
            | Unique::OutgoingHashMoved { .. }
            | Unique::OutgoingHashFreed { .. }
            | Unique::OutgoingHashKept { .. }
            | Unique::IncomingHash { .. }
            | Unique::Failure { .. } => false,
        }
    }

    fn keep(&mut self, unique: Unique) {
        match unique {
            Unique::OutgoingHash { hash, payment } => {
                self.hashes.insert(hash, payment);
            }
            Unique::OutgoingHashFreed { hash, payment } => {
                assert_eq!(
                    self.hashes.remove(&hash),
                    Some(payment),
                    "a hash is freed by its owner"
                );
            }
            Unique::OutgoingHashKept { hash, payment } => {
                self.hashes.entry(hash).or_insert(payment);
            }
            Unique::Claim { payer, payer_payment } => {
                self.claims.insert((payer, payer_payment));
            }
            Unique::Payment(_)
            | Unique::OutgoingHashMoved { .. }
            | Unique::IncomingHash { .. }
            | Unique::Failure { .. } => {}
        }
    }
}
