//! How one figure changes with another.

use serde::Serialize;

#[derive(Clone, Serialize)]
pub(crate) struct Curve {
    /// Also the name of its picture.
    pub(crate) name: &'static str,
    /// What is along each axis, with its unit.
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) lines: Vec<Line>,
}

#[derive(Clone, Copy, Serialize)]
pub(crate) struct Axis {
    pub(crate) is: &'static str,
    pub(crate) scale: Scale,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scale {
    /// From zero.
    Linear,
    /// For what spans powers of ten; nothing at zero can be on it.
    Logarithmic,
}

#[derive(Clone, Serialize)]
pub(crate) struct Line {
    pub(crate) of: &'static str,
    pub(crate) points: Vec<(f64, f64)>,
}

impl Axis {
    pub(crate) const fn linear(is: &'static str) -> Axis {
        Axis { is, scale: Scale::Linear }
    }

    pub(crate) const fn logarithmic(is: &'static str) -> Axis {
        Axis { is, scale: Scale::Logarithmic }
    }
}
