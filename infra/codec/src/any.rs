//! Any event and any row.

use std::sync::Arc;

use domain::{
    InvoiceTerms, Msat, Network, NodeId, PaymentHash, Preimage, PublicKey, SignedMsat, Timestamp,
    id::Id,
    ledger::{Account, Entry, Funds},
    lightning::{FailureId, FailureReason},
    org::{
        Backing, ClaimedBy, CustomerNode, Environment, Event, Incoming, IncomingState, Line,
        Metadata, Outgoing, OutgoingState, PaymentFailure, Rail, ReceiveTerms, Resolution,
        Resolved, Row, SendTerms, Wallet,
    },
    payment::{Attempt, AttemptEnd, Epoch, Request},
};
use proptest::{
    collection::{btree_map, vec},
    option::of,
    prelude::*,
};
use uuid::Uuid;

pub(crate) fn id<Kind>() -> impl Strategy<Value = Id<Kind>> + Clone {
    any::<u128>().prop_map(|number| Id::new(Uuid::from_u128(number)))
}

fn msat() -> impl Strategy<Value = Msat> + Clone {
    (0..=Msat::SUPPLY.get()).prop_map(|msat| Msat::new(msat).unwrap())
}

fn at() -> impl Strategy<Value = Timestamp> + Clone {
    any::<i64>().prop_map(Timestamp::from_millis)
}

fn hash() -> impl Strategy<Value = PaymentHash> + Clone {
    any::<[u8; 32]>().prop_map(PaymentHash)
}

fn preimage() -> impl Strategy<Value = Preimage> + Clone {
    any::<[u8; 32]>().prop_map(Preimage)
}

fn failure_id() -> impl Strategy<Value = FailureId> + Clone {
    (any::<u64>(), any::<i64>())
        .prop_map(|(payment_index, creation_time_ns)| FailureId { payment_index, creation_time_ns })
}

fn reason() -> impl Strategy<Value = FailureReason> + Clone {
    prop::sample::select(vec![
        FailureReason::Timeout,
        FailureReason::NoRoute,
        FailureReason::Error,
        FailureReason::IncorrectPaymentDetails,
        FailureReason::InsufficientBalance,
        FailureReason::Canceled,
        FailureReason::Refused,
        FailureReason::Unreachable,
        FailureReason::FoundUnpaid,
    ])
}

fn payment_failure() -> impl Strategy<Value = PaymentFailure> + Clone {
    prop_oneof![
        Just(PaymentFailure::LineDisabled),
        Just(PaymentFailure::InsufficientFunds),
        Just(PaymentFailure::InvoiceAlreadyPaid),
        Just(PaymentFailure::NoUsableNode),
        reason().prop_map(PaymentFailure::Node),
        Just(PaymentFailure::PayeeRefused),
        Just(PaymentFailure::Cancelled),
    ]
}

fn rail() -> impl Strategy<Value = Rail> + Clone {
    prop_oneof![
        (id(), id()).prop_map(|(payee, payee_payment)| Rail::Internal { payee, payee_payment }),
        Just(Rail::CreditPool),
        id().prop_map(Rail::CustomerNode),
    ]
}

fn backing() -> impl Strategy<Value = Backing> + Clone {
    prop_oneof![id().prop_map(Backing::Line), id().prop_map(Backing::Node)]
}

fn account() -> impl Strategy<Value = Account> + Clone {
    prop_oneof![
        id().prop_map(Account::Wallet),
        id().prop_map(Account::Node),
        Just(Account::Clearing)
    ]
}

fn entry() -> impl Strategy<Value = Entry> + Clone {
    (account(), account(), msat())
        .prop_map(|(debit, credit, msat)| Entry::transfer(debit, credit, msat))
}

fn invoice() -> impl Strategy<Value = InvoiceTerms> + Clone {
    let networks = vec![Network::Mainnet, Network::Testnet, Network::Signet, Network::Regtest];
    let network = prop::sample::select(networks);
    let payee = any::<[u8; 33]>().prop_map(PublicKey);
    (any::<String>(), network, hash(), of(msat()), payee, any::<String>(), at()).prop_map(
        |(text, network, hash, amount_msat, payee, description, expires_at)| InvoiceTerms {
            text,
            network,
            hash,
            amount_msat,
            payee,
            description,
            expires_at,
        },
    )
}

