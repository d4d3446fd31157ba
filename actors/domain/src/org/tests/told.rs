//! How a story is told: ids by their numbers, amounts in msat.

use crate::{
    NodeId, OrgId, PaymentId, WalletId,
    ledger::{Account, Entry},
    lightning::FailureId,
    org::{Backing, ClaimAnswer, Effect, Event, Org, Rail, Resolution},
};

pub(super) fn p(id: PaymentId) -> String {
    format!("p{}", id.uuid().as_u128())
}

pub(super) fn n(id: NodeId) -> String {
    format!("n{}", id.uuid().as_u128())
}

pub(super) fn w(id: WalletId) -> String {
    format!("w{}", id.uuid().as_u128())
}

fn o(id: OrgId) -> &'static str {
    if id.uuid().as_u128() == 1 { "A" } else { "B" }
}

fn backing(backing: Backing) -> String {
    match backing {
        Backing::Line(line) => format!("l{}", line.uuid().as_u128()),
        Backing::Node(node) => n(node),
    }
}

fn rail(rail: Rail) -> String {
    match rail {
        Rail::Internal { payee, payee_payment } => {
            format!("inside to {}/{}", o(payee), p(payee_payment))
        }
        Rail::CreditPool => "by the pool".to_owned(),
        Rail::CustomerNode(node) => format!("by own {}", n(node)),
    }
}

pub(super) fn account(account: Account) -> String {
    match account {
        Account::Wallet(wallet) => w(wallet),
        Account::Node(node) => n(node),
        Account::Clearing => "clearing".to_owned(),
    }
}

fn entry(entry: &Entry) -> String {
    let [debit, credit] = entry.postings() else { return format!("{entry:?}") };
    assert_eq!(debit.amount_msat, credit.amount_msat);
    format!("{} -> {} {}", account(debit.account), account(credit.account), debit.amount_msat.get())
}

fn failure(failure: Option<FailureId>) -> String {
    failure.map_or_else(|| "no record".to_owned(), |id| format!("record {}", id.payment_index))
}

pub(super) fn event(event: &Event) -> String {
    match event {
        Event::EnvironmentCreated { environment, name } => {
            format!("environment e{} {name}", environment.uuid().as_u128())
        }
        Event::EnvironmentRenamed { environment, name } => {
            format!("environment e{} named {name}", environment.uuid().as_u128())
        }
        Event::LineOpened { line, limit_msat, .. } => {
            format!("line {} of {}", backing(Backing::Line(*line)), limit_msat.get())
        }
        Event::LineLimitSet { line, limit_msat } => {
            format!("line {} now {}", backing(Backing::Line(*line)), limit_msat.get())
        }
        Event::LineDisabled { line } => format!("line {} disabled", backing(Backing::Line(*line))),
        Event::LineEnabled { line } => format!("line {} enabled", backing(Backing::Line(*line))),
        Event::NodeFundsSet { node, funds_msat } => {
            format!("node {} holds {}", n(*node), funds_msat.get())
        }
        Event::WalletCreated { wallet, backing: on, limit_msat, .. } => {
            format!("wallet {} on {} of {}", w(*wallet), backing(*on), limit_msat.get())
        }
        Event::WalletLimitSet { wallet, limit_msat } => {
            format!("wallet {} now {}", w(*wallet), limit_msat.get())
        }
        Event::WalletRenamed { wallet, name } => format!("wallet {} named {name}", w(*wallet)),
        Event::WalletDeleted { wallet } => format!("wallet {} deleted", w(*wallet)),
        Event::SendRefused { .. }
        | Event::Held { .. }
        | Event::AttemptStarted { .. }
        | Event::RequestIssued { .. }
        | Event::RequestUnsent { .. }
        | Event::AttemptFailed { .. }
        | Event::Posted { .. }
        | Event::Voided { .. }
        | Event::Contradicted { .. }
        | Event::Resolved { .. }
        | Event::CancelRequested { .. } => sending(event),
        Event::InvoiceRequested { .. }
        | Event::InvoiceMade { .. }
        | Event::InvoiceNotMade { .. }
        | Event::Received { .. }
        | Event::InvoiceExpired { .. }
        | Event::InvoiceClaimed { .. }
        | Event::ClaimCredited { .. }
        | Event::ClaimWithdrawn { .. }
        | Event::ClaimRefused { .. }
        | Event::InvoiceWithdrawn { .. } => receiving(event),
    }
}

