//! The five fields of a cron schedule, and when they next agree.

use jiff::civil::DateTime;
use jiff::{Span, Timestamp, tz::TimeZone};

/// A parsed schedule: the allowed minutes, hours, days, months and weekdays.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Schedule {
    fields: [Vec<i8>; 5],
    /// Cron takes either of day and weekday when both are restricted.
    either: bool,
}

impl Schedule {
    /// Parses a schedule; none when it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let text = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            other => other,
        };
        let parts: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = parts.as_slice() else { return None };
        let fields = [
            field(minute, 0, 59)?,
            field(hour, 0, 23)?,
            field(day, 1, 31)?,
            field(month, 1, 12)?,
            field(weekday, 0, 7)?.into_iter().map(|d| d % 7).collect(),
        ];
        Some(Self { fields, either: *day != "*" && *weekday != "*" })
    }

    /// The first moment after another at which the schedule fires.
    pub fn after(&self, time: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let local = time.to_zoned(zone.clone()).datetime();
        let mut here = local
            .with()
            .second(0)
            .subsec_nanosecond(0)
            .build()
            .ok()?
            .checked_add(Span::new().minutes(1))
            .ok()?;
        let last = local.checked_add(Span::new().days(366 * 4)).ok()?;
        while here < last {
            if !self.fields[3].contains(&here.month()) || !self.day(here) {
                here = here.date().tomorrow().ok()?.at(0, 0, 0, 0);
            } else if !self.fields[1].contains(&here.hour()) {
                here = here.with().minute(0).build().ok()?.checked_add(Span::new().hours(1)).ok()?;
            } else if !self.fields[0].contains(&here.minute()) {
                here = here.checked_add(Span::new().minutes(1)).ok()?;
            } else {
                return Some(here.to_zoned(zone.clone()).ok()?.timestamp());
            }
        }
        None
    }

    fn day(&self, time: DateTime) -> bool {
        let day = self.fields[2].contains(&time.day());
        let weekday = self.fields[4].contains(&time.weekday().to_sunday_zero_offset());
        if self.either { day || weekday } else { day && weekday }
    }
}

fn field(text: &str, low: i8, high: i8) -> Option<Vec<i8>> {
    const MONTHS: [&str; 12] =
        ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
    const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
    let number = |word: &str| -> Option<i8> {
        let upper = word.to_uppercase();
        let names: &[&str] = if high == 12 { &MONTHS } else { &DAYS };
        let offset = i8::from(high == 12);
        match names.iter().position(|n| *n == upper) {
            Some(at) if high == 12 || high == 7 => Some(i8::try_from(at).ok()? + offset),
            _ => word.parse().ok().filter(|n| (low..=high).contains(n)),
        }
    };
    let mut out = Vec::new();
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<usize>().ok().filter(|s| *s > 0)?),
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (low, high),
            Some((from, to)) => (number(from)?, number(to)?),
            None if step > 1 => (number(range)?, high),
            None => (number(range)?, number(range)?),
        };
        out.extend((from..=to).step_by(step));
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_time_is_found() {
        let start: Timestamp = "2026-01-31T23:58:30Z".parse().expect("time");
        for (text, expected) in [
            ("* * * * *", "2026-01-31T23:59:00Z"),
            ("*/15 * * * *", "2026-02-01T00:00:00Z"),
            ("30 2 * * *", "2026-02-01T02:30:00Z"),
            ("0 0 29 2 *", "2028-02-29T00:00:00Z"),
            ("0 12 * * MON-FRI", "2026-02-02T12:00:00Z"),
            ("@monthly", "2026-02-01T00:00:00Z"),
            ("0 0 13 * 5", "2026-02-06T00:00:00Z"),
        ] {
            let schedule = Schedule::parse(text).expect(text);
            let next = schedule.after(start, &TimeZone::UTC).expect(text);
            assert_eq!(next, expected.parse::<Timestamp>().expect("time"), "{text}");
        }
        assert_eq!(Schedule::parse("61 * * * *"), None);
        assert_eq!(Schedule::parse("* * *"), None);
    }
}
