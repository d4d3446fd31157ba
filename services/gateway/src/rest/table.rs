//! Which handler answers which path and method, and what a key needs for it. Its part of the document goes in
//! with each route, so that neither is without the other.

use std::sync::Arc;

use axum::{
    extract::Request,
    handler::Handler,
    http::{HeaderValue, Method},
    response::Response,
};
use futures_util::future::BoxFuture;
use matchit::Router;
use utoipa::openapi::{OpenApi, path::PathItem};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::{
    document::{self, Query},
    refusal::Refusal,
    request::{Asked, Ids},
};
use crate::{access::Need, watch::Meters};

/// Where every path of the contract begins; clients write one or the other.
const PREFIXES: [&str; 2] = ["/v1", "/api/v1"];

/// The methods that have names; one that anybody may make up is none of ours.
const METHODS: [Method; 7] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::HEAD,
    Method::OPTIONS,
];

type Handle = dyn Fn(Request, Asked) -> BoxFuture<'static, Response> + Send + Sync;

/// What answers one method of one path.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) need: Need,
    /// All that may stand behind `?`.
    pub(super) queries: Arc<[Query]>,
    handle: Arc<Handle>,
}

impl Route {
    pub(super) fn answer(&self, request: Request, asked: Asked) -> BoxFuture<'static, Response> {
        (self.handle)(request, asked)
    }
}

/// The routes as they are declared, in their order.
#[derive(Default)]
pub(super) struct Declared {
    paths: Vec<(String, Vec<(Method, Route)>)>,
    document: OpenApiRouter<Asked>,
}

impl Declared {
    /// A handler under the path and method that its part of the document names.
    pub(super) fn route<H, T>(
        mut self,
        need: Need,
        described: UtoipaMethodRouter<Asked>,
        handler: H,
    ) -> Declared
    where
        H: Handler<T, Asked, Future = BoxFuture<'static, Response>>,
    {
        let (schemas, mut described, methods) = described;
        let handle = move |request, asked| handler.clone().call(request, asked);
        let handle: Arc<Handle> = Arc::new(handle);
        for (path, item) in &mut described.paths {
            document::complete(item, need);
            let queries = document::queries(item).collect();
            let method = (method_of(item), Route { need, queries, handle: handle.clone() });
            match self.paths.iter_mut().find(|(known, _)| known == path) {
                Some((_, methods)) => methods.push(method),
                None => self.paths.push((path.clone(), vec![method])),
            }
        }
        self.document = self.document.routes((schemas, described, methods));
        self
    }

    pub(super) fn done(self) -> (Table, OpenApi) {
        let (_, document) = self.document.split_for_parts();
        let mut routes = Router::new();
        for (path, methods) in self.paths {
            let answers = Answers::new(&path, methods);
            routes.insert(path, answers).expect("no two paths are the same");
        }
        let mut pages = Router::new();
        for path in document::PAGES {
            let meters = meters_of(|method| format!("{method} {path}"));
            pages.insert(path, meters).expect("no two paths are the same");
        }
        (Table { routes, pages, nothing: Meters::of_no_route() }, document)
    }
}

fn method_of(item: &PathItem) -> Method {
    match item {
        PathItem { get: Some(_), .. } => Method::GET,
        PathItem { post: Some(_), .. } => Method::POST,
        PathItem { patch: Some(_), .. } => Method::PATCH,
        PathItem { delete: Some(_), .. } => Method::DELETE,
        _ => unreachable!("no handler is declared for another method"),
    }
}

pub(super) struct Table {
    routes: Router<Answers>,
    /// The document, and the page to read it on.
    pages: Router<MethodMeters>,
    nothing: Meters,
}

/// Everything at one path.
struct Answers {
    methods: Vec<(Method, Route)>,
    allowed: HeaderValue,
    /// By prefix.
    meters: [MethodMeters; 2],
}

/// By method, and last of every other one.
type MethodMeters = [Meters; METHODS.len() + 1];

fn meters_of(name: impl Fn(&str) -> String) -> MethodMeters {
    std::array::from_fn(|number| {
        Meters::of(name(METHODS.get(number).map_or("OTHER", Method::as_str)))
    })
}

fn of_method<'a>(meters: &'a MethodMeters, method: &Method) -> &'a Meters {
    let number = METHODS.iter().position(|known| known == method);
    &meters[number.unwrap_or(METHODS.len())]
}

