//! The stack's secrets by name. Their values do not get this far.

use jiff::tz::TimeZone;
use plinth_state::StackSecret;
use serde_json::json;

use super::style::{Role, Style};
use super::table::{Align, Table};

/// One secret: set, used, or both.
#[derive(Debug)]
pub struct Listed<'a> {
    /// Its name.
    pub name: &'a str,
    /// When and by whom it was set, if it was.
    pub secret: Option<&'a StackSecret>,
    /// Who uses it.
    pub used_by: Vec<String>,
}

/// The list as a table.
pub fn text(stack: &str, listed: &[Listed<'_>], zone: &TimeZone, style: &Style) -> String {
    if listed.is_empty() {
        return format!(
            "Stack {stack} has no secrets, and its file uses none; `plinth secrets set NAME` sets one.\n"
        );
    }
    let mut table = Table::new()
        .column("NAME", Align::Left)
        .column("SET", Align::Left)
        .column("BY", Align::Left)
        .column("USED BY", Align::Left);
    for one in listed {
        let set = one.secret.map_or_else(
            || "not set".to_owned(),
            |secret| secret.set.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string(),
        );
        let by = one.secret.map(|secret| secret.by.clone()).unwrap_or_default();
        let used = if one.used_by.is_empty() { "nothing".to_owned() } else { one.used_by.join(", ") };
        table.row([one.name.to_owned(), set, by, used]);
    }
    let mut text = table.text(style.width);
    let unset = listed.iter().filter(|one| one.secret.is_none()).count();
    if unset > 0 {
        let note = format!("{unset} used, but not set: `plinth secrets set NAME` before the next apply");
        text.push_str(&format!("{}\n", style.paint(Role::Changed, &note)));
    }
    text
}

/// The list as events.
pub fn json(listed: &[Listed<'_>]) -> String {
    listed
        .iter()
        .map(|one| {
            let event = json!({
                "event": "secret", "name": one.name, "isSet": one.secret.is_some(),
                "set": one.secret.map(|secret| secret.set), "by": one.secret.map(|secret| secret.by.as_str()),
                "usedBy": one.used_by,
            });
            format!("{event}\n")
        })
        .collect()
}
