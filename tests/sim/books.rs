//! One organisation's books, kept once more by other means: from the events of its journal alone, with
//! plain integers, asking of each event whether it may be.

use std::{collections::BTreeMap, sync::Arc};

use domain::{
    LineId, NodeId, OrgId, PaymentHash, PaymentId, Timestamp, WalletId,
    ledger::{Account, Entry, Side},
    org::{Backing, ClaimedBy, Event, Rail, SendTerms},
};

use crate::trace::tag;

pub(crate) type Place = (OrgId, PaymentId);

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Purse {
    pub(crate) limit: i128,
    pub(crate) net: i128,
    pub(crate) held: i128,
}

impl Purse {
    fn available(&self) -> i128 {
        self.limit + self.net - self.held
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Try {
    pub(crate) node: NodeId,
    pub(crate) requests: Vec<Timestamp>,
    pub(crate) failed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Refused,
    Open,
    Posted { fee: i128, by: Option<NodeId> },
    Voided,
}

#[derive(Clone, Debug)]
pub(crate) struct Out {
    pub(crate) terms: Arc<SendTerms>,
    pub(crate) amount: i128,
    pub(crate) fee_limit: i128,
    pub(crate) rail: Rail,
    pub(crate) tries: Vec<Try>,
    pub(crate) fate: Fate,
}

impl Out {
    /// What must be held while it is open (rule 1).
    fn hold(&self) -> i128 {
        self.amount + self.fee_limit
    }

    pub(crate) fn hash(&self) -> PaymentHash {
        self.terms.invoice.hash
    }

    /// The node on which money may be moving.
    pub(crate) fn open_on(&self) -> Option<NodeId> {
        let last = self.tries.last().filter(|last| !last.failed)?;
        (self.fate == Fate::Open).then_some(last.node)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct In {
    pub(crate) hash: PaymentHash,
    pub(crate) node: NodeId,
    wallet: WalletId,
    pub(crate) by_node: i128,
    pub(crate) by_claim: Option<ClaimedBy>,
    pub(crate) claimed: Option<ClaimedBy>,
    pub(crate) ended: bool,
}

/// What an event means for others than its organisation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fact {
    Held(PaymentHash, PaymentId),
    Contradicted(PaymentId),
}

#[derive(Debug, Default)]
pub(crate) struct Books {
    lines: BTreeMap<LineId, Purse>,
    nodes: BTreeMap<NodeId, Purse>,
    wallets: BTreeMap<WalletId, (Backing, Purse)>,
    pub(crate) accounts: BTreeMap<Account, i128>,
    pub(crate) out: BTreeMap<PaymentId, Out>,
    pub(crate) inn: BTreeMap<PaymentId, In>,
    /// The answer that each claim got, once it has one.
    claims: BTreeMap<Place, bool>,
    pub(crate) wrong: Vec<String>,
}

impl Books {
    pub(crate) fn limit_of(&self, line: LineId) -> Option<i128> {
        self.lines.get(&line).map(|purse| purse.limit)
    }

    pub(crate) fn held(&self) -> i128 {
        let lines = self.lines.values().chain(self.nodes.values());
        let wallets = self.wallets.values().map(|(_, purse)| purse);
        lines.chain(wallets).map(|purse| purse.held.abs()).sum()
    }

    fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(what());
        }
    }

    pub(crate) fn read(&mut self, event: &Event) -> Option<Fact> {
        if let Some(entry) = event.entry() {
            self.post(entry);
        }
        match event {
            Event::EnvironmentCreated { .. } | Event::EnvironmentRenamed { .. } => None,
            Event::LineOpened { line, limit_msat, .. }
            | Event::LineLimitSet { line, limit_msat } => {
                self.lines.entry(*line).or_default().limit = limit_msat.get().into();
                None
            }
            // Neither moves a limit.
            Event::LineDisabled { .. }
            | Event::LineEnabled { .. }
            | Event::WalletRenamed { .. } => None,
            // These worlds need no person.
            Event::Resolved { payment, .. } => {
                self.wrong.push(format!("{} is resolved by hand", tag('P', *payment)));
                None
            }
            Event::NodeFundsSet { node, funds_msat } => {
                self.nodes.entry(*node).or_default().limit = funds_msat.get().into();
                None
            }
            Event::WalletCreated { wallet, backing, limit_msat, .. } => {
                let limit = limit_msat.get().into();
                self.wallets.insert(*wallet, (*backing, Purse { limit, ..Purse::default() }));
                None
            }
            Event::WalletLimitSet { wallet, limit_msat } => {
                if let Some((_, purse)) = self.wallets.get_mut(wallet) {
                    purse.limit = limit_msat.get().into();
                }
                None
            }
            Event::WalletDeleted { wallet } => {
                if let Some((_, purse)) = self.wallets.get_mut(wallet) {
                    purse.limit = 0;
                }
                None
            }
            Event::SendRefused { .. } | Event::Held { .. } => self.send(event),
            Event::AttemptStarted { .. }
            | Event::RequestIssued { .. }
            | Event::RequestUnsent { .. }
            | Event::AttemptFailed { .. } => {
                self.attempt(event);
                None
            }
            Event::Posted { .. } | Event::Voided { .. } => self.end(event),
            Event::Contradicted { payment, .. } => Some(Fact::Contradicted(*payment)),
            Event::CancelRequested { .. } => None,
            Event::InvoiceRequested { .. }
            | Event::InvoiceMade { .. }
            | Event::InvoiceNotMade { .. }
            | Event::Received { .. }
            | Event::InvoiceExpired { .. }
            | Event::InvoiceClaimed { .. }
            | Event::ClaimCredited { .. }
            | Event::ClaimWithdrawn { .. }
            | Event::ClaimRefused { .. }
            | Event::InvoiceWithdrawn { .. } => self.invoice(event),
        }
    }

    /// Rule 5.
    fn post(&mut self, entry: &Entry) {
        let mut sum = 0;
        for posting in entry.postings() {
            let amount = i128::from(posting.amount_msat.get());
            let signed = if posting.side == Side::Debit { amount } else { -amount };
            sum += signed;
            *self.accounts.entry(posting.account).or_default() += signed;
        }
        self.check(sum == 0, || format!("an entry is out of balance by {sum}"));
    }

    fn with_purses(&mut self, wallet: WalletId, change: impl Fn(&mut Purse)) -> i128 {
        let Some((backing, purse)) = self.wallets.get_mut(&wallet) else {
            self.wrong.push(format!("there is no wallet {wallet}"));
            return 0;
        };
        change(purse);
        let own = purse.available();
        let shared = match backing {
            Backing::Line(line) => self.lines.entry(*line).or_default(),
            Backing::Node(node) => self.nodes.entry(*node).or_default(),
        };
        change(shared);
        own.min(shared.available())
    }

    fn send(&mut self, event: &Event) -> Option<Fact> {
        let (Event::Held { payment, terms, amount_msat, fee_limit_msat, rail, .. }
        | Event::SendRefused { payment, terms, amount_msat, fee_limit_msat, rail, .. }) = event
        else {
            return None;
        };
        let name = tag('P', *payment);
        let held = matches!(event, Event::Held { .. });
        let out = Out {
            terms: terms.clone(),
            amount: amount_msat.get().into(),
            fee_limit: fee_limit_msat.get().into(),
            rail: *rail,
            tries: Vec::new(),
            fate: if held { Fate::Open } else { Fate::Refused },
        };
        let asked = terms.invoice.amount_msat.map(|amount| amount.get()).or(terms.amount_msat);
        self.check(asked == Some(amount_msat.get()), || format!("{name} has another amount"));
        if let (Some(cap), false) = (terms.fee_limit_msat, matches!(rail, Rail::Internal { .. })) {
            let same = out.fee_limit == i128::from(cap);
            self.check(same || !held, || format!("{name} does not hold its fee limit"));
        }
        if held {
            let hold = out.hold();
            let left = self.with_purses(terms.wallet, |purse| purse.held += hold);
            self.check(left >= 0, || format!("{name} holds {hold} and leaves {left}"));
        }
        let hash = out.hash();
        let new = self.out.insert(*payment, out).is_none();
        self.check(new && !self.inn.contains_key(payment), || format!("{name} begins twice"));
        held.then_some(Fact::Held(hash, *payment))
    }

    fn attempt(&mut self, event: &Event) {
        let Some(payment) = event.payment() else { return };
        let name = tag('P', payment);
        let Some(out) = self.out.get_mut(&payment) else {
            return self.wrong.push(format!("{name} is tried before it is held"));
        };
        let open = out.open_on();
        let right = match event {
            Event::AttemptStarted { node, until, .. } => {
                let fresh = open.is_none() && out.tries.iter().all(|tried| tried.node != *node);
                let requests = vec![*until];
                out.tries.push(Try { node: *node, requests, failed: false });
                fresh && out.fate == Fate::Open && !matches!(out.rail, Rail::Internal { .. })
            }
            Event::RequestIssued { until, .. } => {
                out.tries.last_mut().into_iter().for_each(|last| last.requests.push(*until));
                open.is_some()
            }
            Event::AttemptFailed { node, .. } => {
                out.tries.last_mut().into_iter().for_each(|last| last.failed = true);
                open == Some(*node)
            }
            // It only says what did not happen.
            _ => open.is_some(),
        };
        self.check(right, || format!("{name} is not open for {event:?}"));
    }

    fn end(&mut self, event: &Event) -> Option<Fact> {
        let payment = event.payment()?;
        let name = tag('P', payment);
        let Some(out) = self.out.get_mut(&payment) else {
            self.wrong.push(format!("{name} ends before it is held"));
            return None;
        };
        let (wallet, hold, before) = (out.terms.wallet, out.hold(), out.fate);
        match event {
            Event::Posted { fee_msat, preimage, entry, .. } => {
                let fee = i128::from(fee_msat.get());
                let by = out.tries.iter().map(|tried| tried.node);
                let by = by.clone().find(|node| entry.moves(Account::Node(*node)));
                out.fate = Fate::Posted { fee, by };
                let cost = out.amount + fee;
                let (hash, within) = (out.hash(), fee <= out.fee_limit);
                let proven = match preimage {
                    Some(preimage) => preimage.hash() == hash && by.is_some(),
                    None => matches!(out.rail, Rail::Internal { .. }),
                };
                let moved =
                    entry.postings().iter().all(|it| i128::from(it.amount_msat.get()) == cost)
                        && entry.moves(Account::Wallet(wallet));
                let held = if before == Fate::Open { hold } else { 0 };
                self.with_purses(wallet, |purse| {
                    purse.held -= held;
                    purse.net -= cost;
                });
                self.check(before == Fate::Open, || format!("{name} is paid after {before:?}"));
                self.check(proven, || format!("{name} is posted without proof"));
                self.check(moved && within, || format!("{name} costs other than it may"));
                None
            }
            _ => {
                let proven = out.tries.iter().all(|tried| tried.failed);
                out.fate = Fate::Voided;
                self.with_purses(wallet, |purse| purse.held -= hold);
                self.check(before == Fate::Open && proven, || {
                    format!("{name} is given back without proof, after {before:?}")
                });
                None
            }
        }
    }

    fn invoice(&mut self, event: &Event) -> Option<Fact> {
        if let Event::InvoiceRequested { payment, terms, hash, node, .. } = event {
            let (hash, node, wallet) = (*hash, *node, terms.wallet);
            let (claimed, by_claim) = (None, None);
            let inn = In { hash, node, wallet, by_node: 0, by_claim, claimed, ended: false };
            let new = self.inn.insert(*payment, inn).is_none();
            let name = tag('P', *payment);
            self.check(new && !self.out.contains_key(payment), || format!("{name} begins twice"));
            return None;
        }
        if let Event::ClaimRefused { payer, payer_payment, .. } = event {
            self.answer_claim((*payer, *payer_payment), false);
            return None;
        }
        let payment = event.payment()?;
        let name = tag('P', payment);
        let Some(inn) = self.inn.get_mut(&payment) else {
            self.wrong.push(format!("{name} is news of no invoice"));
            return None;
        };
        match event {
            Event::Received { amount_msat, .. } => {
                let amount = i128::from(amount_msat.get());
                inn.by_node += amount;
                inn.ended = true;
                let (wallet, twice) = (inn.wallet, inn.by_claim.is_some());
                self.with_purses(wallet, |purse| purse.net += amount);
                self.check(!twice, || format!("{name} is paid inside and by its node (rule 20)"));
                None
            }
            Event::InvoiceClaimed { by, .. } => {
                let free = inn.claimed.replace(*by).is_none() && !inn.ended;
                self.check(free, || format!("{name} is claimed though it is not open"));
                None
            }
            Event::ClaimCredited { .. } => {
                let claimed = inn.claimed;
                inn.by_claim = claimed;
                inn.ended = true;
                let (wallet, twice) = (inn.wallet, inn.by_node != 0);
                self.check(!twice, || format!("{name} is paid by its node and inside (rule 20)"));
                let by = claimed?;
                let amount = i128::from(by.amount_msat.get());
                self.with_purses(wallet, |purse| purse.net += amount);
                self.answer_claim((by.payer, by.payment), true);
                None
            }
            Event::ClaimWithdrawn { .. } => {
                let by = inn.claimed?;
                self.answer_claim((by.payer, by.payment), false);
                None
            }
            Event::InvoiceNotMade { .. }
            | Event::InvoiceExpired { .. }
            | Event::InvoiceWithdrawn { .. } => {
                let open = !std::mem::replace(&mut inn.ended, true);
                self.check(open, || format!("{name} ends twice"));
                None
            }
            _ => None,
        }
    }

    /// A claim gets one answer for ever.
    fn answer_claim(&mut self, payer: Place, credited: bool) {
        let first = self.claims.insert(payer, credited).is_none();
        self.check(first, || format!("the claim of {} is answered twice", tag('P', payer.1)));
    }

    pub(crate) fn claim_answer(&self, payer: &Place) -> Option<bool> {
        self.claims.get(payer).copied()
    }
}