fn metadata() -> impl Strategy<Value = Metadata> + Clone {
    btree_map(any::<String>(), any::<String>(), 0..3)
}

fn send_terms() -> impl Strategy<Value = Arc<SendTerms>> + Clone {
    let asked = (id(), invoice(), any::<Option<u64>>(), any::<Option<u64>>());
    (asked, any::<Option<String>>(), metadata()).prop_map(|(asked, description, metadata)| {
        let (wallet, invoice, amount_msat, fee_limit_msat) = asked;
        Arc::new(SendTerms { wallet, invoice, amount_msat, fee_limit_msat, description, metadata })
    })
}

fn receive_terms() -> impl Strategy<Value = ReceiveTerms> + Clone {
    (id(), any::<Option<u64>>(), any::<String>(), any::<u32>(), metadata()).prop_map(
        |(wallet, amount_msat, description, expiry_seconds, metadata)| ReceiveTerms {
            wallet,
            amount_msat,
            description,
            expiry_seconds,
            metadata,
        },
    )
}

fn claimed_by() -> impl Strategy<Value = ClaimedBy> + Clone {
    (id(), id(), msat(), at()).prop_map(|(payer, payment, amount_msat, at)| ClaimedBy {
        payer,
        payment,
        amount_msat,
        at,
    })
}

fn older_failures() -> impl Strategy<Value = Vec<(NodeId, FailureId)>> + Clone {
    vec((id(), failure_id()), 0..3)
}

pub(crate) fn event() -> impl Strategy<Value = Event> {
    prop_oneof![standing_event(), send_event(), end_event(), receive_event()]
}

fn standing_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (id(), any::<String>())
            .prop_map(|(environment, name)| Event::EnvironmentCreated { environment, name }),
        (id(), any::<String>())
            .prop_map(|(environment, name)| Event::EnvironmentRenamed { environment, name }),
        (id(), id(), msat()).prop_map(|(line, environment, limit_msat)| Event::LineOpened {
            line,
            environment,
            limit_msat
        }),
        (id(), msat()).prop_map(|(line, limit_msat)| Event::LineLimitSet { line, limit_msat }),
        id().prop_map(|line| Event::LineDisabled { line }),
        id().prop_map(|line| Event::LineEnabled { line }),
        (id(), msat()).prop_map(|(node, funds_msat)| Event::NodeFundsSet { node, funds_msat }),
        (id(), id(), any::<String>(), backing(), msat(), metadata()).prop_map(
            |(wallet, environment, name, backing, limit_msat, metadata)| Event::WalletCreated {
                wallet,
                environment,
                name,
                backing,
                limit_msat,
                metadata
            }
        ),
        (id(), msat())
            .prop_map(|(wallet, limit_msat)| Event::WalletLimitSet { wallet, limit_msat }),
        (id(), any::<String>()).prop_map(|(wallet, name)| Event::WalletRenamed { wallet, name }),
        id().prop_map(|wallet| Event::WalletDeleted { wallet }),
    ]
}

fn send_event() -> impl Strategy<Value = Event> {
    let terms = (id(), send_terms(), msat(), msat(), rail());
    let refused = (terms.clone(), payment_failure()).prop_map(|(terms, failure)| {
        let (payment, terms, amount_msat, fee_limit_msat, rail) = terms;
        Event::SendRefused { payment, terms, amount_msat, fee_limit_msat, rail, failure }
    });
    let held =
        (terms, vec(id(), 0..3), older_failures()).prop_map(|(terms, plan, older_failures)| {
            let (payment, terms, amount_msat, fee_limit_msat, rail) = terms;
            Event::Held { payment, terms, amount_msat, fee_limit_msat, rail, plan, older_failures }
        });
    let epoch = any::<u64>().prop_map(Epoch);
    let started = (id(), hash(), any::<u32>(), id(), epoch.clone(), at()).prop_map(
        |(payment, hash, number, node, epoch, until)| Event::AttemptStarted {
            payment,
            hash,
            number,
            node,
            epoch,
            until,
        },
    );
    let issued = (id(), epoch, at()).prop_map(|(payment, epoch, until)| Event::RequestIssued {
        payment,
        epoch,
        until,
    });
    let unsent = (id(), any::<u32>())
        .prop_map(|(payment, request)| Event::RequestUnsent { payment, request });
    prop_oneof![refused, held, started, issued, unsent]
}

