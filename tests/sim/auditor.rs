//! The auditor of a run: reads the journals as they grow, and holds them against the network itself,
//! which knows what was really paid, and against every answer that a client was given.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write as _},
    pin::pin,
    task::{Context, Poll, Waker},
};

use domain::{
    LineId, NodeId, OrgId, PaymentHash, PaymentId,
    org::{Event, Incoming, IncomingState, Outgoing, Rail, Row},
    payment::Epoch,
};
use lightning_sim::model::{self, InvoiceState, Network, PaymentState};
use ports::{Reads, journal::Seq, lightning::PayRequest, reads::Recorded};
use store::Memory;

use crate::{
    books::{Books, Fact, Fate, Out, Place},
    trace::{short, tag},
};

/// An answer of the memory store, which never waits.
pub(crate) fn ready<F: Future>(answer: F) -> F::Output {
    match pin!(answer).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("the memory store waits for something"),
    }
}

/// A node of ours: for the platform, and in the network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ours {
    pub(crate) id: NodeId,
    pub(crate) at: model::NodeId,
}

#[derive(Default)]
pub(crate) struct Auditor {
    nodes: Vec<Ours>,
    orgs: Vec<OrgId>,
    read: BTreeMap<OrgId, Seq>,
    books: BTreeMap<OrgId, Books>,
    /// Who was loaded last: the only one who may write.
    epochs: BTreeMap<OrgId, Epoch>,
    lies: BTreeSet<PaymentHash>,
    /// The last answer that says something final, by payment.
    sent: BTreeMap<Place, Outgoing>,
    received: BTreeMap<Place, Incoming>,
    limits: BTreeMap<(OrgId, LineId), i128>,
    pub(crate) violations: Vec<String>,
}

impl Auditor {
    pub(crate) fn new(nodes: Vec<Ours>, orgs: Vec<OrgId>) -> Auditor {
        let books = orgs.iter().map(|org| (*org, Books::default())).collect();
        Auditor { nodes, orgs, books, ..Auditor::default() }
    }

    fn wrong(&mut self, what: String) {
        self.violations.push(what);
    }

    /// Takes in what the journals have that was not read yet; the news, for the trace.
    pub(crate) fn read(&mut self, memory: &Memory) -> Vec<String> {
        let mut news = Vec::new();
        for org in self.orgs.clone() {
            let after = self.read.get(&org).copied().unwrap_or_default();
            match ready(memory.journal(org, after, u32::MAX)) {
                Ok(recorded) => {
                    for recorded in recorded {
                        news.push(self.take(org, &recorded));
                    }
                }
                Err(error) => self.wrong(format!("the journal cannot be read: {error}")),
            }
        }
        news
    }

    fn take(&mut self, org: OrgId, recorded: &Recorded) -> String {
        let last = self.read.insert(org, recorded.seq).unwrap_or_default();
        if recorded.seq.0 != last.0 + 1 {
            self.wrong(format!("a journal goes from {last:?} to {:?}", recorded.seq));
        }
        let books = self.books.entry(org).or_default();
        let fact = books.read(&recorded.event);
        let wrong = std::mem::take(&mut books.wrong);
        self.violations.extend(wrong);
        match fact {
            Some(Fact::Held(hash, payment)) => self.held(hash, (org, payment)),
            Some(Fact::Contradicted(payment)) => self.contradicted((org, payment)),
            None => {}
        }
        format!("{} {}", tag('O', org), shown(&recorded.event))
    }

    fn out(&self) -> impl Iterator<Item = (Place, &Out)> {
        let each = self.books.iter().map(move |(org, books)| {
            let org = *org;
            books.out.iter().map(move |(payment, out)| ((org, *payment), out))
        });
        each.flatten()
    }

    fn paying(&self, hash: PaymentHash) -> impl Iterator<Item = (Place, &Out)> {
        self.out().filter(move |(_, out)| out.hash() == hash)
    }

    /// One hash, one payment that is not proven failed (rule 11).
    fn held(&mut self, hash: PaymentHash, place: Place) {
        let holders = self.paying(hash).filter(|(other, out)| {
            *other != place && matches!(out.fate, Fate::Open | Fate::Posted { .. })
        });
        if let Some(((_, other), _)) = holders.last() {
            let (one, two) = (tag('P', other), tag('P', place.1));
            self.wrong(format!("{one} and {two} pay {} (rule 11)", short(&hash)));
        }
    }

