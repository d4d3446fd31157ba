//! Who calls, whether what the path names is theirs, how often they may, and what for.

use std::sync::Arc;

use axum::{
    extract::Request,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::{
    once,
    refusal::Refusal,
    request::{Asked, Ids, Params},
    table::Route,
};
use crate::{
    access::{Need, peer},
    auth::Caller,
    edge::Edge,
};

/// Refuses a key that may not.
pub(super) fn check(caller: &Caller, need: Need) -> Result<(), Refusal> {
    need.check(caller).map_err(|problem| Refusal::from(problem).with_status(StatusCode::FORBIDDEN))
}

pub(super) async fn guard(edge: &Arc<Edge>, route: &Route, ids: Ids, request: Request) -> Response {
    let caller = match edge.keys.admit(request.headers(), peer(&request)).await {
        Ok(caller) => caller,
        Err(problem) => return Refusal::from(problem).into_response(),
    };
    let allowance = match edge.rates.take(caller.key) {
        Ok(allowance) => allowance,
        Err(exceeded) => {
            let mut response = Refusal::from(exceeded.problem()).into_response();
            exceeded.write(response.headers_mut());
            return response;
        }
    };
    let query = request.uri().query().unwrap_or_default();
    let admitted =
        admit(&ids, caller, route.need).and_then(|()| Params::check(query, &route.queries));
    let mut response = match admitted {
        Ok(()) => once::once(route, request, Asked { edge: edge.clone(), caller, ids }).await,
        Err(refusal) => refusal.into_response(),
    };
    allowance.write(response.headers_mut());
    response
}

fn admit(ids: &Ids, caller: Caller, need: Need) -> Result<(), Refusal> {
    // Somebody else's organisation is not found, like one that never was.
    if ids.has("organization_id") {
        let org = ids.get("organization_id")?;
        if org != caller.org {
            let what = format!("organization {org}");
            return Err(Refusal::not_found("organization_not_found", what));
        }
    }
    if ids.has("environment_id") {
        let environment = ids.get("environment_id")?;
        if environment != caller.environment {
            let what = format!("environment {environment}");
            return Err(Refusal::not_found("environment_not_found", what));
        }
    }
    check(&caller, need)
}