fn resolution() -> impl Strategy<Value = Resolution> + Clone {
    prop_oneof![
        (of(id()), preimage(), msat()).prop_map(|(node, preimage, fee_msat)| Resolution::Paid {
            node,
            preimage,
            fee_msat
        }),
        Just(Resolution::Failed),
    ]
}

fn resolved() -> impl Strategy<Value = Box<Resolved>> {
    (resolution(), any::<String>(), at())
        .prop_map(|(resolution, evidence, at)| Box::new(Resolved { resolution, evidence, at }))
}

fn end_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (id(), id(), hash(), reason(), of(failure_id())).prop_map(
            |(payment, node, hash, reason, failure)| Event::AttemptFailed {
                payment,
                node,
                hash,
                reason,
                failure
            }
        ),
        (id(), msat(), of(preimage()), entry()).prop_map(|(payment, fee_msat, preimage, entry)| {
            Event::Posted { payment, fee_msat, preimage, entry }
        }),
        (id(), hash(), payment_failure()).prop_map(|(payment, hash, failure)| Event::Voided {
            payment,
            hash,
            failure
        }),
        (id(), id(), hash(), msat(), msat()).prop_map(
            |(payment, node, hash, paid_msat, fee_msat)| Event::Contradicted {
                payment,
                node,
                hash,
                paid_msat,
                fee_msat,
            },
        ),
        (id(), resolution(), any::<String>(), of(entry())).prop_map(
            |(payment, resolution, evidence, correction)| Event::Resolved {
                payment,
                resolution,
                evidence,
                correction,
            },
        ),
        id().prop_map(|payment| Event::CancelRequested { payment }),
    ]
}

fn receive_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (id(), receive_terms(), hash(), id(), at()).prop_map(
            |(payment, terms, hash, node, expires_at)| Event::InvoiceRequested {
                payment,
                terms,
                hash,
                node,
                expires_at
            }
        ),
        (id(), invoice()).prop_map(|(payment, invoice)| Event::InvoiceMade { payment, invoice }),
        id().prop_map(|payment| Event::InvoiceNotMade { payment }),
        (id(), msat(), entry()).prop_map(|(payment, amount_msat, entry)| Event::Received {
            payment,
            amount_msat,
            entry
        }),
        id().prop_map(|payment| Event::InvoiceExpired { payment }),
        (id(), claimed_by()).prop_map(|(payment, by)| Event::InvoiceClaimed { payment, by }),
        (id(), entry()).prop_map(|(payment, entry)| Event::ClaimCredited { payment, entry }),
        id().prop_map(|payment| Event::ClaimWithdrawn { payment }),
        (id(), id(), id()).prop_map(|(payer, payer_payment, payment)| Event::ClaimRefused {
            payer,
            payer_payment,
            payment
        }),
        id().prop_map(|payment| Event::InvoiceWithdrawn { payment }),
    ]
}

fn funds() -> impl Strategy<Value = Funds> + Clone {
    (msat(), any::<i64>(), msat()).prop_map(|(limit_msat, net, held_msat)| Funds {
        limit_msat,
        net_msat: SignedMsat::new(net),
        held_msat,
    })
}

fn line() -> impl Strategy<Value = Line> {
    (id(), funds(), msat(), of(msat()), at(), of(at())).prop_map(
        |(environment, funds, allocated_msat, first_limit_msat, created_at, disabled_at)| Line {
            environment,
            funds,
            allocated_msat,
            first_limit_msat,
            created_at,
            disabled_at,
        },
    )
}

fn wallet() -> impl Strategy<Value = Wallet> {
    let made = (id(), any::<String>(), backing(), funds(), metadata());
    let changed = (any::<Option<String>>(), of(msat()), at(), at(), of(at()));
    (made, changed).prop_map(|(made, changed)| {
        let (environment, name, backing, funds, metadata) = made;
        let (first_name, first_limit_msat, created_at, updated_at, deleted_at) = changed;
        Wallet {
            environment,
            name,
            backing,
            funds,
            metadata,
            first_name,
            first_limit_msat,
            created_at,
            updated_at,
            deleted_at,
        }
    })
}

