//! The OpenAPI document, made from the routes, and where it is served.

use axum::{Router, body::Bytes, http::header, response::IntoResponse, routing::get};
use serde_json::json;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ComponentsBuilder, ContentBuilder, HeaderBuilder, InfoBuilder, ObjectBuilder, OpenApi,
        OpenApiBuilder, PathItem, Ref, RefOr, Required, ResponseBuilder, Schema, Type,
        extensions::ExtensionsBuilder,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn},
        schema::SchemaType,
        security::{
            ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
        },
    },
};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::refusal::{ErrorEnvelope, RETRY_AFTER_MS};
use crate::access::{Need, word};

/// Every route may answer these, in the one envelope.
const ALWAYS: [&str; 9] = ["400", "401", "403", "404", "429", "431", "500", "503", "504"];
/// Of these, whatever was not carried out for now: they say when to come back.
const COME_BACK: [&str; 2] = ["429", "503"];
/// So may routes that take a body.
const WITH_BODY: [&str; 5] = ["408", "409", "413", "415", "422"];

const DOCUMENT: &str = "/openapi.json";

/// The document, and where it can be read: all that [`router`] has.
pub(super) const PAGES: [&str; 4] = [DOCUMENT, "/docs", "/docs/", "/docs/{*rest}"];

const ERROR: &str = "Error";
const UNAVAILABLE: &str = "Unavailable";

/// Adds what all operations share to the operations of one path.
pub(super) fn complete(item: &mut PathItem, need: Need) {
    let PathItem { get, post, patch, delete, .. } = item;
    if let Some(post) = post {
        post.parameters.get_or_insert_default().push(idempotency_key());
    }
    for operation in [get, post, patch, delete].into_iter().flatten() {
        let writes = operation.request_body.is_some();
        let also = WITH_BODY.iter().filter(|_| writes);
        for status in ALWAYS.iter().chain(also) {
            let name = if COME_BACK.contains(status) { UNAVAILABLE } else { ERROR };
            let error = RefOr::Ref(Ref::from_response_name(name));
            operation.responses.responses.insert((*status).to_owned(), error);
        }
        operation.parameters.iter_mut().flatten().for_each(never_null);
        operation.parameters.iter_mut().flatten().for_each(may_be_empty);
        tag(operation, need);
    }
}

/// What may stand behind `?`, by the document.
pub(super) struct Query {
    name: String,
    is_list: bool,
}

impl Query {
    /// Lists are spelt `name` or `name[]`, pairs `name[key]` with any key.
    pub(super) fn is(&self, given: &str) -> bool {
        match self.name.strip_suffix("key]") {
            Some(pairs) => given.starts_with(pairs) && given.ends_with(']'),
            None => {
                given == self.name || self.is_list && given.strip_suffix("[]") == Some(&self.name)
            }
        }
    }
}

pub(super) fn queries(item: &PathItem) -> impl Iterator<Item = Query> {
    let PathItem { get, post, patch, delete, .. } = item;
    let operations = [get, post, patch, delete].into_iter().flatten();
    let parameters = operations.flat_map(|operation| operation.parameters.iter().flatten());
    let queries = parameters.filter(|one| one.parameter_in == ParameterIn::Query);
    queries.map(|one| Query {
        name: one.name.clone(),
        is_list: matches!(one.schema, Some(RefOr::T(Schema::Array(_)))),
    })
}

fn idempotency_key() -> Parameter {
    ParameterBuilder::new()
        .name("idempotency-key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "The same request under the same key is done once and answered the same for 30 days; \
             another request under it is refused.",
        ))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).max_length(Some(255))))
        .build()
}

/// A parameter that need not be given is left out; there is no way to write `null` in a query.
fn never_null(parameter: &mut Parameter) {
    let schema_type = match parameter.schema.as_mut() {
        Some(RefOr::T(Schema::Object(object))) => &mut object.schema_type,
        Some(RefOr::T(Schema::Array(array))) => &mut array.schema_type,
        Some(_) | None => return,
    };
    if let SchemaType::Array(types) = schema_type
        && let Some(only) = types.iter().find(|one| **one != Type::Null)
    {
        *schema_type = SchemaType::Type(only.clone());
    }
}

/// An empty filter is one that was not given: clients write `?wallet_id=` for a field left blank.
fn may_be_empty(parameter: &mut Parameter) {
    if parameter.parameter_in == ParameterIn::Query {
        // The library has no field for it; an extension's name is not looked at when inserted.
        let extensions = parameter.extensions.get_or_insert_default();
        extensions.insert("allowEmptyValue".to_owned(), json!(true));
    }
}

fn tag(operation: &mut Operation, need: Need) {
    let words: Vec<_> = need.permissions().iter().map(|permission| word(*permission)).collect();
    let extensions = ExtensionsBuilder::new().add("x-permissions", json!(words)).build();
    operation.extensions = Some(extensions);
    let one_of = ["api_key", "bearer"];
    let either = one_of.map(|name| SecurityRequirement::new(name, Vec::<String>::new()));
    operation.security = Some(either.to_vec());
}

/// The whole document, as it is served and as its copy is kept in the repository.
pub(super) fn text(paths: OpenApi) -> String {
    let envelope =
        ContentBuilder::new().schema(Some(RefOr::Ref(Ref::from_schema_name(ERROR)))).build();
    let error = ResponseBuilder::new()
        .description(
            "Not carried out, or nobody can say yet: `retryable` tells what a repeat may do.",
        )
        .content("application/json", envelope.clone())
        .build();
    let whole = |ms| {
        let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(ms));
        HeaderBuilder::new().schema(number.build())
    };
    let seconds = whole(1).description(Some("In so many seconds, rounded up."));
    let ms = whole(0).description(Some("The same in milliseconds."));
    let unavailable = ResponseBuilder::new()
        .description(
            "Not carried out. Come back then, not sooner: a repeat is likely to be taken, unless a person has to \
             look first (`sends_frozen`).",
        )
        .content("application/json", envelope)
        .header("retry-after", seconds.build())
        .header(RETRY_AFTER_MS, ms.build())
        .build();
    let api_key = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("x-api-key")));
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let mut schemas = Vec::new();
    ErrorEnvelope::schemas(&mut schemas);
    let components = ComponentsBuilder::new()
        .schema(ERROR, ErrorEnvelope::schema())
        .schemas_from_iter(schemas)
        .response(ERROR, error)
        .response(UNAVAILABLE, unavailable)
        .security_scheme("api_key", api_key)
        .security_scheme("bearer", bearer)
        .build();
    let info = InfoBuilder::new()
        .title("Switchyard")
        .version("1")
        .description(Some(
            "Payments over Lightning. Every id of something new is chosen by the caller: a repeat with \
             the same id and body is answered with the same thing and never done twice. Every error \
             has one envelope.",
        ))
        .build();
    let mut document = OpenApiBuilder::new().info(info).components(Some(components)).build();
    document = document.nest("/v1", paths);
    let mut text = document.to_pretty_json().expect("the document is plain JSON");
    text.push('\n');
    text
}

pub(super) fn router(text: String) -> Router {
    let document = Bytes::from(text);
    let openapi = get(move || {
        let document = document.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], document).into_response() }
    });
    // The page comes with everything that it shows: nothing is fetched from elsewhere.
    let page = SwaggerUi::new("/docs").config(Config::from(DOCUMENT));
    Router::new().route(DOCUMENT, openapi).merge(page)
}
