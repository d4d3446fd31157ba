//! Networks in the contract's words: some have another name on creates than on reads.

use domain::Network;

use super::refusal::Refusal;

/// The name on reads. An invoice of the chain that the installation is on has the installation's.
pub(super) fn name(of: Network, installation: Network) -> &'static str {
    match of == installation.chain() {
        true => installation.name(),
        false => of.name(),
    }
}

/// Whether the contract's name is that of the network that this installation is on.
pub(super) fn is(named: &str, installation: Network) -> Result<bool, Refusal> {
    let network = match named {
        "testnet3" => Some(Network::Testnet),
        other => Network::from_name(other),
    };
    let known =
        network.ok_or_else(|| Refusal::invalid("invalid_network", "not a known network"))?;
    Ok(known == installation)
}

/// Refuses to make something on another network.
pub(super) fn check(named: &str, installation: Network) -> Result<(), Refusal> {
    match is(named, installation)? {
        true => Ok(()),
        false => Err(Refusal::invalid(
            "line_of_credit_network_mismatch",
            format!("the line of credit is on {}", installation.name()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contracts_names_are_taken() {
        assert!(check("testnet3", Network::Testnet).is_ok());
        assert!(check("mutinynet", Network::Mutinynet).is_ok());
        assert!(check("regtest", Network::Regtest).is_ok());
        assert_eq!(
            check("mainnet", Network::Regtest).unwrap_err().kind(),
            "line_of_credit_network_mismatch"
        );
        assert_eq!(check("moon", Network::Regtest).unwrap_err().kind(), "invalid_network");
        assert_eq!(name(Network::Signet, Network::Mutinynet), "mutinynet");
        assert_eq!(name(Network::Mainnet, Network::Mutinynet), "mainnet");
    }
}
