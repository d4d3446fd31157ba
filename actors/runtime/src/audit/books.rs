//! One organisation against itself: rows against journal, holds against payments, wallets against ledger.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    PaymentId, SignedMsat, WalletId,
    ledger::{Account, Funds},
    org::{Backing, Event, Org, Row},
};
use ports::{operations::AuditFinding, reads::Recorded};

use super::{Books, Finding, Stored};

/// No decision to spend leaves less than nothing (rules 1 to 3).
pub(super) fn check_hold(org: &Org, recorded: &Recorded, findings: &mut Vec<AuditFinding>) {
    let Event::Held { payment, terms, .. } = &recorded.event else { return };
    let Some(wallet) = org.wallets.get(&terms.wallet) else { return };
    let left = org.spendable(wallet);
    if left < SignedMsat::ZERO {
        let text = format!("its hold left {} msat in wallet {}", left.get(), terms.wallet);
        findings.push(Finding::of_payment(org.id, *payment, "overspent", text));
    }
}

/// What nodes have said against their own record or against the terms is for a person to look at, even
/// where their books and ours have come to agree (rules 2 and 6), until one has said how it ended.
#[derive(Default)]
pub(super) struct Contradictions {
    unexplained: BTreeMap<PaymentId, Vec<AuditFinding>>,
}

impl Contradictions {
    pub(super) fn read(&mut self, org: &Org, recorded: &Recorded) {
        if let Event::Resolved { payment, .. } = &recorded.event {
            self.unexplained.remove(payment);
        }
        let Event::Contradicted { payment, node, paid_msat, fee_msat, .. } = &recorded.event else {
            return;
        };
        let Some(known) = org.outgoing.get(payment) else { return };
        let text = format!(
            "the node contradicted its record: it says {} msat paid and a fee of {} msat, \
             of {} msat and a fee of at most {} msat",
            paid_msat.get(),
            fee_msat.get(),
            known.amount_msat.get(),
            known.fee_limit_msat.get()
        );
        let finding = Finding::of_payment(org.id, *payment, "payment_contradicted", text);
        let finding = AuditFinding { node: Some(*node), ..finding };
        self.unexplained.entry(*payment).or_default().push(finding);
    }

    pub(super) fn findings(self) -> impl Iterator<Item = AuditFinding> {
        self.unexplained.into_values().flatten()
    }
}

pub(super) fn check(books: &Books, findings: &mut Vec<AuditFinding>) {
    let org = &books.org;
    if let Some(Stored { rows, open }) = &books.stored {
        check_rows(org, rows, findings);
        check_open(org, open, findings);
    }
    check_holds(org, findings);
    check_shares(org, findings);
    check_accounts(org, findings);
}

/// The rows that loading reads are what the journal says (architecture 3.9).
fn check_rows(org: &Org, stored: &[Row], findings: &mut Vec<AuditFinding>) {
    let replayed: BTreeMap<_, _> = org.rows().into_iter().map(|row| (row.key(), row)).collect();
    let stored: BTreeMap<_, _> = stored.iter().map(|row| (row.key(), row)).collect();
    for (key, row) in &replayed {
        let text = match stored.get(key) {
            None => format!("{key:?} is in the journal only"),
            Some(stored) if *stored != row => format!("{key:?} is not what the journal says"),
            Some(_) => continue,
        };
        findings.push(Finding::of(org.id, "row_differs_from_journal", text));
    }
    for key in stored.keys().filter(|key| !replayed.contains_key(*key)) {
        let text = format!("{key:?} is not in the journal");
        findings.push(Finding::of(org.id, "row_differs_from_journal", text));
    }
}

/// Loading reads what is open and nothing else: what it leaves out would never be carried on.
fn check_open(org: &Org, read: &[PaymentId], findings: &mut Vec<AuditFinding>) {
    let outgoing = org.outgoing.values().filter(|payment| payment.is_open()).map(|it| it.id);
    let incoming = org.incoming.values().filter(|payment| payment.is_open()).map(|it| it.id);
    let open: BTreeSet<PaymentId> = outgoing.chain(incoming).collect();
    let read: BTreeSet<PaymentId> = read.iter().copied().collect();
    for payment in open.symmetric_difference(&read) {
        let text = match open.contains(payment) {
            true => "it is open, and is not carried on after a start",
            false => "it has ended, and is loaded all the same",
        };
        let code = "open_payments_differ";
        findings.push(Finding::of_payment(org.id, *payment, code, text.to_owned()));
    }
}

/// What is held is what open payments hold.
fn check_holds(org: &Org, findings: &mut Vec<AuditFinding>) {
    let mut held: BTreeMap<WalletId, u64> = BTreeMap::new();
    for payment in org.outgoing.values().filter(|payment| payment.is_open()) {
        *held.entry(payment.terms.wallet).or_default() += payment.hold_msat().get();
    }
    for (id, wallet) in &org.wallets {
        let expected = held.get(id).copied().unwrap_or_default();
        if wallet.funds.held_msat.get() != expected {
            let text = format!(
                "wallet {id} holds {} msat, its open payments {expected}",
                wallet.funds.held_msat.get()
            );
            findings.push(Finding::of(org.id, "hold_without_payment", text));
        }
    }
}

/// Wallets together are their backing, and have no more than it gave them (rule 32).
fn check_shares(org: &Org, findings: &mut Vec<AuditFinding>) {
    let lines =
        org.lines.iter().map(|(id, line)| (Backing::Line(*id), line.funds, line.allocated_msat));
    let nodes =
        org.nodes.iter().map(|(id, node)| (Backing::Node(*id), node.funds, node.allocated_msat));
    for (backing, funds, allocated_msat) in lines.chain(nodes) {
        let of_wallets = sum_of_wallets(org, backing);
        let same = of_wallets.is_some_and(|sum| {
            sum.net_msat == funds.net_msat
                && sum.held_msat == funds.held_msat
                && sum.limit_msat == allocated_msat
        });
        if !same {
            let text = format!("{backing:?} differs from the sum of its wallets");
            findings.push(Finding::of(org.id, "backing_differs_from_wallets", text));
        }
    }
}

fn sum_of_wallets(org: &Org, backing: Backing) -> Option<Funds> {
    let wallets = org.wallets.values().filter(|wallet| wallet.backing == backing);
    wallets.map(|wallet| wallet.funds).try_fold(Funds::default(), |sum, funds| {
        Some(Funds {
            limit_msat: sum.limit_msat.checked_add(funds.limit_msat)?,
            net_msat: sum.net_msat.checked_add(funds.net_msat)?,
            held_msat: sum.held_msat.checked_add(funds.held_msat)?,
        })
    })
}

/// Debits and credits sum to the same, and the ledger says of each wallet what the wallet says.
fn check_accounts(org: &Org, findings: &mut Vec<AuditFinding>) {
    let total: i128 = org.accounts.values().map(|balance| i128::from(balance.get())).sum();
    if total != 0 {
        let text = format!("debits exceed credits by {total} msat");
        findings.push(Finding::of(org.id, "ledger_out_of_balance", text));
    }
    for (id, wallet) in &org.wallets {
        let account = org.accounts.get(&Account::Wallet(*id)).copied().unwrap_or_default();
        let owed = SignedMsat::ZERO.checked_sub(account);
        if owed != Some(wallet.funds.net_msat) {
            let text = format!("wallet {id} differs from its ledger account");
            findings.push(Finding::of(org.id, "wallet_differs_from_ledger", text));
        }
    }
}
