//! What is held back for older versions is all that they would not keep.

use proptest::prelude::*;

use crate::org::{
    CustomerNode, Environment, Event, Incoming, Line, Outgoing, Revision, Row, Wallet,
    tests::{any, house::House, properties},
};

/// What a process must read to write this row anew and lose nothing. A field that is added asks here since
/// when it is.
fn of_row(row: &Row) -> Revision {
    match row {
        Row::Environment(_, Environment { name: _, first_name: Some(_) }) => {
            Revision::RENAMED_ENVIRONMENTS
        }
        Row::Environment(_, Environment { name: _, first_name: None })
        | Row::Line(
            _,
            Line {
                environment: _,
                funds: _,
                allocated_msat: _,
                first_limit_msat: _,
                created_at: _,
                disabled_at: _,
            },
        )
        | Row::Node(_, CustomerNode { funds: _, allocated_msat: _ })
        | Row::Wallet(
            _,
            Wallet {
                environment: _,
                name: _,
                backing: _,
                funds: _,
                metadata: _,
                first_name: _,
                first_limit_msat: _,
                created_at: _,
                updated_at: _,
                deleted_at: _,
            },
        )
        | Row::Account(..) => Revision::FIRST,
        Row::Outgoing(payment) => of_outgoing(payment),
        Row::Incoming(payment) => of_incoming(payment),
    }
}

fn of_outgoing(payment: &Outgoing) -> Revision {
    let Outgoing {
        id: _,
        terms: _,
        environment: _,
        amount_msat: _,
        fee_limit_msat: _,
        rail: _,
        plan: _,
        older_failures: _,
        attempts: _,
        state: _,
        created_at: _,
        updated_at: _,
        contradicted: _,
        resolved: _,
        cancelled: _,
    } = payment;
    Revision::FIRST
}

fn of_incoming(payment: &Incoming) -> Revision {
    let Incoming {
        id: _,
        terms: _,
        environment: _,
        hash: _,
        node: _,
        expires_at: _,
        invoice: _,
        state: _,
        credited_msat: _,
        created_at: _,
        updated_at: _,
    } = payment;
    Revision::FIRST
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Only events are asked for their revision, so none may bring rows to one that it does not have.
    #[test]
    fn no_row_is_newer_than_what_has_happened(
        steps in prop::collection::vec(any::step(), 0..100),
    ) {
        let (mut house, mut post) = (House::open(), properties::Post::new());
        for step in &steps {
            properties::play(&mut house, &mut post, step);
        }
        for (journal, rows) in house.journals.iter().zip(&house.rows) {
            let events = journal.iter().map(|(_, event)| Event::revision(event)).max();
            prop_assert!(rows.values().map(of_row).max() <= events);
        }
    }
}
