//! Nodes and audits on the wire and back. A macaroon goes, sealed, to the engine that registers its node, and
//! none comes back.

use domain::Msat;
use ports::{
    Seal,
    directory::NodeRecord,
    operations::{AuditFinding, AuditReport, NewNode, NodeState},
    seal::{SealFailure, Sealed},
};
use proto::{
    convert::{
        WireError,
        engine::{id, id_bytes, network, network_number, optional_id, public_key},
    },
    engine::v1,
};

pub(crate) fn of_new(
    node: &NewNode,
    seal: &dyn Seal,
) -> Result<v1::RegisterNodeRequest, SealFailure> {
    let Sealed { key_id, bytes } = seal.seal_macaroon(node.id, &node.macaroon)?;
    Ok(v1::RegisterNodeRequest {
        node_id: id_bytes(node.id),
        owner_id: node.owner.map(id_bytes),
        name: node.name.clone(),
        address: node.address.clone(),
        certificate_pem: node.certificate.clone(),
        macaroon: bytes,
        expected_identity: node.identity.map(|key| key.0.to_vec()),
        seal_key_id: Some(key_id),
    })
}

/// With its macaroon as it came.
pub(crate) fn read_new(request: v1::RegisterNodeRequest) -> Result<NewNode, WireError> {
    let identity = request.expected_identity;
    Ok(NewNode {
        id: id("node_id", &request.node_id)?,
        owner: optional_id("owner_id", request.owner_id)?,
        name: request.name,
        address: request.address,
        certificate: request.certificate_pem,
        macaroon: request.macaroon,
        identity: identity.map(|key| public_key("expected_identity", &key)).transpose()?,
    })
}

pub(crate) fn opened(
    node: NewNode,
    key_id: Option<String>,
    seal: &dyn Seal,
) -> Result<NewNode, SealFailure> {
    let key_id =
        key_id.ok_or_else(|| SealFailure("it names no key that has sealed it".to_owned()))?;
    let sealed = Sealed { key_id, bytes: node.macaroon };
    let macaroon = seal.open_macaroon(node.id, &sealed)?;
    Ok(NewNode { macaroon, ..node })
}

pub(crate) fn of_record(record: NodeRecord) -> v1::Node {
    v1::Node {
        node_id: id_bytes(record.id),
        owner_id: record.owner.map(id_bytes),
        name: record.name,
        address: record.address,
        certificate_pem: record.certificate,
        identity: record.identity.0.to_vec(),
        network: network_number(record.network),
        stopped: record.stopped,
    }
}

pub(crate) fn read_record(node: v1::Node) -> Result<NodeRecord, WireError> {
    Ok(NodeRecord {
        id: id("node_id", &node.node_id)?,
        owner: optional_id("owner_id", node.owner_id)?,
        name: node.name,
        address: node.address,
        certificate: node.certificate_pem,
        macaroon: Vec::new(),
        identity: public_key("identity", &node.identity)?,
        network: network(node.network)?,
        stopped: node.stopped,
    })
}

pub(crate) fn of_state(state: NodeState) -> v1::NodeState {
    v1::NodeState {
        node: Some(of_record(state.record)),
        not_usable: state.not_usable,
        in_flight: state.in_flight,
        outbound_msat: state.outbound_msat.get(),
        inbound_msat: state.inbound_msat.get(),
    }
}

pub(crate) fn read_state(state: v1::NodeState) -> Result<NodeState, WireError> {
    let amount = |field, msat| Msat::new(msat).ok_or(WireError::Amount(field));
    Ok(NodeState {
        record: read_record(state.node.ok_or(WireError::Missing("node"))?)?,
        not_usable: state.not_usable,
        in_flight: state.in_flight,
        outbound_msat: amount("outbound_msat", state.outbound_msat)?,
        inbound_msat: amount("inbound_msat", state.inbound_msat)?,
    })
}

pub(crate) fn of_report(report: AuditReport) -> v1::AuditResponse {
    let finding = |found: AuditFinding| v1::Finding {
        code: found.code.into_owned(),
        organisation_id: found.org.map(id_bytes),
        payment_id: found.payment.map(id_bytes),
        node_id: found.node.map(id_bytes),
        text: found.text,
    };
    v1::AuditResponse {
        organisations: report.organisations,
        payments: report.payments,
        entries: report.entries,
        nodes: report.nodes,
        frozen: report.frozen,
        findings: report.findings.into_iter().map(finding).collect(),
    }
}