fn sending(event: &Event) -> String {
    match event {
        Event::SendRefused { payment, failure, .. } => {
            format!("refused {}: {failure:?}", p(*payment))
        }
        Event::Held { payment, amount_msat, fee_limit_msat, rail: by, .. } => {
            let (amount, fee) = (amount_msat.get(), fee_limit_msat.get());
            format!("held {} {amount} and fee {fee}, {}", p(*payment), rail(*by))
        }
        Event::AttemptStarted { payment, number, node, until, .. } => {
            format!("attempt {}/{number} on {} until {}", p(*payment), n(*node), until.millis())
        }
        Event::RequestIssued { payment, until, .. } => {
            format!("request of {} until {}", p(*payment), until.millis())
        }
        Event::RequestUnsent { payment, request } => {
            format!("request {request} of {} never ran", p(*payment))
        }
        Event::AttemptFailed { payment, node, reason, failure: record, .. } => {
            format!("failed {} on {}: {reason:?}, {}", p(*payment), n(*node), failure(*record))
        }
        Event::Posted { payment, fee_msat, entry: posted, .. } => {
            format!("posted {} fee {}: {}", p(*payment), fee_msat.get(), entry(posted))
        }
        Event::Voided { payment, failure, .. } => format!("voided {}: {failure:?}", p(*payment)),
        Event::Contradicted { payment, node, paid_msat, fee_msat, .. } => {
            let (paid, fee) = (paid_msat.get(), fee_msat.get());
            format!("contradicted {} by {}: paid {paid}, fee {fee}", p(*payment), n(*node))
        }
        Event::Resolved { payment, resolution, evidence, correction } => {
            let word = match resolution {
                Resolution::Paid { .. } => "paid",
                Resolution::Failed => "failed",
            };
            let moved = correction.as_ref().map(|moved| format!(", {}", entry(moved)));
            let moved = moved.unwrap_or_default();
            format!("resolved {} as {word} by {evidence:?}{moved}", p(*payment))
        }
        Event::CancelRequested { payment } => format!("cancel of {} requested", p(*payment)),
        Event::EnvironmentCreated { .. }
        | Event::EnvironmentRenamed { .. }
        | Event::LineOpened { .. }
        | Event::LineLimitSet { .. }
        | Event::LineDisabled { .. }
        | Event::LineEnabled { .. }
        | Event::NodeFundsSet { .. }
        | Event::WalletCreated { .. }
        | Event::WalletLimitSet { .. }
        | Event::WalletRenamed { .. }
        | Event::WalletDeleted { .. }
        | Event::InvoiceRequested { .. }
        | Event::InvoiceMade { .. }
        | Event::InvoiceNotMade { .. }
        | Event::Received { .. }
        | Event::InvoiceExpired { .. }
        | Event::InvoiceClaimed { .. }
        | Event::ClaimCredited { .. }
        | Event::ClaimWithdrawn { .. }
        | Event::ClaimRefused { .. }
        | Event::InvoiceWithdrawn { .. } => unreachable!("told by others"),
    }
}

