//! The rows of an organisation: what a transaction writes after events, and what loading reads back.

use std::{
    collections::{BTreeSet, btree_map::Entry},
    sync::Arc,
};

use crate::{
    EnvironmentId, LineId, NodeId, OrgId, PaymentId, SignedMsat, WalletId,
    ledger::Account,
    org::{
        Backing, CustomerNode, Environment, Event, Incoming, Line, Org, Outgoing, OutgoingState,
        Wallet,
    },
    payment::Epoch,
};

/// One current row, as it stands after some events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    Environment(EnvironmentId, Environment),
    Line(LineId, Line),
    Node(NodeId, CustomerNode),
    Wallet(WalletId, Wallet),
    Account(Account, SignedMsat),
    Outgoing(Arc<Outgoing>),
    Incoming(Arc<Incoming>),
}

/// What a row is found by. Ordered, so that every transaction writes rows in one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowKey {
    Environment(EnvironmentId),
    Line(LineId),
    Node(NodeId),
    Wallet(WalletId),
    Account(Account),
    Outgoing(PaymentId),
    Incoming(PaymentId),
}

impl Row {
    pub fn key(&self) -> RowKey {
        match self {
            Row::Environment(id, _) => RowKey::Environment(*id),
            Row::Line(id, _) => RowKey::Line(*id),
            Row::Node(id, _) => RowKey::Node(*id),
            Row::Wallet(id, _) => RowKey::Wallet(*id),
            Row::Account(account, _) => RowKey::Account(*account),
            Row::Outgoing(payment) => RowKey::Outgoing(payment.id),
            Row::Incoming(payment) => RowKey::Incoming(payment.id),
        }
    }
}

impl Org {
    /// Builds an organisation from its current rows: environments, lines, nodes, wallets, accounts and
    /// the payments that are open.
    pub fn from_rows(id: OrgId, epoch: Epoch, rows: impl IntoIterator<Item = Row>) -> Org {
        let mut org = Org::new(id, epoch);
        rows.into_iter().for_each(|row| org.remember(row));
        org
    }

    /// Takes in a row from the store that memory does not have, such as a payment that has ended.
    pub fn remember(&mut self, row: Row) {
        match row {
            Row::Environment(id, environment) => {
                self.environments.entry(id).or_insert(environment);
            }
            Row::Line(id, line) => {
                self.lines.entry(id).or_insert(Box::new(line));
            }
            Row::Node(id, node) => {
                self.nodes.entry(id).or_insert(node);
            }
            Row::Wallet(id, wallet) => {
                self.wallets.entry(id).or_insert(Box::new(wallet));
            }
            Row::Account(account, balance) => {
                self.accounts.entry(account).or_insert(balance);
            }
            Row::Outgoing(payment) => {
                // Memory knows better than a row that was read a while ago.
                if let Entry::Vacant(unknown) = self.outgoing.entry(payment.id) {
                    let known = unknown.insert(payment);
                    self.open_outgoing += usize::from(known.is_open());
                    if known.is_open() || matches!(known.state, OutgoingState::Posted { .. }) {
                        self.paying.insert((known.hash(), known.id));
                    }
                }
            }
            Row::Incoming(payment) => {
                if let Entry::Vacant(unknown) = self.incoming.entry(payment.id) {
                    self.open_incoming += usize::from(unknown.insert(payment).is_open());
                }
            }
        }
    }

    /// The rows that the events have touched, as they stand now, in key order.
    pub fn rows_touched(&self, events: &[Event]) -> Vec<Row> {
        let mut keys = BTreeSet::new();
        events.iter().for_each(|event| self.touch(event, &mut keys));
        keys.into_iter().filter_map(|key| self.row(key)).collect()
    }

    /// Every row of the state.
    pub fn rows(&self) -> Vec<Row> {
        let environments = self.environments.keys().copied().map(RowKey::Environment);
        let lines = self.lines.keys().copied().map(RowKey::Line);
        let nodes = self.nodes.keys().copied().map(RowKey::Node);
        let wallets = self.wallets.keys().copied().map(RowKey::Wallet);
        let accounts = self.accounts.keys().copied().map(RowKey::Account);
        let outgoing = self.outgoing.keys().copied().map(RowKey::Outgoing);
        let incoming = self.incoming.keys().copied().map(RowKey::Incoming);
        let keys = environments.chain(lines).chain(nodes).chain(wallets).chain(accounts);
        keys.chain(outgoing).chain(incoming).filter_map(|key| self.row(key)).collect()
    }

