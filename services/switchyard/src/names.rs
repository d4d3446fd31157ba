//! Names and ids: people give either, calls take ids.

use bootstrap::{Exit, SystemClock, random};
use ports::Clock as _;
use proto::{admin::v1 as admin, v1};
use uuid::Uuid;

use crate::{
    client::{self, Customer, Operator},
    failure::Failure,
};

/// The caller's id, or a new one.
pub(crate) fn id_or_new(given: Option<Uuid>) -> Result<String, Failure> {
    match given {
        Some(id) => Ok(id.to_string()),
        None => Ok(random::uuid_at(SystemClock.now())?.to_string()),
    }
}

/// A text for a document: none when it is empty.
pub(crate) fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

pub(crate) async fn organisation(to: &mut Operator, given: &str) -> Result<String, Failure> {
    if given.parse::<Uuid>().is_ok() {
        return Ok(given.to_owned());
    }
    let list = to.organisations.list(admin::ListOrganisationsRequest {});
    let all = client::read(list).await?.organisations;
    only("organisation", given, all.into_iter().map(|org| (org.name, org.id)))
}

pub(crate) async fn environment(
    to: &mut Operator,
    organisation: &str,
    given: &str,
) -> Result<String, Failure> {
    if given.parse::<Uuid>().is_ok() {
        return Ok(given.to_owned());
    }
    let get = to.organisations.get(admin::GetOrganisationRequest { id: organisation.to_owned() });
    let all = client::read(get).await?.environments;
    only("environment", given, all.into_iter().map(|of| (of.name, of.id)))
}

pub(crate) async fn organisations_wallet(
    to: &mut Operator,
    organisation: &str,
    given: &str,
) -> Result<String, Failure> {
    if given.parse::<Uuid>().is_ok() {
        return Ok(given.to_owned());
    }
    let get = to.organisations.get(admin::GetOrganisationRequest { id: organisation.to_owned() });
    let all = client::read(get).await?.wallets;
    only("wallet", given, all.into_iter().map(|of| (of.name, of.id)))
}

pub(crate) async fn node(to: &mut Operator, given: &str) -> Result<String, Failure> {
    if given.parse::<Uuid>().is_ok() {
        return Ok(given.to_owned());
    }
    let all = client::read(to.nodes.list(admin::ListNodesRequest {})).await?.nodes;
    only("node", given, all.into_iter().filter_map(|of| of.node).map(|of| (of.name, of.id)))
}

pub(crate) async fn wallet(to: &mut Customer, given: &str) -> Result<String, Failure> {
    if given.parse::<Uuid>().is_ok() {
        return Ok(given.to_owned());
    }
    let all = wallets(to).await?;
    only("wallet", given, all.into_iter().map(|of| (of.name, of.id)))
}

/// Every wallet that the key sees, page after page.
pub(crate) async fn wallets(to: &mut Customer) -> Result<Vec<v1::Wallet>, Failure> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let list = to.wallets.list(v1::ListWalletsRequest { cursor, ..Default::default() });
        let page = client::read(list).await?;
        all.extend(page.wallets);
        cursor = page.next_cursor;
        if cursor.is_empty() {
            return Ok(all);
        }
    }
}

/// The id of the one thing with this name.
fn only(
    kind: &str,
    given: &str,
    all: impl Iterator<Item = (String, String)>,
) -> Result<String, Failure> {
    let mut found = all.filter(|(name, _)| name == given).map(|(_, id)| id);
    match (found.next(), found.next()) {
        (Some(id), None) => Ok(id),
        (Some(_), Some(_)) => {
            let message = format!("more than one {kind} is named {given:?}: give the id");
            Err(Failure::new(Exit::Conflict, "name_ambiguous", message))
        }
        (None, _) => {
            let message = format!("no {kind} is named {given:?}");
            Err(Failure::new(Exit::NotFound, "not_found", message))
        }
    }
}