    /// Nodes that tell the truth are never contradicted.
    fn contradicted(&mut self, (org, payment): Place) {
        let out = self.books.get(&org).and_then(|books| books.out.get(&payment));
        if !out.is_some_and(|out| self.lies.contains(&out.hash())) {
            self.wrong(format!("{} is contradicted by an honest node", tag('P', payment)));
        }
    }

    pub(crate) fn lied_about(&mut self, hash: PaymentHash) {
        self.lies.insert(hash);
    }

    pub(crate) fn loaded(&mut self, org: OrgId, epoch: Epoch) {
        if self.epochs.insert(org, epoch).is_some_and(|before| before >= epoch) {
            self.wrong(format!("{} was loaded and its epoch did not move", tag('O', org)));
        }
    }

    pub(crate) fn appended(&mut self, org: OrgId, epoch: Epoch) {
        if self.epochs.get(&org).is_some_and(|newest| *newest > epoch) {
            self.wrong(format!("{} was written by one who had lost it", tag('O', org)));
        }
    }

    /// A request leaves: its intent must be durable, with the same limits (rules 8, 12).
    pub(crate) fn leaves(&mut self, node: NodeId, request: &PayRequest) {
        let known = self.paying(request.hash).any(|(_, out)| {
            let named = out.terms.invoice.amount_msat.is_none();
            let amount = request.amount_msat.map(|amount| i128::from(amount.get()));
            let issued = out
                .tries
                .iter()
                .any(|tried| tried.node == node && tried.requests.contains(&request.until));
            issued
                && out.fee_limit == i128::from(request.fee_limit_msat.get())
                && amount == named.then_some(out.amount)
        });
        if !known {
            let hash = short(&request.hash);
            self.wrong(format!("a request for {hash} leaves that is not in the journal (rule 12)"));
        }
    }

    /// The journals against the network, as far as both may be compared at any time.
    pub(crate) fn compare(&mut self, network: &Network) {
        let mut wrong = Vec::new();
        for ours in &self.nodes {
            for payment in network.state().node(ours.at).database.by_payment_index.values() {
                if let Some(payment) = network.payment(ours.at, *payment) {
                    self.compare_row(*ours, payment, &mut wrong);
                }
            }
        }
        let mut times: BTreeMap<model::Hash, u32> = BTreeMap::new();
        for (hash, payer, settled) in network.settlements() {
            let Some(ours) = self.nodes.iter().find(|ours| ours.at == payer) else { continue };
            *times.entry(hash).or_default() += settled.times;
            self.compare_settled(*ours, hash, &mut wrong);
        }
        for (hash, times) in times.into_iter().filter(|(_, times)| *times > 1) {
            wrong.push(format!("{hash} was paid {times} times"));
        }
        for books in self.books.values() {
            self.compare_received(network, books, &mut wrong);
        }
        self.violations.extend(wrong);
    }

    /// What a node has under way belongs to an attempt that is open there; whatever it has was asked for.
    fn compare_row(&self, ours: Ours, row: &model::Payment, wrong: &mut Vec<String>) {
        let hash = PaymentHash(*row.hash.bytes());
        let name = short(&hash);
        let tried = |out: &Out| out.tries.iter().any(|tried| tried.node == ours.id);
        if !self.paying(hash).any(|(_, out)| tried(out)) {
            wrong.push(format!("a node pays {name}, which is not in the journal (rule 12)"));
        }
        let open = matches!(row.state, PaymentState::Initiated | PaymentState::InFlight);
        if open && !self.paying(hash).any(|(_, out)| out.open_on() == Some(ours.id)) {
            wrong.push(format!("a node pays {name}, whose failure was booked (rules 9, 13)"));
        }
    }

    fn compare_settled(&self, ours: Ours, hash: model::Hash, wrong: &mut Vec<String>) {
        let hash = PaymentHash(*hash.bytes());
        let accounted = self.paying(hash).any(|(_, out)| match out.fate {
            Fate::Open => out.open_on() == Some(ours.id),
            Fate::Posted { by, .. } => by == Some(ours.id),
            Fate::Refused | Fate::Voided => false,
        });
        if !accounted {
            wrong.push(format!("{} was paid, and the books say it failed", short(&hash)));
        }
    }

    /// Nothing is credited that the node was not paid, and a claim only once nobody can pay the node.
    fn compare_received(&self, network: &Network, books: &Books, wrong: &mut Vec<String>) {
        for (payment, inn) in &books.inn {
            let Some(ours) = self.nodes.iter().find(|ours| ours.id == inn.node) else { continue };
            let invoice = network.invoice(ours.at, model::Hash::new(inn.hash.0));
            let settled = invoice.filter(|invoice| invoice.state == InvoiceState::Settled);
            let paid = settled.map_or(0, |invoice| i128::from(invoice.paid.get()));
            let name = tag('P', *payment);
            if inn.by_node > paid {
                wrong.push(format!("{name} is credited {} of {paid} paid", inn.by_node));
            }
            let cancelled = invoice.is_none_or(|it| it.state == InvoiceState::Canceled);
            if inn.by_claim.is_some() && !cancelled {
                wrong
                    .push(format!("{name} is credited inside, and its node can be paid (rule 20)"));
            }
        }
    }

