//! Turning committed events into state. Cannot fail: what is in the journal has happened.

use std::sync::Arc;

use crate::{
    EnvironmentId, LineId, Msat, NodeId, PaymentId, Preimage, SignedMsat, Timestamp, WalletId,
    ledger::{Account, Entry, Funds, Side},
    org::{
        Backing, ClaimedBy, CustomerNode, Environment, Event, Incoming, IncomingState, Line, Org,
        Outgoing, OutgoingState, PaymentFailure, Resolution, Resolved, Wallet,
    },
    payment::{Attempt, AttemptEnd, Epoch, Request},
};

impl Org {
    pub fn apply(&mut self, event: &Event, at: Timestamp) {
        event.entry().into_iter().for_each(|entry| self.post(entry));
        match event {
            Event::EnvironmentCreated { environment, name } => {
                let added = Environment { name: name.clone(), first_name: None };
                self.environments.insert(*environment, added);
            }
            Event::EnvironmentRenamed { environment, name } => {
                self.rename_environment_to(*environment, name);
            }
            Event::LineOpened { line, environment, limit_msat } => {
                self.lines.insert(*line, Box::new(Line::new(*environment, *limit_msat, at)));
            }
            Event::LineLimitSet { line, limit_msat } => self.set_limit(*line, *limit_msat),
            Event::LineDisabled { line } => self.known_line(*line).disabled_at = Some(at),
            Event::LineEnabled { line } => self.known_line(*line).disabled_at = None,
            Event::NodeFundsSet { node, funds_msat } => self.set_funds(*node, *funds_msat),
            Event::WalletCreated { wallet, .. } => self.add_wallet(*wallet, event, at),
            Event::WalletLimitSet { wallet, limit_msat } => {
                self.set_share(*wallet, *limit_msat, at);
            }
            Event::WalletRenamed { wallet, name } => self.rename(*wallet, name, at),
            Event::WalletDeleted { wallet } => {
                self.set_share(*wallet, Msat::ZERO, at);
                self.known_wallet(*wallet).deleted_at = Some(at);
            }

            Event::SendRefused { failure, .. } => {
                self.add_outgoing(event, OutgoingState::Refused(*failure), at);
            }
            Event::Held { .. } => self.add_outgoing(event, OutgoingState::InFlight, at),
            Event::AttemptStarted { payment, node, epoch, until, .. } => {
                self.start_attempt(*payment, *node, *epoch, *until, at);
            }
            Event::RequestIssued { payment, epoch, until } => {
                let request = Request { epoch: *epoch, until: *until, unsent: false };
                self.last_attempt(*payment, at).requests.push(request);
            }
            Event::RequestUnsent { payment, request } => {
                self.last_attempt(*payment, at).mark_unsent(*request);
            }
            Event::AttemptFailed { payment, reason, .. } => {
                self.change_send(*payment, at, |payment| {
                    let attempt = payment.attempts.last_mut();
                    let attempt = attempt.expect("events are of started attempts");
                    attempt.end = Some(AttemptEnd::Failed { at, reason: *reason });
                });
            }
            Event::Posted { payment, fee_msat, preimage, entry } => {
                self.post_payment(*payment, *fee_msat, *preimage, entry, at);
            }
            Event::Voided { payment, failure, .. } => self.void_payment(*payment, *failure, at),
            Event::Contradicted { payment, .. } => {
                let payment = self.open_send(*payment, at);
                payment.contradicted = true;
                payment.resolved = None;
            }
            Event::Resolved { payment, resolution, evidence, correction } => {
                if correction.is_some() {
                    self.correct(*payment, resolution, at);
                }
                let (resolution, evidence) = (*resolution, evidence.clone());
                let resolved = Box::new(Resolved { resolution, evidence, at });
                self.open_send(*payment, at).resolved = Some(resolved);
            }

            Event::CancelRequested { payment } => self.want_no_more(*payment, at),
            Event::InvoiceRequested { .. } => self.add_incoming(event, at),
            Event::InvoiceMade { payment, invoice } => {
                self.incoming_now(*payment, IncomingState::Open, at).invoice =
                    Some(invoice.clone());
            }
            Event::InvoiceNotMade { payment } | Event::InvoiceWithdrawn { payment } => {
                self.incoming_now(*payment, IncomingState::Failed, at);
            }
            Event::InvoiceExpired { payment } => {
                self.incoming_now(*payment, IncomingState::Expired, at);
            }
            Event::InvoiceClaimed { payment, by } => {
                self.incoming_now(*payment, IncomingState::Claimed(*by), at);
            }
            Event::ClaimWithdrawn { payment } => self.withdraw_claim(*payment, at),
            Event::ClaimCredited { payment, .. } => self.credit_by_claim(*payment, at),
            Event::Received { payment, amount_msat, .. } => {
                self.credit_by_node(*payment, *amount_msat, at);
            }
            // The journal row itself is the record.
            Event::ClaimRefused { .. } => {}
        }
    }

