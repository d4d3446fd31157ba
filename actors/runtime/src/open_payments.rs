//! Outgoing payments in flight, for the operator: how many, how much, and since when the oldest.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use domain::{
    Msat, OrgId, PaymentId, Timestamp,
    org::{Outgoing, Row},
};

/// Follows what has been committed; an organisation that is loaded brings its own again.
#[derive(Default)]
pub(crate) struct OpenPayments {
    open: Mutex<HashMap<(OrgId, PaymentId), Open>>,
}

#[derive(Clone, Copy)]
struct Open {
    since: Timestamp,
    amount_msat: Msat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) count: usize,
    pub(crate) amount_msat: Msat,
    pub(crate) oldest: Option<Timestamp>,
}

impl OpenPayments {
    pub(crate) fn tell(&self, org: OrgId, row: &Row) {
        match row {
            Row::Outgoing(payment) => self.see(org, payment),
            Row::Incoming(_)
            | Row::Environment(..)
            | Row::Line(..)
            | Row::Node(..)
            | Row::Wallet(..)
            | Row::Account(..) => {}
        }
    }

    pub(crate) fn see(&self, org: OrgId, payment: &Outgoing) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (org, payment.id);
        if payment.is_in_flight() {
            let Outgoing { created_at, amount_msat, .. } = *payment;
            open.insert(key, Open { since: created_at, amount_msat });
        } else {
            open.remove(&key);
        }
    }

    /// Another process follows them now.
    pub(crate) fn forget(&self, orgs: impl Fn(OrgId) -> bool) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(org, _), _| !orgs(*org));
    }

    /// Walks over all of them: for when somebody looks, not for the way of a payment.
    pub(crate) fn sum(&self) -> Sum {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sum = Sum { count: open.len(), ..Sum::default() };
        for one in open.values() {
            // All of them together are held, so they are below the supply.
            sum.amount_msat = sum.amount_msat.checked_add(one.amount_msat).unwrap_or(Msat::SUPPLY);
            sum.oldest = Some(sum.oldest.map_or(one.since, |oldest| oldest.min(one.since)));
        }
        sum
    }
}
