//! invoicesrpc.Invoices.

use tonic::{Request, Response, Status};
use tonic_lnd::{invoicesrpc, lnrpc};

use super::{
    Face, Wire,
    router::{amount, hash},
    server::invoices::invoices_server::Invoices,
    status, view,
};
use crate::model::{NewInvoice, Preimage};

#[tonic::async_trait]
impl Invoices for Face {
    type SubscribeSingleInvoiceStream = Wire<lnrpc::Invoice>;

    async fn add_hold_invoice(
        &self,
        request: Request<invoicesrpc::AddHoldInvoiceRequest>,
    ) -> Result<Response<invoicesrpc::AddHoldInvoiceResp>, Status> {
        let wire = self.permit(request, "/invoicesrpc.Invoices/AddHoldInvoice")?;
        let new = NewInvoice {
            memo: wire.memo,
            preimage: None,
            hash: Some(hash(&wire.hash)?),
            value: amount(wire.value, wire.value_msat)?,
            description_hash: description_hash(&wire.description_hash)?,
            expiry_seconds: expiry(wire.expiry)?,
            cltv_expiry: cltv(wire.cltv_expiry)?,
            private: wire.private,
        };
        let node = self.node;
        let added = self.host.answer(|network, now| network.add_invoice(now, node, new)).await?;
        let invoice = added.map_err(status)?;
        Ok(Response::new(invoicesrpc::AddHoldInvoiceResp {
            payment_request: invoice.request.to_string(),
            add_index: invoice.add_index,
            payment_addr: invoice.secret.to_vec(),
        }))
    }

    async fn settle_invoice(
        &self,
        request: Request<invoicesrpc::SettleInvoiceMsg>,
    ) -> Result<Response<invoicesrpc::SettleInvoiceResp>, Status> {
        let wire = self.permit(request, "/invoicesrpc.Invoices/SettleInvoice")?;
        let preimage = Preimage::from_slice(&wire.preimage)
            .ok_or_else(|| Status::unknown("invalid preimage length"))?;
        let node = self.node;
        let settled =
            self.host.answer(|network, now| network.settle_invoice(now, node, preimage)).await?;
        settled.map_err(status)?;
        Ok(Response::new(invoicesrpc::SettleInvoiceResp {}))
    }

    async fn cancel_invoice(
        &self,
        request: Request<invoicesrpc::CancelInvoiceMsg>,
    ) -> Result<Response<invoicesrpc::CancelInvoiceResp>, Status> {
        let wire = self.permit(request, "/invoicesrpc.Invoices/CancelInvoice")?;
        let hash = hash(&wire.payment_hash)?;
        let node = self.node;
        let canceled =
            self.host.answer(|network, now| network.cancel_invoice(now, node, hash)).await?;
        canceled.map_err(status)?;
        Ok(Response::new(invoicesrpc::CancelInvoiceResp {}))
    }

    async fn subscribe_single_invoice(
        &self,
        request: Request<invoicesrpc::SubscribeSingleInvoiceRequest>,
    ) -> Result<Response<Wire<lnrpc::Invoice>>, Status> {
        let wire = self.permit(request, "/invoicesrpc.Invoices/SubscribeSingleInvoice")?;
        let hash = hash(&wire.r_hash)?;
        let node = self.node;
        self.stream(view::invoice_item, |network, _, stream| {
            network.subscribe_invoice(node, hash, stream);
        })
        .await
    }

    async fn lookup_invoice_v2(
        &self,
        request: Request<invoicesrpc::LookupInvoiceMsg>,
    ) -> Result<Response<lnrpc::Invoice>, Status> {
        use invoicesrpc::lookup_invoice_msg::InvoiceRef;
        let wire = self.permit(request, "/invoicesrpc.Invoices/LookupInvoiceV2")?;
        let wanted = match wire.invoice_ref {
            Some(InvoiceRef::PaymentHash(bytes)) => hash(&bytes)?,
            Some(InvoiceRef::PaymentAddr(_) | InvoiceRef::SetId(_)) | None => {
                return Err(Status::invalid_argument("only look-ups by hash are simulated"));
            }
        };
        self.look_up(wanted).await
    }
}

impl Face {
    pub(super) async fn look_up(
        &self,
        hash: crate::model::Hash,
    ) -> Result<Response<lnrpc::Invoice>, Status> {
        let node = self.node;
        let found = self.host.answer(|network, _| network.invoice(node, hash).cloned()).await?;
        let found = found.ok_or_else(|| Status::not_found("unable to locate invoice"))?;
        Ok(Response::new(view::invoice(&found)))
    }
}

pub(super) fn description_hash(bytes: &[u8]) -> Result<Option<[u8; 32]>, Status> {
    match bytes {
        [] => Ok(None),
        bytes => bytes
            .try_into()
            .map(Some)
            .map_err(|_| Status::unknown("description hash is of the wrong length")),
    }
}

pub(super) fn expiry(seconds: i64) -> Result<u64, Status> {
    u64::try_from(seconds).map_err(|_| Status::unknown("expiry cannot be negative"))
}

pub(super) fn cltv(blocks: u64) -> Result<u32, Status> {
    u32::try_from(blocks).map_err(|_| Status::unknown("CLTV delta too large"))
}
