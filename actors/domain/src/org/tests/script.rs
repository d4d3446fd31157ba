//! The script language of the stories.
//!
//! A line is a verb, its plain words, and `key=value` options; `B:` before it means the second
//! organisation. An attempt is `p1/1`; payments, wallets and nodes are `p1`, `w1`, `n1`. The verbs are
//! the arms of [`command`], and besides `at` (moves the clock), `load`, `forget` and `accounts`.

use std::{collections::BTreeMap, sync::Arc};

use expect_test::Expect;

use crate::{
    Msat, Network, NodeId, PaymentId, Timestamp,
    lightning::{FailureId, FailureReason},
    org::{
        Backing, ClaimAnswer, ClaimRequest, Command, InvoiceEnd, Metadata, NodeSays, Outgoing,
        Payee, ReceiveTerms, Resolution, ResolveFacts, SendFacts, SendTerms,
        tests::{house, house::House, told},
    },
    payment::{Finding, LookUp},
};

/// Plays a script and compares the whole story.
#[track_caller]
pub(super) fn check(script: &str, story: Expect) {
    let mut house = House::open();
    let mut told = String::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        told += &format!("{line}\n");
        play(&mut house, line).iter().for_each(|line| told += &format!("  {line}\n"));
    }
    story.assert_eq(&told);
}

fn play(house: &mut House, line: &str) -> Vec<String> {
    let (org, line) = line.strip_prefix("B: ").map_or((0, line), |line| (1, line));
    let words = Words::of(line);
    match words.verb {
        "at" => {
            house.now = Timestamp::from_millis(words.number(0));
            Vec::new()
        }
        "load" => {
            house.load(org);
            let resumed = house.orgs[org].resume(house.now);
            resumed.iter().map(|effect| format!("> {}", told::effect(effect))).collect()
        }
        "forget" => {
            let now = house.now.plus_millis(1);
            house.orgs[org].forget_ended(now);
            Vec::new()
        }
        "accounts" => {
            let accounts = house.orgs[org].accounts.iter();
            accounts
                .map(|(account, sum)| told::account(*account) + &format!(" {}", sum.get()))
                .collect()
        }
        _ => execute(house, org, &words),
    }
}

fn execute(house: &mut House, org: usize, words: &Words<'_>) -> Vec<String> {
    let before = house.orgs[org].clone();
    match house.execute(org, &command(house, org, words)) {
        Err(rejection) => vec![format!("no: {}", rejection.code())],
        Ok(decision) => {
            let events = decision.events.iter().map(|event| format!("+ {}", told::event(event)));
            let effects =
                decision.effects.iter().map(|effect| format!("> {}", told::effect(effect)));
            let moved = told::moved(&before, &house.orgs[org]);
            events.chain(effects).chain(moved.iter().map(|line| format!("= {line}"))).collect()
        }
    }
}

pub(super) struct Words<'a> {
    verb: &'a str,
    plain: Vec<&'a str>,
    options: BTreeMap<&'a str, &'a str>,
}

