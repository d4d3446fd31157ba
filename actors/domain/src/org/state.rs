//! What an organisation knows of itself. Loaded from the store; changed only by `apply`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use uuid::Uuid;

use crate::{
    EnvironmentId, InvoiceTerms, LineId, Msat, NodeId, OrgId, PaymentHash, PaymentId, Preimage,
    Rejection, SignedMsat, Timestamp, WalletId,
    ledger::{Account, Funds},
    lightning::{FailureId, FailureReason},
    org::{Metadata, ReceiveTerms, Resolution, SendTerms},
    payment::{Attempt, Epoch},
};

/// An organisation in memory: everything that its decisions need, and nothing more.
///
/// Payments that have ended are forgotten after a while; the store refuses repeats of their ids. Each is
/// shared with whoever writes or tells it, and copied when it changes meanwhile. Lines and wallets are boxed:
/// a map has room for eleven in its first leaf, and most organisations have one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Org {
    pub id: OrgId,
    pub epoch: Epoch,
    pub environments: BTreeMap<EnvironmentId, Environment>,
    pub lines: BTreeMap<LineId, Box<Line>>,
    pub nodes: BTreeMap<NodeId, CustomerNode>,
    pub wallets: BTreeMap<WalletId, Box<Wallet>>,
    /// Debits less credits of each ledger account.
    pub accounts: BTreeMap<Account, SignedMsat>,
    pub outgoing: BTreeMap<PaymentId, Arc<Outgoing>>,
    pub incoming: BTreeMap<PaymentId, Arc<Incoming>>,
    /// Hashes of the outgoing payments above that are open or paid: a second send is refused at once,
    /// also before the store can know of the first. One hash has two payments only after a node has
    /// contradicted itself.
    pub(super) paying: BTreeSet<(PaymentHash, PaymentId)>,
    /// How many of the payments above are open; those that have ended stay for a while and do not
    /// count against the bounds.
    pub(super) open_outgoing: usize,
    pub(super) open_incoming: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    pub name: String,
    /// The name that it was created with, once it has another: what a repeat of the creation brings.
    pub first_name: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub environment: EnvironmentId,
    pub funds: Funds,
    /// The part of the limit that was given to wallets.
    pub allocated_msat: Msat,
    /// The limit that it was opened with, once it has another: what a repeat of the opening brings.
    pub first_limit_msat: Option<Msat>,
    pub created_at: Timestamp,
    /// Since when nothing new is lent.
    pub disabled_at: Option<Timestamp>,
}

/// An organisation's own node. Its limit is what the owner has declared to the ledger: the funds that
/// wallets may be given a share of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerNode {
    pub funds: Funds,
    pub allocated_msat: Msat,
}

/// What a wallet draws on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Backing {
    /// A line of credit; payments leave and arrive through the credit pool.
    Line(LineId),
    /// The organisation's own node.
    Node(NodeId),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wallet {
    pub environment: EnvironmentId,
    pub name: String,
    pub backing: Backing,
    pub funds: Funds,
    pub metadata: Metadata,
    /// The name that it was created with, once it has another: what a repeat of the creation brings.
    pub first_name: Option<String>,
    /// The limit that it was created with, once it has another.
    pub first_limit_msat: Option<Msat>,
    pub created_at: Timestamp,
    /// When it was last renamed, limited anew or deleted; its funds move without it.
    pub updated_at: Timestamp,
    /// A deleted wallet has no share and takes no new payments; facts are still posted to it.
    pub deleted_at: Option<Timestamp>,
}

/// Where a payment leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rail {
    /// Inside the platform: the payee's organisation and payment.
    Internal {
        payee: OrgId,
        payee_payment: PaymentId,
    },
    CreditPool,
    CustomerNode(NodeId),
}

/// An outgoing payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    pub id: PaymentId,
    pub terms: Arc<SendTerms>,
    pub environment: EnvironmentId,
    /// What the payee gets.
    pub amount_msat: Msat,
    /// The most that routing may cost, held beside the amount.
    pub fee_limit_msat: Msat,
    pub rail: Rail,
    /// Nodes of the plan that have not been tried, best first.
    pub plan: Vec<NodeId>,
    /// Failures of this hash, on any node, that are older than this payment.
    pub older_failures: Vec<(NodeId, FailureId)>,
    pub attempts: Vec<Attempt>,
    pub state: OutgoingState,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// A node contradicted itself about this payment; a person has to look.
    pub contradicted: bool,
    /// A person has looked, and no node has contradicted itself since.
    pub resolved: Option<Box<Resolved>>,
    /// Its caller wants no more to be tried: what is under way goes on to its end, and is the last.
    pub cancelled: bool,
}

