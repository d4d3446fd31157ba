//! Any command at all: small ids, so that they meet; mostly small amounts, so that they fit; and
//! nodes that say whatever they like.

use std::sync::Arc;

use proptest::prelude::*;

use crate::{
    Msat, PaymentHash, Preimage,
    lightning::{FailureId, FailureReason},
    org::{
        Backing, Command, Incoming, IncomingState, InvoiceEnd, Metadata, NodeSays, Payee,
        ReceiveTerms, Resolution, ResolveFacts, SendFacts, SendTerms,
        tests::house::{self, House},
    },
    payment::{Finding, LookUp},
};

#[derive(Clone, Debug)]
pub(super) enum Step {
    Command(usize, Asked),
    /// Performs a claim or an answer that an organisation has asked for, perhaps once more.
    Deliver(prop::sample::Index),
    Load(usize),
    Forget(usize),
    Wait(i64),
}

/// A command before the facts are looked up.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    Send(Box<Sent>),
    Told(Box<Command>),
    /// A report about the latest request of the latest attempt; success with the right preimage and
    /// amount.
    Plausible(u8, Box<Finding>),
    /// The node made the invoice as it was asked to.
    Make(u8),
}

#[derive(Clone, Debug)]
pub(super) struct Sent {
    payment: u8,
    wallet: u8,
    amount: Msat,
    named: bool,
    fee_limit: Option<Msat>,
    /// Pays one of the other organisation's open invoices, if there is one.
    inside: Option<prop::sample::Index>,
    hash: u8,
    plan: Vec<u8>,
    older: u64,
    /// The look-up ran before another payment took the hash.
    looked_too_early: bool,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let sent = sent().prop_map(Asked::Send);
    let told = |commands: BoxedStrategy<Command>| {
        commands.prop_map(|command| Asked::Told(Box::new(command)))
    };
    let plausible = (0..5_u8, finding())
        .prop_map(|(number, finding)| Asked::Plausible(number, Box::new(finding)));
    let asked = prop_oneof![
        12 => sent,
        12 => told(report().boxed()),
        20 => plausible,
        6 => told(resolve().boxed()),
        20 => told(incoming().boxed()),
        12 => (0..3_u8).prop_map(Asked::Make),
        4 => told(admin().boxed()),
    ];
    let org = 0..2_usize;
    prop_oneof![
        80 => (org.clone(), asked).prop_map(|(org, asked)| Step::Command(org, asked)),
        16 => any::<prop::sample::Index>().prop_map(Step::Deliver),
        2 => org.clone().prop_map(Step::Load),
        1 => org.prop_map(Step::Forget),
        3 => (0..40_000_i64).prop_map(Step::Wait),
    ]
}

fn amount() -> impl Strategy<Value = Msat> {
    prop_oneof![
        20 => 1..400_u64,
        2 => 900..1_100_u64,
        1 => Just(0),
        1 => Just(Msat::SUPPLY.get()),
        1 => Just(Msat::SUPPLY.get() - 1),
    ]
    .prop_map(house::msat)
}

fn sent() -> impl Strategy<Value = Box<Sent>> {
    let wallet = prop_oneof![4 => Just(1_u8), 2 => Just(9_u8), 1 => 2..4_u8];
    let fee = prop::option::of(prop_oneof![6 => (0..20_u64).prop_map(house::msat), 1 => amount()]);
    let first = (0..5_u8, wallet, amount(), any::<bool>(), fee);
    let inside = prop::option::weighted(0.6, any::<prop::sample::Index>());
    let second = (inside, 10..20_u8, prop::collection::vec(1..4_u8, 0..6), 0..3_u64, any::<bool>());
    (first, second).prop_map(|(first, second)| {
        let (payment, wallet, amount, named, fee_limit) = first;
        let (inside, hash, plan, older, looked_too_early) = second;
        Box::new(Sent {
            payment,
            wallet,
            amount,
            named,
            fee_limit,
            inside,
            hash,
            plan,
            older,
            looked_too_early,
        })
    })
}