    /// A client was told this of its send: it must be so already, and stay so.
    pub(crate) fn told_sent(&mut self, memory: &Memory, org: OrgId, told: &Outgoing) {
        self.check_sent(memory, org, told, "now");
        self.sent.insert((org, told.id), told.clone());
    }

    fn check_sent(&mut self, memory: &Memory, org: OrgId, told: &Outgoing, when: &str) {
        let stored = ready(memory.payment(org, told.id));
        let kept = match &stored {
            Ok(Some(Row::Outgoing(stored))) => {
                let kept = told.is_open() || stored.state == told.state;
                kept && stored.terms == told.terms && stored.amount_msat == told.amount_msat
            }
            Ok(Some(_) | None) | Err(_) => false,
        };
        if !kept {
            let name = tag('P', told.id);
            self.wrong(format!("{name} was told as {:?}; stored {when}: {stored:?}", told.state));
        }
    }

    /// Every send that was answered, with what was said last.
    pub(crate) fn answers(&self) -> Vec<(OrgId, Outgoing)> {
        self.sent.iter().map(|((org, _), told)| (*org, told.clone())).collect()
    }

    pub(crate) fn told_received(&mut self, memory: &Memory, org: OrgId, told: &Incoming) {
        self.check_received(memory, org, told, "now");
        self.received.insert((org, told.id), told.clone());
    }

    fn check_received(&mut self, memory: &Memory, org: OrgId, told: &Incoming, when: &str) {
        let stored = ready(memory.payment(org, told.id));
        let kept = match &stored {
            Ok(Some(Row::Incoming(stored))) => {
                let final_ = !told.is_open() && told.state != IncomingState::Expired;
                let kept = !final_ || stored.state == told.state;
                let same = stored.hash == told.hash && stored.terms == told.terms;
                let invoice = told.invoice.is_none() || stored.invoice == told.invoice;
                kept && same && invoice && stored.credited_msat >= told.credited_msat
            }
            Ok(Some(_) | None) | Err(_) => false,
        };
        if !kept {
            let name = tag('P', told.id);
            self.wrong(format!("{name} was told as {:?}; stored {when}: {stored:?}", told.state));
        }
    }

    pub(crate) fn told_limit(&mut self, org: OrgId, line: LineId, limit: i128) {
        self.limits.insert((org, line), limit);
        let now = self.books.get(&org).and_then(|books| books.limit_of(line));
        if now != Some(limit) {
            self.wrong(format!("a limit of {limit} was acknowledged, and is {now:?}"));
        }
    }

    /// Whatever is still on its way.
    pub(crate) fn open(&self, memory: &Memory) -> Vec<String> {
        let mut open = Vec::new();
        for (org, books) in &self.books {
            for payment in books.out.keys().chain(books.inn.keys()) {
                let row = ready(memory.payment(*org, *payment));
                let is_open = match &row {
                    Ok(Some(Row::Outgoing(payment))) => payment.is_open(),
                    Ok(Some(Row::Incoming(payment))) => payment.is_open(),
                    Ok(Some(_) | None) | Err(_) => true,
                };
                if is_open {
                    open.push(format!("{} is open: {row:?}", tag('P', *payment)));
                }
            }
        }
        open
    }

    /// When everything has come to rest.
    pub(crate) fn close(&mut self, memory: &Memory, network: &Network) {
        for (place, told) in self.sent.clone() {
            self.check_sent(memory, place.0, &told, "at the end");
        }
        for (place, told) in self.received.clone() {
            self.check_received(memory, place.0, &told, "at the end");
        }
        for ((org, line), limit) in self.limits.clone() {
            self.told_limit(org, line, limit);
        }
        let mut wrong = Vec::new();
        let clearing = self
            .books
            .values()
            .filter_map(|books| books.accounts.get(&domain::ledger::Account::Clearing).copied());
        let clearing: i128 = clearing.sum();
        if clearing != 0 {
            wrong.push(format!("clearing ends at {clearing}"));
        }
        for (org, books) in &self.books {
            let total: i128 = books.accounts.values().sum();
            if books.held() != 0 || total != 0 {
                wrong.push(format!("{} ends with {} held", tag('O', *org), books.held()));
            }
            self.close_received(network, books, &mut wrong);
        }
        for (place, out) in self.out() {
            self.close_sent(network, place, out, &mut wrong);
        }
        self.violations.extend(wrong);
    }