fn receiving(event: &Event) -> String {
    match event {
        Event::InvoiceRequested { payment, node, expires_at, .. } => {
            format!("invoice {} on {} until {}", p(*payment), n(*node), expires_at.millis())
        }
        Event::InvoiceMade { payment, .. } => format!("invoice {} made", p(*payment)),
        Event::InvoiceNotMade { payment } => format!("invoice {} not made", p(*payment)),
        Event::Received { payment, entry: posted, .. } => {
            format!("received {}: {}", p(*payment), entry(posted))
        }
        Event::InvoiceExpired { payment } => format!("invoice {} expired", p(*payment)),
        Event::InvoiceClaimed { payment, by } => {
            format!("invoice {} claimed by {}/{}", p(*payment), o(by.payer), p(by.payment))
        }
        Event::ClaimCredited { payment, entry: posted } => {
            format!("credited {}: {}", p(*payment), entry(posted))
        }
        Event::ClaimWithdrawn { payment } => format!("claim of {} withdrawn", p(*payment)),
        Event::ClaimRefused { payer, payer_payment, payment } => {
            format!("claim of {} by {}/{} refused", p(*payment), o(*payer), p(*payer_payment))
        }
        Event::InvoiceWithdrawn { payment } => format!("invoice {} withdrawn", p(*payment)),
        Event::EnvironmentCreated { .. }
        | Event::EnvironmentRenamed { .. }
        | Event::LineOpened { .. }
        | Event::LineLimitSet { .. }
        | Event::LineDisabled { .. }
        | Event::LineEnabled { .. }
        | Event::NodeFundsSet { .. }
        | Event::WalletCreated { .. }
        | Event::WalletLimitSet { .. }
        | Event::WalletRenamed { .. }
        | Event::WalletDeleted { .. }
        | Event::SendRefused { .. }
        | Event::Held { .. }
        | Event::AttemptStarted { .. }
        | Event::RequestIssued { .. }
        | Event::RequestUnsent { .. }
        | Event::AttemptFailed { .. }
        | Event::Posted { .. }
        | Event::Voided { .. }
        | Event::Contradicted { .. }
        | Event::Resolved { .. }
        | Event::CancelRequested { .. } => unreachable!("told by others"),
    }
}

pub(super) fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Pay {
            payment, attempt, request, node, amount_msat, fee_limit_msat, until, ..
        } => {
            let named = amount_msat.map_or(String::new(), |amount| format!(" {}", amount.get()));
            let (fee, until) = (fee_limit_msat.get(), until.millis());
            let payment = p(*payment);
            format!(
                "pay {payment}/{attempt}.{request} on {}{named} fee {fee} until {until}",
                n(*node)
            )
        }
        Effect::LookUp { payment, attempt, request, node, .. } => {
            format!("look up {}/{attempt}.{request} on {}", p(*payment), n(*node))
        }
        Effect::LookUpOnceLapsed { payment, attempt, request, node, until, .. } => {
            let (payment, until) = (p(*payment), until.millis());
            format!("look up {payment}/{attempt}.{request} on {} after {until}", n(*node))
        }
        Effect::StopNode { node, .. } => format!("stop {}", n(*node)),
        Effect::MakeInvoice { payment, node, amount_msat, .. } => {
            let amount = amount_msat.map_or("any amount".to_owned(), |it| it.get().to_string());
            format!("make invoice {} on {} for {amount}", p(*payment), n(*node))
        }
        Effect::CancelInvoice { payment, node, .. } => {
            format!("cancel invoice {} on {}", p(*payment), n(*node))
        }
        Effect::Claim { payee, request, .. } => {
            format!("claim {}/{} for {}", o(*payee), p(request.payment), p(request.payer_payment))
        }
        Effect::AnswerClaim { payer, payment, answer } => {
            let answer = match answer {
                ClaimAnswer::Credited => "credited",
                ClaimAnswer::Refused => "refused",
            };
            format!("answer {}/{} {answer}", o(*payer), p(*payment))
        }
    }
}

/// One line for each wallet whose funds, or whose backing's, differ from before.
pub(super) fn moved(before: &Org, after: &Org) -> Vec<String> {
    let changed = after.wallets.iter().filter(|(id, wallet)| {
        before.wallets.get(id).is_none_or(|old| {
            old.funds != wallet.funds || before.spendable(old) != after.spendable(wallet)
        })
    });
    let told = changed.map(|(id, wallet)| {
        let (held, net) = (wallet.funds.held_msat.get(), wallet.funds.net_msat.get());
        format!("{} {} left, {held} held, net {net}", w(*id), after.spendable(wallet).get())
    });
    told.collect()
}