fn failure() -> impl Strategy<Value = FailureId> {
    (0..4_u64).prop_map(|payment_index| FailureId { payment_index, creation_time_ns: 0 })
}

fn reason() -> impl Strategy<Value = FailureReason> {
    prop_oneof![
        3 => Just(FailureReason::NoRoute),
        1 => Just(FailureReason::IncorrectPaymentDetails),
        1 => Just(FailureReason::Timeout),
    ]
}

fn finding() -> impl Strategy<Value = Finding> {
    let seen = prop_oneof![
        Just(LookUp::NotFound),
        Just(LookUp::InFlight),
        (reason(), failure()).prop_map(|(reason, failure)| LookUp::Failed { reason, failure }),
    ];
    prop_oneof![
        4 => (10..20_u8, amount(), prop_oneof![4 => Just(house::msat(1)), 1 => amount()]).prop_map(
            |(secret, amount_msat, fee_msat)| Finding::Paid {
                preimage: house::preimage(secret),
                amount_msat,
                fee_msat,
            }
        ),
        3 => (reason(), failure(), any::<bool>()).prop_map(|(reason, failure, after_update)| {
            Finding::FailedOnStream { reason, failure, after_update }
        }),
        3 => (seen, any::<bool>(), any::<bool>())
            .prop_map(|(seen, lapsed, refused)| Finding::LookedUp { seen, lapsed, refused }),
        1 => Just(Finding::PermissionLapsed),
        1 => Just(Finding::NeverLeft),
    ]
}

fn report() -> impl Strategy<Value = Command> {
    let moment = house::START.plus_millis(house::LEASE_MS);
    prop_oneof![
        9 => (0..5_u8, 0..4_u32, 0..4_u32, finding(), 0..60_000_i64).prop_map(
            move |(payment, attempt, request, finding, later)| Command::Report {
                payment: house::payment_id(payment),
                attempt,
                request,
                finding,
                permitted_until: moment.plus_millis(later),
            }
        ),
        1 => (0..5_u8).prop_map(|number| Command::Drive { payment: house::payment_id(number) }),
        1 => (0..7_u8).prop_map(|number| Command::Cancel { payment: house::payment_id(number) }),
    ]
}

/// What a person says, whatever the nodes do.
fn resolve() -> impl Strategy<Value = Command> {
    let node = prop::option::of((1..4_u8).prop_map(house::node_id));
    let paid = (node, 10..20_u8, amount()).prop_map(|(node, secret, fee_msat)| Resolution::Paid {
        node,
        preimage: house::preimage(secret),
        fee_msat,
    });
    let says = prop_oneof![
        3 => Just(NodeSays::Nothing),
        1 => Just(NodeSays::Permitted),
        1 => Just(NodeSays::InFlight),
        2 => failure().prop_map(NodeSays::Failed),
        2 => (amount(), amount())
            .prop_map(|(amount_msat, fee_msat)| NodeSays::Paid { amount_msat, fee_msat }),
    ];
    let says = prop::collection::vec(((1..4_u8).prop_map(house::node_id), says), 0..3);
    let facts = (any::<bool>(), says, 0..60_000_i64).prop_map(|(lost, says, later)| ResolveFacts {
        lost,
        says,
        asked_at: house::START.plus_millis(later),
    });
    (0..5_u8, prop_oneof![3 => paid, 2 => Just(Resolution::Failed)], facts).prop_map(
        |(payment, resolution, facts)| Command::Resolve {
            payment: house::payment_id(payment),
            resolution,
            evidence: "seen".to_owned(),
            facts: Box::new(facts),
        },
    )
}