    fn post(&mut self, entry: &Entry) {
        for posting in entry.postings() {
            let balance = self.accounts.entry(posting.account).or_insert(SignedMsat::ZERO);
            let moved = match posting.side {
                Side::Debit => balance.plus(posting.amount_msat),
                Side::Credit => balance.minus(posting.amount_msat),
            };
            *balance = moved.expect("sums of payments fit in 64 bits");
        }
    }

    fn set_funds(&mut self, node: NodeId, funds_msat: Msat) {
        let unknown = CustomerNode { funds: Funds::default(), allocated_msat: Msat::ZERO };
        self.nodes.entry(node).or_insert(unknown).funds.limit_msat = funds_msat;
    }

    fn set_limit(&mut self, id: LineId, limit_msat: Msat) {
        let line = self.known_line(id);
        let old_msat = std::mem::replace(&mut line.funds.limit_msat, limit_msat);
        line.first_limit_msat.get_or_insert(old_msat);
    }

    fn add_wallet(&mut self, id: WalletId, event: &Event, at: Timestamp) {
        let Event::WalletCreated { environment, name, backing, limit_msat, metadata, .. } = event
        else {
            return;
        };
        self.reallocate(*backing, Msat::ZERO, *limit_msat);
        let added = Wallet {
            environment: *environment,
            name: name.clone(),
            backing: *backing,
            funds: Funds::with_limit(*limit_msat),
            metadata: metadata.clone(),
            first_name: None,
            first_limit_msat: None,
            created_at: at,
            updated_at: at,
            deleted_at: None,
        };
        self.wallets.insert(id, Box::new(added));
    }

    fn set_share(&mut self, id: WalletId, limit_msat: Msat, at: Timestamp) {
        let wallet = self.known_wallet(id);
        let old_msat = std::mem::replace(&mut wallet.funds.limit_msat, limit_msat);
        wallet.first_limit_msat.get_or_insert(old_msat);
        wallet.updated_at = at;
        let backing = wallet.backing;
        self.reallocate(backing, old_msat, limit_msat);
    }

    fn rename_environment_to(&mut self, id: EnvironmentId, name: &str) {
        let environment = self.environments.get_mut(&id).expect("environments are kept");
        let old = std::mem::replace(&mut environment.name, name.to_owned());
        environment.first_name.get_or_insert(old);
    }

    fn rename(&mut self, id: WalletId, name: &str, at: Timestamp) {
        let wallet = self.known_wallet(id);
        let old = std::mem::replace(&mut wallet.name, name.to_owned());
        wallet.first_name.get_or_insert(old);
        wallet.updated_at = at;
    }

    fn known_line(&mut self, id: LineId) -> &mut Line {
        self.lines.get_mut(&id).expect("lines are kept")
    }

    fn known_wallet(&mut self, id: WalletId) -> &mut Wallet {
        self.wallets.get_mut(&id).expect("wallets are kept")
    }

    fn reallocate(&mut self, backing: Backing, old_msat: Msat, new_msat: Msat) {
        let allocated = match backing {
            Backing::Line(line) => {
                &mut self.lines.get_mut(&line).expect("lines are kept").allocated_msat
            }
            Backing::Node(node) => {
                &mut self.nodes.get_mut(&node).expect("nodes are kept").allocated_msat
            }
        };
        *allocated = allocated
            .checked_sub(old_msat)
            .and_then(|others| others.checked_add(new_msat))
            .expect("shares were checked when they were decided");
    }