    fn row(&self, key: RowKey) -> Option<Row> {
        Some(match key {
            RowKey::Environment(id) => Row::Environment(id, self.environments.get(&id)?.clone()),
            RowKey::Line(id) => Row::Line(id, Line::clone(self.lines.get(&id)?)),
            RowKey::Node(id) => Row::Node(id, self.nodes.get(&id)?.clone()),
            RowKey::Wallet(id) => Row::Wallet(id, Wallet::clone(self.wallets.get(&id)?)),
            RowKey::Account(account) => Row::Account(account, *self.accounts.get(&account)?),
            RowKey::Outgoing(id) => Row::Outgoing(self.outgoing.get(&id)?.clone()),
            RowKey::Incoming(id) => Row::Incoming(self.incoming.get(&id)?.clone()),
        })
    }

    fn touch(&self, event: &Event, keys: &mut BTreeSet<RowKey>) {
        let postings = event.entry().into_iter().flat_map(|entry| entry.postings());
        keys.extend(postings.map(|posting| RowKey::Account(posting.account)));
        match event {
            Event::EnvironmentCreated { environment, .. }
            | Event::EnvironmentRenamed { environment, .. } => {
                keys.insert(RowKey::Environment(*environment));
            }
            Event::LineOpened { line, .. }
            | Event::LineLimitSet { line, .. }
            | Event::LineDisabled { line }
            | Event::LineEnabled { line } => {
                keys.insert(RowKey::Line(*line));
            }
            Event::NodeFundsSet { node, .. } => {
                keys.insert(RowKey::Node(*node));
            }
            Event::WalletCreated { wallet, .. }
            | Event::WalletLimitSet { wallet, .. }
            | Event::WalletDeleted { wallet } => self.touch_funds(*wallet, keys),
            Event::WalletRenamed { wallet, .. } => {
                keys.insert(RowKey::Wallet(*wallet));
            }
            Event::SendRefused { payment, .. }
            | Event::AttemptStarted { payment, .. }
            | Event::RequestIssued { payment, .. }
            | Event::RequestUnsent { payment, .. }
            | Event::Contradicted { payment, .. } => {
                keys.insert(RowKey::Outgoing(*payment));
            }
            Event::Resolved { payment, correction: None, .. } => {
                keys.insert(RowKey::Outgoing(*payment));
            }
            Event::AttemptFailed { payment, .. } if self.is_in_flight(*payment) => {
                keys.insert(RowKey::Outgoing(*payment));
            }
            Event::CancelRequested { payment } => {
                keys.insert(match self.outgoing.contains_key(payment) {
                    true => RowKey::Outgoing(*payment),
                    false => RowKey::Incoming(*payment),
                });
            }
            Event::Held { payment, .. }
            | Event::AttemptFailed { payment, .. }
            | Event::Posted { payment, .. }
            | Event::Resolved { payment, .. }
            | Event::Voided { payment, .. } => {
                keys.insert(RowKey::Outgoing(*payment));
                let payment = self.outgoing.get(payment).expect("events are of known payments");
                self.touch_funds(payment.terms.wallet, keys);
            }
            Event::InvoiceRequested { payment, .. }
            | Event::InvoiceMade { payment, .. }
            | Event::InvoiceNotMade { payment }
            | Event::InvoiceExpired { payment }
            | Event::InvoiceClaimed { payment, .. }
            | Event::ClaimWithdrawn { payment }
            | Event::InvoiceWithdrawn { payment } => {
                keys.insert(RowKey::Incoming(*payment));
            }
            Event::Received { payment, .. } | Event::ClaimCredited { payment, .. } => {
                keys.insert(RowKey::Incoming(*payment));
                let payment = self.incoming.get(payment).expect("events are of known payments");
                self.touch_funds(payment.terms.wallet, keys);
            }
            Event::ClaimRefused { .. } => {}
        }
    }

    fn is_in_flight(&self, payment: PaymentId) -> bool {
        self.outgoing.get(&payment).is_some_and(|payment| payment.is_in_flight())
    }

    fn touch_funds(&self, wallet: WalletId, keys: &mut BTreeSet<RowKey>) {
        keys.insert(RowKey::Wallet(wallet));
        let wallet = self.wallets.get(&wallet).expect("wallets are kept");
        keys.insert(match wallet.backing {
            Backing::Line(line) => RowKey::Line(line),
            Backing::Node(node) => RowKey::Node(node),
        });
    }
}