fn incoming() -> impl Strategy<Value = Command> {
    // Outgoing ids are 0 to 4 and incoming ones 4 to 6, so that one is used twice.
    let id = || (4..7_u8).prop_map(house::payment_id);
    prop_oneof![
        4 => (4..7_u8, prop_oneof![Just(1_u8), Just(9_u8)], prop::option::of(amount()), 1..90_u32)
            .prop_map(|(number, wallet, amount, expiry_seconds)| Command::Receive {
                payment: house::payment_id(number),
                terms: ReceiveTerms {
                    wallet: house::wallet_id(wallet),
                    amount_msat: amount.map(Msat::get),
                    description: String::new(),
                    expiry_seconds,
                    metadata: Metadata::new(),
                },
                hash: house::preimage(number).hash(),
                node: house::node_id(wallet),
            }),
        1 => id().prop_map(|payment| Command::InvoiceNotMade { payment }),
        2 => (id(), amount())
            .prop_map(|(payment, paid_msat)| Command::Receipt { payment, paid_msat }),
        9 => (id(), prop_oneof![3 => Just(InvoiceEnd::Cancelled), 1 => Just(InvoiceEnd::Settled)])
            .prop_map(|(payment, end)| Command::InvoiceOver { payment, end }),
        3 => id().prop_map(|payment| Command::GiveUpClaim { payment }),
        1 => id().prop_map(|payment| Command::Drive { payment }),
    ]
}

fn admin() -> impl Strategy<Value = Command> {
    // Mostly the wallets that the steps themselves create, so that the first ones are there for long.
    let ended = prop_oneof![1 => Just(1_u8), 1 => Just(9_u8), 6 => 2..4_u8];
    let backing = prop_oneof![
        Just(Backing::Line(house::line_id(1))),
        Just(Backing::Node(house::node_id(9))),
    ];
    prop_oneof![
        1 => amount()
            .prop_map(|limit_msat| Command::SetLineLimit { line: house::line_id(1), limit_msat }),
        1 => amount()
            .prop_map(|funds_msat| Command::SetNodeFunds { node: house::node_id(9), funds_msat }),
        1 => (prop_oneof![Just(1_u8), Just(9_u8), Just(2_u8)], amount()).prop_map(
            |(wallet, limit_msat)| {
                Command::SetWalletLimit { wallet: house::wallet_id(wallet), limit_msat }
            }
        ),
        1 => (1..4_u8, 1..4_u8).prop_map(|(number, name)| Command::CreateEnvironment {
            environment: house::environment_id(number),
            name: format!("environment {name}"),
        }),
        1 => (1..4_u8, 1..4_u8).prop_map(|(number, name)| Command::RenameEnvironment {
            environment: house::environment_id(number),
            name: format!("environment {name}"),
        }),
        1 => (2..4_u8, 1..4_u8, backing, amount()).prop_map(|(wallet, name, backing, limit_msat)| {
            Command::CreateWallet {
                wallet: house::wallet_id(wallet),
                environment: house::environment_id(1),
                name: format!("wallet {name}"),
                backing,
                limit_msat,
                metadata: Metadata::new(),
            }
        }),
        1 => (ended.clone(), 1..4_u8).prop_map(|(wallet, name)| Command::RenameWallet {
            wallet: house::wallet_id(wallet),
            name: format!("wallet {name}"),
        }),
        1 => ended.prop_map(|wallet| Command::DeleteWallet { wallet: house::wallet_id(wallet) }),
        1 => Just(Command::DisableLine { line: house::line_id(1) }),
        3 => Just(Command::EnableLine { line: house::line_id(1) }),
    ]
}

impl Asked {
    /// Looks up what others know, as the shell does before it decides.
    pub(super) fn command(&self, house: &House, org: usize) -> Command {
        match self {
            Asked::Told(command) => with_the_preimage(house, org, Command::clone(command)),
            Asked::Plausible(number, finding) => plausible(house, org, *number, finding),
            Asked::Make(number) => {
                let payment = house::payment_id(number + 4);
                let known = house.orgs[org].incoming.get(&payment);
                let amount = known.and_then(|known| known.terms.amount_msat).and_then(Msat::new);
                let expires_at = known.map_or(house.now, |known| known.expires_at);
                let invoice = house::invoice(number + 4, amount, expires_at);
                Command::InvoiceMade { payment, invoice }
            }
            Asked::Send(sent) => sent.command(house, org),
        }
    }
}