pub(crate) fn read_report(report: v1::AuditResponse) -> Result<AuditReport, WireError> {
    let finding = |found: v1::Finding| {
        Ok(AuditFinding {
            code: found.code.into(),
            org: optional_id("organisation_id", found.organisation_id)?,
            payment: optional_id("payment_id", found.payment_id)?,
            node: optional_id("node_id", found.node_id)?,
            text: found.text,
        })
    };
    Ok(AuditReport {
        organisations: report.organisations,
        payments: report.payments,
        entries: report.entries,
        nodes: report.nodes,
        frozen: report.frozen,
        findings: report.findings.into_iter().map(finding).collect::<Result<_, WireError>>()?,
    })
}

#[cfg(test)]
mod tests {
    use domain::{Network, NodeId, OrgId, PaymentId, PublicKey};
    use uuid::Uuid;

    use super::*;

    fn record(owner: Option<OrgId>) -> NodeRecord {
        NodeRecord {
            id: NodeId::new(Uuid::from_u128(1)),
            owner,
            name: "pool-1".to_owned(),
            address: "lnd:10009".to_owned(),
            certificate: owner.map(|_| "PEM".to_owned()),
            macaroon: Vec::new(),
            identity: PublicKey([2; 33]),
            network: Network::Signet,
            stopped: owner.map(|_| "looked odd".to_owned()),
        }
    }

    #[test]
    fn nodes_survive_and_their_macaroons_do_not() {
        for owner in [None, Some(OrgId::new(Uuid::from_u128(5)))] {
            let kept = record(owner);
            let secret = NodeRecord { macaroon: vec![7; 9], ..kept.clone() };
            assert_eq!(read_record(of_record(secret)), Ok(kept.clone()));
            let state = NodeState {
                record: kept,
                not_usable: owner.map(|_| "no sends now".to_owned()),
                in_flight: 3,
                outbound_msat: Msat::SUPPLY,
                inbound_msat: Msat::ZERO,
            };
            assert_eq!(read_state(of_state(state.clone())), Ok(state));
        }
    }

    /// Told apart by node and key, and hides nothing.
    struct Backwards;

    impl Seal for Backwards {
        fn seal_macaroon(&self, node: NodeId, macaroon: &[u8]) -> Result<Sealed, SealFailure> {
            let key_id = node.to_string();
            Ok(Sealed { key_id, bytes: macaroon.iter().rev().copied().collect() })
        }

        fn open_macaroon(&self, node: NodeId, sealed: &Sealed) -> Result<Vec<u8>, SealFailure> {
            match sealed.key_id == node.to_string() {
                true => Ok(sealed.bytes.iter().rev().copied().collect()),
                false => Err(SealFailure("of another node".to_owned())),
            }
        }
    }

    #[test]
    fn rule_31_a_new_node_survives_whole_and_its_macaroon_travels_sealed() {
        for owner in [None, Some(OrgId::new(Uuid::from_u128(5)))] {
            let node = NewNode {
                id: NodeId::new(Uuid::from_u128(1)),
                owner,
                name: "pool-1".to_owned(),
                address: "lnd:10009".to_owned(),
                certificate: owner.map(|_| "PEM".to_owned()),
                macaroon: vec![7, 8, 9],
                identity: owner.map(|_| PublicKey([3; 33])),
            };
            let request = of_new(&node, &Backwards).unwrap();
            assert_eq!(request.macaroon, [9, 8, 7]);
            let come = || read_new(request.clone()).unwrap();
            for key_id in [None, Some("another".to_owned())] {
                assert!(opened(come(), key_id, &Backwards).is_err());
            }
            let back = opened(come(), request.seal_key_id.clone(), &Backwards).unwrap();
            assert_eq!((back.id, back.owner), (node.id, node.owner));
            assert_eq!((back.name, back.address), (node.name, node.address));
            assert_eq!((back.certificate, back.macaroon), (node.certificate, node.macaroon));
            assert_eq!(back.identity, node.identity);
        }
    }

    #[test]
    fn a_report_survives() {
        let whole = AuditFinding {
            code: "unknown_payment_on_node".into(),
            org: Some(OrgId::new(Uuid::from_u128(1))),
            payment: Some(PaymentId::new(Uuid::from_u128(2))),
            node: Some(NodeId::new(Uuid::from_u128(3))),
            text: "nobody knows it".to_owned(),
        };
        let bare = AuditFinding { org: None, payment: None, node: None, ..whole.clone() };
        let report = AuditReport {
            organisations: 1,
            payments: 2,
            entries: 3,
            nodes: 4,
            frozen: Some("why".to_owned()),
            findings: vec![whole, bare],
        };
        assert_eq!(read_report(of_report(report.clone())), Ok(report));
        assert_eq!(read_report(v1::AuditResponse::default()), Ok(AuditReport::default()));
    }
}