/// What there is at the path of a request.
pub(super) enum Found<'a> {
    /// A handler, and the ids in the path.
    Route(&'a Route, Result<Ids, Refusal>),
    OtherMethod,
    Page,
    Nothing,
}

/// What a request has found, what it counts for, and which methods there are.
pub(super) struct At<'a> {
    pub(super) found: Found<'a>,
    pub(super) meters: &'a Meters,
    pub(super) allowed: Option<HeaderValue>,
}

impl Table {
    pub(super) fn at(&self, method: &Method, path: &str) -> At<'_> {
        let mut under = PREFIXES.iter().zip(0..);
        let under = under.find_map(|(prefix, number)| Some((number, path.strip_prefix(prefix)?)));
        let in_contract = under.and_then(|(number, rest): (usize, _)| {
            let matched = self.routes.at(rest).ok()?;
            Some(matched.value.at(method, number, || Ids::read(matched.params.iter())))
        });
        in_contract.unwrap_or_else(|| match self.pages.at(path) {
            Ok(page) => {
                let allowed = Some(HeaderValue::from_static("GET,HEAD"));
                At { found: Found::Page, meters: of_method(page.value, method), allowed }
            }
            Err(_) => At { found: Found::Nothing, meters: &self.nothing, allowed: None },
        })
    }

    /// For what is nobody's.
    pub(super) fn nothing(&self) -> &Meters {
        &self.nothing
    }
}

impl Answers {
    fn new(path: &str, methods: Vec<(Method, Route)>) -> Answers {
        let allowed: Vec<_> = methods.iter().map(|(method, _)| with_head(method)).collect();
        let allowed = HeaderValue::try_from(allowed.join(",")).expect("methods are ASCII");
        let meters = PREFIXES.map(|prefix| meters_of(|method| format!("{method} {prefix}{path}")));
        Answers { methods, allowed, meters }
    }

    fn at(
        &self,
        method: &Method,
        prefix: usize,
        ids: impl FnOnce() -> Result<Ids, Refusal>,
    ) -> At<'_> {
        // What can be read can be asked for its headers alone.
        let answers = if method == Method::HEAD { &Method::GET } else { method };
        let route = self.methods.iter().find(|(known, _)| known == answers);
        let meters = of_method(&self.meters[prefix], method);
        match route {
            Some((_, route)) => At { found: Found::Route(route, ids()), meters, allowed: None },
            None => At { found: Found::OtherMethod, meters, allowed: Some(self.allowed.clone()) },
        }
    }
}

fn with_head(method: &Method) -> &str {
    if *method == Method::GET { "GET,HEAD" } else { method.as_str() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_of_what_there_is_never_of_what_was_asked_for() {
        let (table, _) = super::super::routes();
        let label = |method: &str, path: &str| {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            table.at(&method, path).meters.route().to_owned()
        };
        let wallet = "/organizations/{organization_id}/wallets/{wallet_id}";
        for prefix in PREFIXES {
            for method in ["GET", "HEAD", "PATCH", "PUT"] {
                let path = format!("{prefix}/organizations/1/wallets/2");
                assert_eq!(label(method, &path), format!("{method} {prefix}{wallet}"));
            }
            let path = format!("{prefix}/organizations/1/wallets/3");
            assert_eq!(label("BREW", &path), format!("OTHER {prefix}{wallet}"));
            assert_eq!(label("GET", &format!("{prefix}/secret/4")), "none");
        }
        assert_eq!(label("GET", "/docs/5"), "GET /docs/{*rest}");
        assert_eq!(label("GET", "/v1x/organizations/1/wallets/2"), "none");
        assert_eq!(label("GET", "/secret/6"), "none");
    }

    #[test]
    fn what_is_not_there_is_said_with_what_is() {
        let (table, _) = super::super::routes();
        let at = table.at(&Method::PUT, "/v1/organizations/1/wallets/2");
        assert!(matches!(at.found, Found::OtherMethod));
        assert_eq!(at.allowed.unwrap(), "GET,HEAD,PATCH,DELETE");
    }

    /// A name that nobody knows would be an id that nobody finds.
    #[test]
    fn every_id_of_a_path_has_its_place() {
        let (_, document) = super::super::routes();
        for path in document.paths.paths.keys() {
            let names =
                path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
            let names: Vec<_> = names.collect();
            let ids = Ids::read(names.iter().map(|name| (*name, "?"))).unwrap();
            assert!(names.iter().all(|name| ids.has(name)), "{path}");
        }
    }
}