    fn add_outgoing(&mut self, event: &Event, state: OutgoingState, at: Timestamp) {
        let (Event::Held { payment, terms, amount_msat, fee_limit_msat, rail, .. }
        | Event::SendRefused { payment, terms, amount_msat, fee_limit_msat, rail, .. }) = event
        else {
            return;
        };
        let wallet = self.wallets.get(&terms.wallet).expect("wallets are kept");
        let mut added = Outgoing {
            id: *payment,
            terms: terms.clone(),
            environment: wallet.environment,
            amount_msat: *amount_msat,
            fee_limit_msat: *fee_limit_msat,
            rail: *rail,
            plan: Vec::new(),
            older_failures: Vec::new(),
            attempts: Vec::new(),
            state,
            created_at: at,
            updated_at: at,
            contradicted: false,
            resolved: None,
            cancelled: false,
        };
        if let Event::Held { plan, older_failures, .. } = event {
            added.plan = plan.clone();
            added.older_failures = older_failures.clone();
            let hold = added.hold_msat();
            self.paying.insert((terms.invoice.hash, *payment));
            self.open_outgoing += 1;
            self.with_funds(terms.wallet, |funds| funds.hold(hold));
        }
        assert!(
            self.outgoing.insert(*payment, Arc::new(added)).is_none(),
            "a payment is added once"
        );
    }

    fn start_attempt(
        &mut self,
        payment: PaymentId,
        node: NodeId,
        epoch: Epoch,
        until: Timestamp,
        at: Timestamp,
    ) {
        let payment = self.open_send(payment, at);
        payment.plan.retain(|planned| *planned != node);
        let of_node = payment.older_failures.iter().filter(|(of, _)| *of == node);
        // There is seldom a second one, and thousands of payments are open at a time.
        payment.attempts.reserve_exact(1);
        payment.attempts.push(Attempt {
            node,
            started_at: at,
            requests: vec![Request { epoch, until, unsent: false }],
            older_failures: of_node.map(|(_, failure)| *failure).collect(),
            end: None,
        });
    }

    fn post_payment(
        &mut self,
        id: PaymentId,
        fee_msat: Msat,
        preimage: Option<Preimage>,
        entry: &Entry,
        at: Timestamp,
    ) {
        let (hash, wallet, cost) = self.change_send(id, at, |payment| {
            payment.state = OutgoingState::Posted { fee_msat, preimage };
            // A payment uses a node once, so the account names the attempt that paid, which may be one
            // that had failed while a later one is under way. Inside the platform there is none.
            let paid = |attempt: &&mut Attempt| entry.moves(Account::Node(attempt.node));
            if let Some(attempt) = payment.attempts.iter_mut().find(paid) {
                attempt.end = Some(AttemptEnd::Paid { at });
            }
            let cost = payment.amount_msat.checked_add(fee_msat);
            let cost = cost.expect("checked when it was posted");
            (payment.hash(), payment.terms.wallet, cost)
        });
        self.paying.insert((hash, id));
        self.with_funds(wallet, |funds| funds.spend(cost));
    }

    /// Another fee than was booked; the amount stays.
    fn correct(&mut self, id: PaymentId, resolution: &Resolution, at: Timestamp) {
        let payment = self.open_send(id, at);
        let (
            Resolution::Paid { fee_msat: right, preimage, .. },
            OutgoingState::Posted { fee_msat: booked, .. },
        ) = (*resolution, payment.state)
        else {
            return;
        };
        payment.state = OutgoingState::Posted { fee_msat: right, preimage: Some(preimage) };
        let wallet = payment.terms.wallet;
        self.with_funds(wallet, |funds| match right.checked_sub(booked) {
            Some(more) => funds.spend(more),
            None => funds.receive(booked.saturating_sub(right)),
        });
    }

    fn void_payment(&mut self, id: PaymentId, failure: PaymentFailure, at: Timestamp) {
        let hash = self.change_send(id, at, |payment| {
            payment.state = OutgoingState::Voided(failure);
            payment.plan.clear();
            payment.hash()
        });
        self.paying.remove(&(hash, id));
    }

    /// Changes a payment; its hold is given back once nothing of it may move money any more.
    fn change_send<T>(
        &mut self,
        id: PaymentId,
        at: Timestamp,
        change: impl FnOnce(&mut Outgoing) -> T,
    ) -> T {
        let payment = self.open_send(id, at);
        let was_open = payment.is_open();
        let changed = change(payment);
        let is_over = was_open && !payment.is_open();
        let (wallet, hold) = (payment.terms.wallet, payment.hold_msat());
        if is_over {
            self.open_outgoing -= 1;
            self.with_funds(wallet, |funds| funds.give_back(hold));
        }
        changed
    }

