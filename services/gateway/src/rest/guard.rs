//! Who calls, whether what the path names is theirs, how often they may, and what for.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{once, refusal::Refusal, request::Ids};
use crate::{
    access::{Need, peer},
    auth::Caller,
    edge::Edge,
};

/// Refuses a key that may not.
pub(super) fn check(caller: &Caller, need: Need) -> Result<(), Refusal> {
    need.check(caller).map_err(|problem| Refusal::from(problem).with_status(StatusCode::FORBIDDEN))
}

pub(super) async fn guard(
    State((edge, need)): State<(Arc<Edge>, Need)>,
    ids: Ids,
    mut request: Request,
    next: Next,
) -> Response {
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
    let admitted = admit(&ids, caller, need);
    let mut response = match admitted {
        Ok(()) => {
            request.extensions_mut().insert(caller);
            once::once(edge, caller, request, next).await
        }
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