/// What a person has found about a payment that had stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    pub resolution: Resolution,
    pub evidence: String,
    pub at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutgoingState {
    /// Refused by a rule; nothing was ever held.
    Refused(PaymentFailure),
    InFlight,
    /// `preimage` is `None` on the internal rail, where the payee's committed credit is the proof.
    Posted {
        fee_msat: Msat,
        preimage: Option<Preimage>,
    },
    Voided(PaymentFailure),
}

/// Why a payment failed. A fact of the payment, not an error of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentFailure {
    /// The wallet's line of credit is disabled.
    LineDisabled,
    /// Amount and largest fee do not fit what the wallet may spend.
    InsufficientFunds,
    /// The payment hash was paid, or is being paid, by a payment of this installation.
    InvoiceAlreadyPaid,
    /// No node of the rail can take the payment now.
    NoUsableNode,
    /// The last node tried gave this reason.
    Node(FailureReason),
    /// The payee's organisation refused: the invoice is no longer open.
    PayeeRefused,
    /// Its caller wanted no more to be tried.
    Cancelled,
}

impl Outgoing {
    pub fn hold_msat(&self) -> Msat {
        self.amount_msat
            .checked_add(self.fee_limit_msat)
            .expect("checked when the hold was decided")
    }

    pub fn hash(&self) -> PaymentHash {
        self.terms.invoice.hash
    }

    /// Whether there is no proof yet of how it ended.
    pub fn is_in_flight(&self) -> bool {
        matches!(self.state, OutgoingState::InFlight)
    }

    /// Whether it may still move money, and keeps its hold: in flight, or paid late by a node that had
    /// failed it while another one is under way.
    pub fn is_open(&self) -> bool {
        self.is_in_flight() || self.open_attempt().is_some()
    }

    /// The attempt that may still move money, with its number counted from 1.
    pub fn open_attempt(&self) -> Option<(u32, &Attempt)> {
        let last = self.attempts.last().filter(|attempt| attempt.end.is_none())?;
        Some((self.attempt_count(), last))
    }

    /// The attempt with that number, counted from 1.
    pub(super) fn attempt(&self, number: u32) -> Option<&Attempt> {
        self.attempts.get(usize::try_from(number).ok()?.checked_sub(1)?)
    }

    pub fn attempt_count(&self) -> u32 {
        u32::try_from(self.attempts.len()).expect("a plan is short")
    }
}

/// An incoming payment: an invoice of ours and what was paid to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    pub id: PaymentId,
    pub terms: ReceiveTerms,
    pub environment: EnvironmentId,
    pub hash: PaymentHash,
    pub node: NodeId,
    pub expires_at: Timestamp,
    /// The BOLT11 text, once the node has made it.
    pub invoice: Option<InvoiceTerms>,
    pub state: IncomingState,
    /// Everything credited so far.
    pub credited_msat: Msat,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncomingState {
    /// Committed; the node is making the invoice.
    Generating,
    Open,
    /// A payment inside the platform has it; the node is being told to cancel.
    Claimed(ClaimedBy),
    /// A claim was refused after the node had been told to cancel; how it ended is still to be seen.
    Withdrawn(ClaimedBy),
    /// Its caller wants it no more; the node is being told to cancel, once it has made it.
    Cancelling,
    Paid,
    /// Paid inside the platform; the invoice was cancelled on the node.
    PaidInternally(ClaimedBy),
    Expired,
    /// The invoice could not be made, or was withdrawn unpaid.
    Failed,
}

/// The payment that claimed an invoice inside the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimedBy {
    pub payer: OrgId,
    pub payment: PaymentId,
    pub amount_msat: Msat,
    pub at: Timestamp,
}

