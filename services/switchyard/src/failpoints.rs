//! What becomes of the process at its named points, in a build that has them.
//!
//! `FAILPOINTS` is the crate `fail`'s own. `STOPS_AT` stops the process as SIGSTOP does.

#[cfg(feature = "failpoints")]
mod stop;

/// Points count until this is dropped.
pub(crate) fn arm() -> fail::FailScenario<'static> {
    let scenario = fail::FailScenario::setup();
    if fail::has_failpoints() {
        die_where_told();
        #[cfg(feature = "failpoints")]
        stop::where_told();
    }
    scenario
}

/// A failpoint told to panic stops the whole process then and there, as a kill would: nothing is
/// unwound, flushed or told to anybody.
fn die_where_told() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        usual(panic);
        if panic.payload_as_str().is_some_and(|why| why.starts_with("failpoint ")) {
            std::process::abort();
        }
    }));
}