pub(crate) fn row() -> impl Strategy<Value = Row> {
    prop_oneof![
        (id(), any::<String>(), of(any::<String>())).prop_map(|(id, name, first_name)| {
            Row::Environment(id, Environment { name, first_name })
        }),
        (id(), line()).prop_map(|(id, line)| Row::Line(id, line)),
        (id(), funds(), msat()).prop_map(|(id, funds, allocated_msat)| {
            Row::Node(id, CustomerNode { funds, allocated_msat })
        }),
        (id(), wallet()).prop_map(|(id, wallet)| Row::Wallet(id, wallet)),
        (account(), any::<i64>())
            .prop_map(|(account, msat)| Row::Account(account, SignedMsat::new(msat))),
        outgoing().prop_map(|payment| Row::Outgoing(Arc::new(payment))),
        incoming().prop_map(|payment| Row::Incoming(Arc::new(payment))),
    ]
}

fn attempt() -> impl Strategy<Value = Attempt> {
    let epoch = any::<u64>().prop_map(Epoch);
    let request = (epoch, at(), any::<bool>()).prop_map(|(epoch, until, unsent)| Request {
        epoch,
        until,
        unsent,
    });
    let end = prop_oneof![
        at().prop_map(|at| AttemptEnd::Paid { at }),
        (at(), reason()).prop_map(|(at, reason)| AttemptEnd::Failed { at, reason }),
    ];
    (id(), at(), vec(request, 0..3), vec(failure_id(), 0..3), of(end)).prop_map(
        |(node, started_at, requests, older_failures, end)| Attempt {
            node,
            started_at,
            requests,
            older_failures,
            end,
        },
    )
}

fn outgoing() -> impl Strategy<Value = Outgoing> {
    let state = prop_oneof![
        payment_failure().prop_map(OutgoingState::Refused),
        Just(OutgoingState::InFlight),
        (msat(), of(preimage()))
            .prop_map(|(fee_msat, preimage)| OutgoingState::Posted { fee_msat, preimage }),
        payment_failure().prop_map(OutgoingState::Voided),
    ];
    let asked = (id(), send_terms(), id(), msat(), msat(), rail());
    let tried = (vec(id(), 0..3), older_failures(), vec(attempt(), 0..3), state);
    let marks = any::<(bool, bool)>();
    (asked, tried, at(), at(), marks, of(resolved())).prop_map(
        |(asked, tried, created_at, updated_at, (contradicted, cancelled), resolved)| {
            let (id, terms, environment, amount_msat, fee_limit_msat, rail) = asked;
            let (plan, older_failures, attempts, state) = tried;
            Outgoing {
                id,
                terms,
                environment,
                amount_msat,
                fee_limit_msat,
                rail,
                plan,
                older_failures,
                attempts,
                state,
                created_at,
                updated_at,
                contradicted,
                resolved,
                cancelled,
            }
        },
    )
}

fn incoming() -> impl Strategy<Value = Incoming> {
    let state = prop_oneof![
        Just(IncomingState::Generating),
        Just(IncomingState::Open),
        claimed_by().prop_map(IncomingState::Claimed),
        claimed_by().prop_map(IncomingState::Withdrawn),
        Just(IncomingState::Cancelling),
        Just(IncomingState::Paid),
        claimed_by().prop_map(IncomingState::PaidInternally),
        Just(IncomingState::Expired),
        Just(IncomingState::Failed),
    ];
    let asked = (id(), receive_terms(), id(), hash(), id(), at());
    (asked, of(invoice()), state, msat(), at(), at()).prop_map(
        |(asked, invoice, state, credited_msat, created_at, updated_at)| {
            let (id, terms, environment, hash, node, expires_at) = asked;
            Incoming {
                id,
                terms,
                environment,
                hash,
                node,
                expires_at,
                invoice,
                state,
                credited_msat,
                created_at,
                updated_at,
            }
        },
    )
}