    /// Everything that a node was paid is credited once.
    fn close_received(&self, network: &Network, books: &Books, wrong: &mut Vec<String>) {
        for (payment, inn) in &books.inn {
            let Some(ours) = self.nodes.iter().find(|ours| ours.id == inn.node) else { continue };
            let invoice = network.invoice(ours.at, model::Hash::new(inn.hash.0));
            let settled = invoice.filter(|invoice| invoice.state == InvoiceState::Settled);
            let paid = settled.map_or(0, |invoice| i128::from(invoice.paid.get()));
            if inn.by_node != paid {
                let name = tag('P', *payment);
                wrong.push(format!("{name} ends with {} credited of {paid} paid", inn.by_node));
            }
        }
    }

    /// What was posted was paid, at that cost; inside, the payee has it.
    fn close_sent(&self, network: &Network, place: Place, out: &Out, wrong: &mut Vec<String>) {
        let name = tag('P', place.1);
        let answer = match out.rail {
            Rail::Internal { payee, .. } => {
                self.books.get(&payee).and_then(|books| books.claim_answer(&place))
            }
            Rail::CreditPool | Rail::CustomerNode(_) => None,
        };
        match (out.fate, out.rail) {
            (Fate::Posted { by: None, .. }, Rail::Internal { .. }) if answer == Some(true) => {}
            (Fate::Voided, Rail::Internal { .. }) if answer == Some(true) => {
                wrong.push(format!("{name} was given back, and the payee has it"));
            }
            (Fate::Posted { fee, by: Some(by) }, Rail::CreditPool | Rail::CustomerNode(_)) => {
                let ours = self.nodes.iter().find(|ours| ours.id == by);
                let paid = ours.and_then(|ours| {
                    let settled =
                        network.state().settled.get(&(model::Hash::new(out.hash().0), ours.at))?;
                    Some((settled.times, settled.amount.get().into(), settled.fee.get().into()))
                });
                if paid != Some((1, out.amount, fee)) {
                    wrong.push(format!("{name} is posted with fee {fee}, and paid is {paid:?}"));
                }
            }
            (Fate::Posted { .. }, _) => wrong.push(format!("{name} is posted without proof")),
            (Fate::Open | Fate::Refused | Fate::Voided, _) => {}
        }
    }

    /// Whether a payment was voided or posted, for clients that ask again.
    pub(crate) fn knows(&self, org: OrgId, payment: PaymentId) -> bool {
        let books = self.books.get(&org);
        books.is_some_and(|it| it.out.contains_key(&payment) || it.inn.contains_key(&payment))
    }
}

/// An event in a few words.
fn shown(event: &Event) -> String {
    let mut name = FirstWord::default();
    // It ends with an error as soon as there is enough.
    let _ = write!(name, "{event:?}");
    let name = name.0;
    let payment = event.payment().map(|id| tag('P', id)).unwrap_or_default();
    let more = match event {
        Event::Held { amount_msat, fee_limit_msat, rail, terms, .. } => format!(
            "{} + {} for {} {rail:?}",
            amount_msat.get(),
            fee_limit_msat.get(),
            short(&terms.invoice.hash)
        ),
        Event::SendRefused { failure, .. } | Event::Voided { failure, .. } => {
            format!("{failure:?}")
        }
        Event::AttemptStarted { number, node, epoch, until, .. } => {
            format!("#{number} on {} by {epoch:?} until {}", tag('N', *node), until.millis())
        }
        Event::RequestIssued { epoch, until, .. } => {
            format!("by {epoch:?} until {}", until.millis())
        }
        Event::AttemptFailed { reason, failure, .. } => format!("{reason:?} {failure:?}"),
        Event::Posted { fee_msat, .. } => format!("fee {}", fee_msat.get()),
        Event::Received { amount_msat, .. } => format!("{}", amount_msat.get()),
        _ => String::new(),
    };
    format!("{name} {payment} {more}")
}

/// Takes no more than the name of what is formatted.
#[derive(Default)]
struct FirstWord(String);

impl fmt::Write for FirstWord {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        match text.split_once([' ', '{']) {
            Some((word, _)) => {
                self.0.push_str(word);
                Err(fmt::Error)
            }
            None => {
                self.0.push_str(text);
                Ok(())
            }
        }
    }
}
