//! Everything that can be known of a node before it is stored and used.

use domain::{Network, PublicKey, Timestamp};
use ports::{
    directory::NodeRecord,
    lightning::NodeError,
    operations::{NewNode, RegisterError},
};

use crate::{
    Lnd, Settings, Timing,
    channel::{self, Trust},
    clock::clock_offset,
    lnd::{network, public_key},
    macaroon,
};

/// Permissions end at an instant of our clock by the clock of the node.
pub const CLOCK_OFFSET_MS_MAX: i64 = 1_000;

/// Checks first what the paper says, then what the node says.
pub async fn inspect(
    new: &NewNode,
    expected: Network,
    now: impl Fn() -> Timestamp + Send + Sync,
) -> Result<NodeRecord, RegisterError> {
    channel::address(&new.address).map_err(RegisterError::BadAddress)?;
    Trust::read(new.certificate.as_deref()).map_err(RegisterError::BadCertificate)?;
    macaroon::check(&new.macaroon)?;

    let lnd = Lnd::connect(&Settings {
        address: new.address.clone(),
        certificate: new.certificate.clone(),
        macaroon: new.macaroon.clone(),
        timing: Timing::default(),
    })?;
    let identity = identity(&lnd, expected).await?;
    if let Some(expected) = new.identity
        && expected != identity
    {
        return Err(RegisterError::WrongIdentity { expected, found: identity });
    }
    let offset = clock_offset(&lnd, now).await;
    let offset_ms = offset.map_err(|error| refusal(&lnd, error))?;
    if offset_ms.abs() > CLOCK_OFFSET_MS_MAX {
        return Err(RegisterError::ClockOff(offset_ms));
    }
    Ok(NodeRecord {
        id: new.id,
        owner: new.owner,
        name: new.name.clone(),
        address: new.address.clone(),
        certificate: new.certificate.clone(),
        macaroon: new.macaroon.clone(),
        identity,
        network: expected,
        stopped: None,
    })
}

/// That it answers proves the macaroon genuine, and with it the permissions that it lists.
async fn identity(lnd: &Lnd, expected: Network) -> Result<PublicKey, RegisterError> {
    let info = lnd.info().await.map_err(|error| refusal(lnd, error))?;
    let found = network(&info);
    if Network::from_name(found) != Some(expected.chain()) {
        return Err(RegisterError::WrongNetwork { expected, found: found.to_owned() });
    }
    public_key(&info.identity_pubkey)
        .ok_or_else(|| RegisterError::Unreachable("its identity cannot be read".to_owned()))
}

fn refusal(lnd: &Lnd, error: NodeError) -> RegisterError {
    match error {
        NodeError::Unreachable(_) if lnd.refused_certificate() => RegisterError::WrongCertificate,
        NodeError::Unreachable(why) | NodeError::Refused(why) => RegisterError::Unreachable(why),
        NodeError::Denied(why) => RegisterError::Denied(why),
    }
}