impl<'a> Words<'a> {
    pub(super) fn of(line: &'a str) -> Words<'a> {
        let mut words = line.split_whitespace();
        let verb = words.next().unwrap();
        let (options, plain): (Vec<_>, Vec<_>) = words.partition(|word| word.contains('='));
        let options = options.into_iter().map(|word| word.split_once('=').unwrap()).collect();
        Words { verb, plain, options }
    }

    fn number(&self, place: usize) -> i64 {
        self.plain[place].parse().unwrap()
    }

    fn has(&self, word: &str) -> bool {
        self.plain.contains(&word)
    }

    fn option(&self, key: &str) -> Option<u64> {
        self.options.get(key).map(|value| value.parse().unwrap())
    }

    /// What `tag=x` says.
    fn metadata(&self) -> Metadata {
        let tag = self.options.get("tag");
        tag.map(|value| ("tag".to_owned(), value.to_string())).into_iter().collect()
    }

    fn amount(&self, place: usize) -> Msat {
        house::msat(self.plain[place].parse().unwrap())
    }

    /// The number of an id in that place: 7 of `w7`.
    fn id(&self, place: usize) -> u8 {
        id(self.plain[place])
    }

    fn payment(&self) -> PaymentId {
        house::payment_id(id(self.plain[0].split('/').next().unwrap()))
    }

    fn node(&self) -> NodeId {
        house::node_id(self.options.get("node").map_or(1, |node| id(node)))
    }

    fn nodes(&self, key: &str, otherwise: &'static str) -> Vec<NodeId> {
        let named = self.options.get(key).copied().unwrap_or(otherwise).split(',');
        named.filter(|name| !name.is_empty()).map(|name| house::node_id(id(name))).collect()
    }
}

fn id(word: &str) -> u8 {
    word[1..].parse().unwrap()
}

pub(super) fn command(house: &House, org: usize, words: &Words<'_>) -> Command {
    match words.verb {
        "line" | "limit" | "disable" | "enable" | "node" | "wallet" | "share" | "rename"
        | "delete" => admin(words),
        "send" => send(house, words),
        "drive" => Command::Drive { payment: words.payment() },
        "cancel" => Command::Cancel { payment: words.payment() },
        "paid" | "failed" | "seen" | "lapsed" | "unsent" => report(house, org, words),
        "resolve" => resolve(house, org, words),
        "receive" => Command::Receive {
            payment: words.payment(),
            terms: ReceiveTerms {
                wallet: house::wallet_id(words.id(1)),
                amount_msat: words.option("amount"),
                description: "x"
                    .repeat(usize::try_from(words.option("text").unwrap_or(1)).unwrap()),
                expiry_seconds: u32::try_from(words.option("expiry").unwrap_or(60)).unwrap(),
                metadata: words.metadata(),
            },
            hash: house::preimage(words.id(0)).hash(),
            node: words.node(),
        },
        "made" => made(house, org, words),
        "not-made" => Command::InvoiceNotMade { payment: words.payment() },
        "receipt" => Command::Receipt { payment: words.payment(), paid_msat: words.amount(1) },
        "over" => Command::InvoiceOver {
            payment: words.payment(),
            end: match words.plain[1] {
                "cancelled" => InvoiceEnd::Cancelled,
                "settled" => InvoiceEnd::Settled,
                other => panic!("no such end: {other}"),
            },
        },
        "claim" => claim(house, words),
        "answer" => Command::ClaimAnswered {
            payment: words.payment(),
            answer: match words.plain[1] {
                "credited" => ClaimAnswer::Credited,
                "refused" => ClaimAnswer::Refused,
                other => panic!("no such answer: {other}"),
            },
        },
        "give-up" => Command::GiveUpClaim { payment: words.payment() },
        other => panic!("no such verb: {other}"),
    }
}

/// `line l2 500`, `limit l1 500`, `disable l1`, `enable l1`, `node n9 500`,
/// `wallet w2 l1 500 name=shop tag=x`, `share w1 500`, `rename w1 shop`, `delete w1`.
fn admin(words: &Words<'_>) -> Command {
    let environment = house::environment_id(1);
    match words.verb {
        "line" => Command::OpenLine {
            line: house::line_id(words.id(0)),
            environment,
            limit_msat: words.amount(1),
        },
        "limit" => {
            Command::SetLineLimit { line: house::line_id(words.id(0)), limit_msat: words.amount(1) }
        }
        "disable" => Command::DisableLine { line: house::line_id(words.id(0)) },
        "enable" => Command::EnableLine { line: house::line_id(words.id(0)) },
        "node" => {
            Command::SetNodeFunds { node: house::node_id(words.id(0)), funds_msat: words.amount(1) }
        }
        "wallet" => Command::CreateWallet {
            wallet: house::wallet_id(words.id(0)),
            environment,
            name: words
                .options
                .get("name")
                .map_or_else(|| format!("wallet {}", words.id(0)), ToString::to_string),
            backing: match words.plain[1].as_bytes()[0] {
                b'l' => Backing::Line(house::line_id(words.id(1))),
                _ => Backing::Node(house::node_id(words.id(1))),
            },
            limit_msat: words.amount(2),
            metadata: words.metadata(),
        },
        "rename" => Command::RenameWallet {
            wallet: house::wallet_id(words.id(0)),
            name: words.plain[1].to_owned(),
        },
        "delete" => Command::DeleteWallet { wallet: house::wallet_id(words.id(0)) },
        _ => Command::SetWalletLimit {
            wallet: house::wallet_id(words.id(0)),
            limit_msat: words.amount(1),
        },
    }
}

/// `send p1 w1 fixed=100 amount=100 fee=10 via=n1,n2 hash=1 expires=60000 to=B/p7 on=n9 older=1 taken
/// note=x tag=x`;
/// `fixed` is the invoice's amount, `amount` the caller's.
fn send(house: &House, words: &Words<'_>) -> Command {
    let number = words.option("hash").map_or(words.id(0), |hash| u8::try_from(hash).unwrap());
    let expires_at = words.option("expires").map_or(60_000, |at| i64::try_from(at).unwrap());
    let fixed = words.option("fixed").map(house::msat);
    let mut invoice = house::invoice(number, fixed, Timestamp::from_millis(expires_at));
    if words.has("mainnet") {
        invoice.network = Network::Mainnet;
    }
    let taken = words.has("taken") || house.hash_taken(invoice.hash);
    let payee = match words.options.get("to").map(|to| to.split_once('/').unwrap()) {
        Some((org, payment)) => Payee::Inside {
            org: house::org_id(usize::from(org == "B")),
            payment: house::payment_id(id(payment)),
            node: words.nodes("on", "").first().copied(),
        },
        None if words.has("ours") => Payee::UnknownOn(house::node_id(1)),
        None => Payee::Outside,
    };
    let failure = |index| FailureId { payment_index: index, creation_time_ns: 0 };
    let older = words.option("older").map(|index| (house::node_id(1), failure(index)));
    Command::Send {
        payment: words.payment(),
        terms: Arc::new(SendTerms {
            wallet: house::wallet_id(words.id(1)),
            invoice,
            amount_msat: words.option("amount"),
            fee_limit_msat: words.option("fee"),
            description: words.options.get("note").map(ToString::to_string),
            metadata: words.metadata(),
        }),
        facts: Box::new(SendFacts {
            hash_taken: taken,
            payee,
            plan: words.nodes("via", "n1,n2"),
            older_failures: older.into_iter().collect(),
            permitted_until: house.permitted_until(),
            network: Network::Regtest,
            default_fee_ppm: 10_000,
            default_fee_min_msat: house::msat(5),
        }),
    }
}

/// What a node says of `p1/1`: `paid fee=1 amount=100 secret=2`, `failed no_route record=7 early`,
/// `seen not_found|in_flight|<reason> record=7 lapsed refused`, `lapsed`, `unsent`; `request=1` if it
/// is not about the latest one.
fn report(house: &House, org: usize, words: &Words<'_>) -> Command {
    let payment = words.payment();
    let known = house.orgs[org].outgoing.get(&payment).map(Arc::as_ref);
    let attempt: u32 = words.plain[0].split_once('/').unwrap().1.parse().unwrap();
    let tried =
        known.and_then(|known| known.attempts.get(usize::try_from(attempt).ok()?.checked_sub(1)?));
    let latest = tried.map_or(1, |tried| tried.requests.len());
    let record = words.option("record").unwrap_or(1);
    let failure = FailureId { payment_index: record, creation_time_ns: 0 };
    let finding = match words.verb {
        "paid" => Finding::Paid {
            preimage: house::preimage(
                words
                    .option("secret")
                    .map_or_else(|| secret(known), |it| u8::try_from(it).unwrap()),
            ),
            amount_msat: house::msat(words.option("amount").unwrap_or(100)),
            fee_msat: house::msat(words.option("fee").unwrap_or(1)),
        },
        "failed" => Finding::FailedOnStream {
            reason: reason(words.plain[1]),
            failure,
            after_update: !words.has("early"),
        },
        "seen" => Finding::LookedUp {
            seen: match words.plain[1] {
                "not_found" => LookUp::NotFound,
                "in_flight" => LookUp::InFlight,
                other => LookUp::Failed { reason: reason(other), failure },
            },
            lapsed: words.has("lapsed"),
            refused: words.has("refused"),
        },
        "lapsed" => Finding::PermissionLapsed,
        _ => Finding::NeverLeft,
    };
    Command::Report {
        payment,
        attempt,
        request: u32::try_from(words.option("request").unwrap_or(latest.try_into().unwrap()))
            .unwrap(),
        finding,
        permitted_until: house.permitted_until(),
    }
}

/// `resolve p1 paid fee=1 secret=2 node=n1 why=seen n1=nothing|permitted|in_flight|failed|paid lost`: what a person
/// says, and what the nodes do.
fn resolve(house: &House, org: usize, words: &Words<'_>) -> Command {
    let payment = words.payment();
    let known = house.orgs[org].outgoing.get(&payment).map(Arc::as_ref);
    let secret = words.option("secret").map(|it| u8::try_from(it).unwrap());
    let node = words.nodes("node", "");
    let msat = |key| house::msat(words.option(key).unwrap_or(1));
    let says = |node: &str| match *words.options.get(node)? {
        "nothing" => Some(NodeSays::Nothing),
        "permitted" => Some(NodeSays::Permitted),
        "in_flight" => Some(NodeSays::InFlight),
        "failed" => {
            let payment_index = words.option("record").unwrap_or(1);
            Some(NodeSays::Failed(FailureId { payment_index, creation_time_ns: 0 }))
        }
        "paid" => {
            let amount_msat = house::msat(words.option("shown").unwrap_or(100));
            Some(NodeSays::Paid { amount_msat, fee_msat: msat("shown-fee") })
        }
        other => panic!("no node says {other}"),
    };
    let says = ["n1", "n2"].map(|name| Some((house::node_id(id(name)), says(name)?)));
    Command::Resolve {
        payment,
        resolution: match words.plain[1] {
            "paid" => Resolution::Paid {
                node: node.first().copied(),
                preimage: house::preimage(secret.unwrap_or_else(|| self::secret(known))),
                fee_msat: msat("fee"),
            },
            _ => Resolution::Failed,
        },
        evidence: words.options.get("why").copied().unwrap_or("seen").to_owned(),
        facts: Box::new(ResolveFacts {
            lost: words.has("lost"),
            says: says.into_iter().flatten().collect(),
            asked_at: house.now,
        }),
    }
}

/// The number whose preimage pays the payment.
fn secret(payment: Option<&Outgoing>) -> u8 {
    let hash = payment.map(Outgoing::hash);
    (0..=u8::MAX).find(|number| Some(house::preimage(*number).hash()) == hash).unwrap_or_default()
}

fn reason(name: &str) -> FailureReason {
    match name {
        "timeout" => FailureReason::Timeout,
        "no_route" => FailureReason::NoRoute,
        "error" => FailureReason::Error,
        "details" => FailureReason::IncorrectPaymentDetails,
        "balance" => FailureReason::InsufficientBalance,
        "cancelled" => FailureReason::Canceled,
        other => panic!("no such reason: {other}"),
    }
}

/// `made p7 secret=7 expires=60000`: the invoice as the node made it.
fn made(house: &House, org: usize, words: &Words<'_>) -> Command {
    let payment = words.payment();
    let requested = house.orgs[org].incoming.get(&payment);
    let amount = requested.and_then(|known| known.terms.amount_msat).map(house::msat);
    let number = words.option("secret").map_or(words.id(0), |it| u8::try_from(it).unwrap());
    let expires_at = requested.map_or(house.now, |known| known.expires_at);
    Command::InvoiceMade { payment, invoice: house::invoice(number, amount, expires_at) }
}

/// `claim p7 A/p1 100 hash=7 text=7`: A's p1 wants to pay our p7.
fn claim(house: &House, words: &Words<'_>) -> Command {
    let (payer, payer_payment) = words.plain[1].split_once('/').unwrap();
    let payer = house::org_id(usize::from(payer == "B"));
    let payer_payment = house::payment_id(id(payer_payment));
    let hash = words.option("hash").map_or(words.id(0), |it| u8::try_from(it).unwrap());
    let text = words.option("text").map_or(words.id(0), |it| u8::try_from(it).unwrap());
    Command::Claim {
        request: ClaimRequest {
            payer,
            payer_payment,
            payment: words.payment(),
            hash: house::preimage(hash).hash(),
            amount_msat: words.amount(2),
        },
        text: format!("invoice {text}"),
        seen_before: house.claim_seen(payer, payer_payment),
    }
}