impl Incoming {
    /// Whether something is still to be done or awaited. A late payment is booked all the same.
    pub fn is_open(&self) -> bool {
        match self.state {
            IncomingState::Generating
            | IncomingState::Open
            | IncomingState::Claimed(_)
            | IncomingState::Withdrawn(_)
            | IncomingState::Cancelling => true,
            IncomingState::Paid
            | IncomingState::PaidInternally(_)
            | IncomingState::Expired
            | IncomingState::Failed => false,
        }
    }
}

impl Org {
    pub fn new(id: OrgId, epoch: Epoch) -> Org {
        Org {
            id,
            epoch,
            environments: BTreeMap::new(),
            lines: BTreeMap::new(),
            nodes: BTreeMap::new(),
            wallets: BTreeMap::new(),
            accounts: BTreeMap::new(),
            outgoing: BTreeMap::new(),
            incoming: BTreeMap::new(),
            paying: BTreeSet::new(),
            open_outgoing: 0,
            open_incoming: 0,
        }
    }

    /// The wallet, unless it was deleted.
    pub(super) fn live_wallet(&self, id: WalletId) -> Result<&Wallet, Rejection> {
        let wallet = self.wallets.get(&id).filter(|wallet| wallet.deleted_at.is_none());
        wallet.map(Box::as_ref).ok_or(Rejection::WalletNotFound(id))
    }

    /// What the wallet may spend: the least of its own and its backing's available (rule 32).
    pub fn spendable(&self, wallet: &Wallet) -> SignedMsat {
        wallet.funds.available().min(self.backing_funds(wallet.backing).available())
    }

    pub fn backing_funds(&self, backing: Backing) -> &Funds {
        match backing {
            Backing::Line(line) => &self.lines.get(&line).expect("wallets keep their line").funds,
            Backing::Node(node) => &self.nodes.get(&node).expect("wallets keep their node").funds,
        }
    }

    /// Whether a payment in memory pays the hash, or has paid it.
    pub(super) fn pays(&self, hash: PaymentHash) -> bool {
        let first = (hash, PaymentId::new(Uuid::nil()));
        self.paying.range(first..).next().is_some_and(|(next, _)| *next == hash)
    }

    /// Whether the books can take such a movement between the wallet and the account. What cannot be
    /// booked cannot be true: a node that reports it lies.
    pub(super) fn can_book(&self, id: WalletId, account: Account, amount_msat: Msat) -> bool {
        let wallet = self.wallets.get(&id).expect("payments keep their wallet");
        let balance = |account| self.accounts.get(&account).copied().unwrap_or_default();
        [
            wallet.funds.net_msat,
            self.backing_funds(wallet.backing).net_msat,
            balance(Account::Wallet(id)),
            balance(account),
        ]
        .iter()
        .all(|sum| sum.has_room_for(amount_msat))
    }

    /// Changes the funds of a wallet and of its backing alike.
    pub(super) fn with_funds(&mut self, id: WalletId, mut change: impl FnMut(&mut Funds)) {
        let wallet = self.wallets.get_mut(&id).expect("payments keep their wallet");
        change(&mut wallet.funds);
        match wallet.backing {
            Backing::Line(line) => {
                change(&mut self.lines.get_mut(&line).expect("wallets keep their line").funds);
            }
            Backing::Node(node) => {
                change(&mut self.nodes.get_mut(&node).expect("wallets keep their node").funds);
            }
        }
    }

    /// Whether there is something to forget.
    pub fn has_ended(&self) -> bool {
        self.outgoing.len() + self.incoming.len() > self.open_outgoing + self.open_incoming
    }

    /// Whether there is no payment in memory, open or ended.
    pub fn is_quiet(&self) -> bool {
        self.outgoing.is_empty() && self.incoming.is_empty()
    }

    /// Forgets payments that ended before `before`. The store keeps answering for them.
    pub fn forget_ended(&mut self, before: Timestamp) {
        let (outgoing, paying) = (&mut self.outgoing, &mut self.paying);
        outgoing.retain(|id, payment| {
            let keep = payment.is_open() || payment.updated_at >= before;
            if !keep {
                paying.remove(&(payment.hash(), *id));
            }
            keep
        });
        self.incoming.retain(|_, payment| payment.is_open() || payment.updated_at >= before);
    }
}
