//! The series. One sample a minute, in promtool's notation: `first+stepxcount`.

mod collection;
mod kubernetes;
mod logs;
mod metrics;
mod platform;
mod traces;

/// What one alert is shown.
pub(super) struct Case {
    pub alert: &'static str,
    /// When it is looked at.
    pub at: &'static str,
    /// Series on which exactly one alert fires.
    pub fires: Series,
    /// Series on which none does; absent for what always fires.
    pub quiet: Option<Series>,
}

impl Case {
    /// When it is looked at, in minutes.
    pub fn minutes(&self) -> u32 {
        self.at.trim_end_matches('m').parse().unwrap()
    }
}

type Series = &'static [(&'static str, &'static str)];

const fn case(alert: &'static str, at: &'static str, fires: Series, quiet: Series) -> Case {
    Case { alert, at, fires, quiet: Some(quiet) }
}

/// Every case.
pub(super) fn all() -> impl Iterator<Item = &'static Case> {
    [metrics::CASES, logs::CASES, traces::CASES, collection::CASES, platform::CASES, kubernetes::CASES]
        .into_iter()
        .flatten()
}
