//! switchyard.admin.v1: what the operator may ask for. One file for each service.

mod installation;
mod keys;
mod nodes;
mod organisations;
mod restored;

use domain::{
    ErrorClass, OrgId,
    org::{Org, Row},
    payment::Epoch,
};
use ports::orgs::OrgsError;
use proto::Problem;

use crate::{Gateway, problem::operator};

pub(crate) use installation::Installation;
pub(crate) use keys::Keys;
pub(crate) use nodes::Nodes;
pub(crate) use organisations::Organisations;

/// Environments, lines, nodes and wallets of an organisation that exists.
async fn standing(gateway: &Gateway, org: OrgId) -> Result<Org, Problem> {
    let rows: Vec<Row> = gateway.reads.standing(org).await.map_err(operator::store)?;
    if rows.is_empty() {
        let orgs = gateway.directory.orgs().await.map_err(operator::store)?;
        if !orgs.iter().any(|known| known.id == org) {
            return Err(operator::orgs(OrgsError::NotFound(org)));
        }
    }
    Ok(Org::from_rows(org, Epoch::default(), rows))
}

fn not_found(code: &'static str, what: String) -> Problem {
    Problem::new(ErrorClass::NotFound, code, what + " not found")
}