    fn add_incoming(&mut self, event: &Event, at: Timestamp) {
        let Event::InvoiceRequested { payment, terms, hash, node, expires_at } = event else {
            return;
        };
        let wallet = self.wallets.get(&terms.wallet).expect("wallets are kept");
        let added = Incoming {
            id: *payment,
            terms: terms.clone(),
            environment: wallet.environment,
            hash: *hash,
            node: *node,
            expires_at: *expires_at,
            invoice: None,
            state: IncomingState::Generating,
            credited_msat: Msat::ZERO,
            created_at: at,
            updated_at: at,
        };
        assert!(
            self.incoming.insert(*payment, Arc::new(added)).is_none(),
            "a payment is added once"
        );
        self.open_incoming += 1;
    }

    fn want_no_more(&mut self, id: PaymentId, at: Timestamp) {
        match self.outgoing.contains_key(&id) {
            true => self.open_send(id, at).cancelled = true,
            false => {
                self.incoming_now(id, IncomingState::Cancelling, at);
            }
        }
    }

    fn withdraw_claim(&mut self, id: PaymentId, at: Timestamp) {
        if let Some(by) = self.claimed_by(id) {
            self.incoming_now(id, IncomingState::Withdrawn(by), at);
        }
    }

    fn credit_by_claim(&mut self, id: PaymentId, at: Timestamp) {
        let by = self.claimed_by(id).expect("only a claimed invoice is credited to its claim");
        let payment = self.incoming_now(id, IncomingState::PaidInternally(by), at);
        payment.credited_msat =
            payment.credited_msat.checked_add(by.amount_msat).expect("receipts fit the supply");
        let wallet = payment.terms.wallet;
        self.with_funds(wallet, |funds| funds.receive(by.amount_msat));
    }

    fn credit_by_node(&mut self, id: PaymentId, amount_msat: Msat, at: Timestamp) {
        let payment = self.incoming.get(&id).expect("receipts are of known payments");
        let state = match payment.state {
            // What was paid inside stays so; the node's payment comes on top.
            inside @ IncomingState::PaidInternally(_) => inside,
            IncomingState::Generating
            | IncomingState::Open
            | IncomingState::Claimed(_)
            | IncomingState::Withdrawn(_)
            | IncomingState::Cancelling
            | IncomingState::Paid
            | IncomingState::Expired
            | IncomingState::Failed => IncomingState::Paid,
        };
        let payment = self.incoming_now(id, state, at);
        payment.credited_msat =
            payment.credited_msat.checked_add(amount_msat).expect("receipts fit the supply");
        let wallet = payment.terms.wallet;
        self.with_funds(wallet, |funds| funds.receive(amount_msat));
    }

    fn claimed_by(&self, id: PaymentId) -> Option<ClaimedBy> {
        match self.incoming.get(&id)?.state {
            IncomingState::Claimed(by) => Some(by),
            IncomingState::Generating
            | IncomingState::Open
            | IncomingState::Withdrawn(_)
            | IncomingState::Cancelling
            | IncomingState::Paid
            | IncomingState::PaidInternally(_)
            | IncomingState::Expired
            | IncomingState::Failed => None,
        }
    }

    fn open_send(&mut self, id: PaymentId, at: Timestamp) -> &mut Outgoing {
        let payment = self.outgoing.get_mut(&id).expect("events are of known payments");
        let payment = Arc::make_mut(payment);
        payment.updated_at = at;
        payment
    }

    fn last_attempt(&mut self, id: PaymentId, at: Timestamp) -> &mut Attempt {
        self.open_send(id, at).attempts.last_mut().expect("events are of started attempts")
    }

    fn incoming_now(
        &mut self,
        id: PaymentId,
        state: IncomingState,
        at: Timestamp,
    ) -> &mut Incoming {
        let payment = self.incoming.get_mut(&id).expect("events are of known payments");
        let payment = Arc::make_mut(payment);
        self.open_incoming -= usize::from(payment.is_open());
        payment.state = state;
        payment.updated_at = at;
        self.open_incoming += usize::from(payment.is_open());
        payment
    }
}
