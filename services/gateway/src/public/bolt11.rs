//! Reads an invoice. Whether it has expired is judged by the organisation alone, so that a repeat
//! is answered whatever the clock says.

use domain::InvoiceTerms;
use lightning_node::bolt11;
use proto::Problem;

pub(super) fn parse(text: &str) -> Result<InvoiceTerms, Problem> {
    bolt11::parse(text).map_err(|error| Problem::new(error.class(), error.code(), error))
}