/// A person who says that something was paid mostly has its preimage.
fn with_the_preimage(house: &House, org: usize, mut command: Command) -> Command {
    if let Command::Resolve { payment, resolution: Resolution::Paid { preimage, .. }, .. } =
        &mut command
        && *preimage != house::preimage(10)
        && let Some(known) = house.orgs[org].outgoing.get(payment)
    {
        *preimage = secret_of(known.hash());
    }
    command
}

fn secret_of(hash: PaymentHash) -> Preimage {
    (0..=u8::MAX).map(house::preimage).find(|preimage| preimage.hash() == hash).unwrap()
}

fn plausible(house: &House, org: usize, number: u8, finding: &Finding) -> Command {
    let payment = house::payment_id(number);
    let known = house.orgs[org].outgoing.get(&payment);
    let finding = match (finding, known) {
        (Finding::Paid { fee_msat, .. }, Some(known)) => {
            let (preimage, amount_msat) = (secret_of(known.hash()), known.amount_msat);
            Finding::Paid { preimage, amount_msat, fee_msat: *fee_msat }
        }
        (other, _) => other.clone(),
    };
    let latest = known.and_then(|known| known.attempts.last());
    Command::Report {
        payment,
        attempt: known.map_or(1, |known| known.attempt_count()),
        request: latest.map_or(1, |tried| u32::try_from(tried.requests.len()).unwrap()),
        finding,
        permitted_until: house.permitted_until(),
    }
}

impl Sent {
    fn command(&self, house: &House, org: usize) -> Command {
        let other = 1 - org;
        let theirs = self.inside.as_ref().and_then(|index| {
            let takes = |it: &&Arc<Incoming>| {
                matches!(it.state, IncomingState::Open | IncomingState::Expired)
            };
            let open: Vec<_> = house.orgs[other].incoming.values().filter(takes).collect();
            let theirs = open.get(index.index(open.len().max(1)))?;
            let (node, wallet) = match house.orgs[other].wallets.get(&theirs.terms.wallet)?.backing
            {
                Backing::Line(_) => (None, 1),
                Backing::Node(node) => (Some(node), 9),
            };
            let payee = Payee::Inside { org: house::org_id(other), payment: theirs.id, node };
            Some((payee, theirs.invoice.clone()?, wallet))
        });
        let fixed = (!self.named).then_some(self.amount);
        let outside = house::invoice(self.hash, fixed, house.now.plus_millis(30_000));
        let (payee, invoice, wallet) = theirs.unwrap_or((Payee::Outside, outside, self.wallet));
        let named = invoice.amount_msat.is_none().then_some(self.amount.get());
        let failure = |index| FailureId { payment_index: index, creation_time_ns: 0 };
        Command::Send {
            payment: house::payment_id(self.payment),
            facts: Box::new(SendFacts {
                hash_taken: !self.looked_too_early && house.hash_taken(invoice.hash),
                payee,
                plan: self.plan.iter().copied().map(house::node_id).collect(),
                older_failures: vec![(house::node_id(1), failure(self.older))],
                permitted_until: house.permitted_until(),
                network: invoice.network,
                default_fee_ppm: 10_000,
                default_fee_min_msat: house::msat(5),
            }),
            terms: Arc::new(SendTerms {
                wallet: house::wallet_id(wallet),
                invoice,
                amount_msat: named,
                fee_limit_msat: self.fee_limit.map(Msat::get),
                description: None,
                metadata: Metadata::new(),
            }),
        }
    }
}
