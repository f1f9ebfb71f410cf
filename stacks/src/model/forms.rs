//! The forms of text in a stack file, as functions from text to "right" or to what is wrong with it.
//! The messages complete the sentence "… is not a …".

use std::net::IpAddr;

/// Checks a text against one of the named forms. A form nobody knows accepts everything.
pub fn check(form: &str, text: &str) -> Result<(), String> {
    match form {
        "cidr" => cidr(text),
        "duration" => duration_milliseconds(text).map(|_| ()),
        "quantity" => quantity_thousandths(text).map(|_| ()),
        "dns-name" => dns_name(text),
        "dns-label" => dns_label(text),
        "url" => url(text),
        "cron" => cron(text),
        "kubernetes-version" => kubernetes_version(text),
        _ => Ok(()),
    }
}

fn cidr(text: &str) -> Result<(), String> {
    let Some((address, length)) = text.split_once('/') else {
        return Err(format!("`{text}` is not a network range: it has no prefix length, as in `10.0.0.0/16`"));
    };
    let address: IpAddr = address
        .parse()
        .map_err(|_| format!("`{text}` is not a network range: `{address}` is not an IP address"))?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let length =
        length.parse::<u32>().ok().filter(|length| *length <= most).ok_or_else(|| {
            format!("`{text}` is not a network range: the prefix length must be 0 to {most}")
        })?;
    let host_bits = match address {
        IpAddr::V4(address) => length < 32 && address.to_bits() << length != 0,
        IpAddr::V6(address) => length < 128 && address.to_bits() << length != 0,
    };
    if host_bits {
        return Err(format!("`{text}` is not a network range: bits are set beyond the prefix of {length}"));
    }
    Ok(())
}

/// The length of a duration in Prometheus' spelling, in milliseconds.
pub fn duration_milliseconds(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 7] = [
        ("y", 365 * 86_400_000),
        ("w", 7 * 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    let wrong =
        || format!("`{text}` is not a duration: write numbers with units, as in `30s`, `1h30m` or `15d`");
    let mut rest = text;
    let mut total: u64 = 0;
    let mut next_unit = 0;
    if text == "0" {
        return Ok(0);
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let position = UNITS.iter().position(|(name, _)| *name == unit).ok_or_else(wrong)?;
        if position < next_unit {
            return Err(format!(
                "`{text}` is not a duration: units go from the largest to the smallest, each once"
            ));
        }
        next_unit = position + 1;
        total = number
            .checked_mul(UNITS[position].1)
            .and_then(|part| total.checked_add(part))
            .ok_or_else(|| format!("`{text}` is not a duration that fits in a clock"))?;
        rest = after;
    }
    if text.is_empty() { Err(wrong()) } else { Ok(total) }
}

/// The amount of a Kubernetes quantity in thousandths.
pub fn quantity_thousandths(text: &str) -> Result<u128, String> {
    const SUFFIXES: [(&str, u128); 14] = [
        ("m", 1),
        ("", 1_000),
        ("k", 1_000_000),
        ("M", 1_000_000_000),
        ("G", 1_000_000_000_000),
        ("T", 1_000_000_000_000_000),
        ("P", 1_000_000_000_000_000_000),
        ("E", 1_000_000_000_000_000_000_000),
        ("Ki", 1_000 << 10),
        ("Mi", 1_000 << 20),
        ("Gi", 1_000 << 30),
        ("Ti", 1_000 << 40),
        ("Pi", 1_000 << 50),
        ("Ei", 1_000 << 60),
    ];
    let number_length = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let (number, suffix) = text.split_at(number_length);
    let Some((_, scale)) = SUFFIXES.iter().find(|(name, _)| *name == suffix) else {
        let hint = match suffix.to_ascii_lowercase().as_str() {
            "b" | "kb" | "mb" | "gb" | "tb" | "kib" | "mib" | "gib" | "tib" => {
                "; Kubernetes writes no `B`: use `Ki`, `Mi`, `Gi`, or `k`, `M`, `G`"
            }
            _ => ", as in `500m`, `2`, `512Mi` or `100Gi`",
        };
        return Err(format!("`{text}` is not a quantity{hint}"));
    };
    let wrong = || format!("`{text}` is not a quantity, as in `500m`, `2`, `512Mi` or `100Gi`");
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty())
        || fraction.len() > 9
        || whole.len() > 15
        || !fraction.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Err(wrong());
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| wrong())? };
    let mut amount = whole.checked_mul(*scale).ok_or_else(wrong)?;
    if !fraction.is_empty() {
        let digits: u128 = fraction.parse().map_err(|_| wrong())?;
        let divisor = 10u128.pow(u32::try_from(fraction.len()).unwrap_or(9));
        amount = amount
            .checked_add(digits.checked_mul(*scale).ok_or_else(wrong)?.div_ceil(divisor))
            .ok_or_else(wrong)?;
    }
    Ok(amount)
}

fn dns_label(text: &str) -> Result<(), String> {
    let right = !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    if right {
        Ok(())
    } else {
        Err(format!(
            "`{text}` is not a DNS label: lower-case letters, digits and dashes, starting and ending with a letter or digit, at most 63 characters"
        ))
    }
}

fn dns_name(text: &str) -> Result<(), String> {
    if text.len() > 253 || text.is_empty() {
        return Err(format!("`{text}` is not a DNS name: it must have 1 to 253 characters"));
    }
    for label in text.split('.') {
        if dns_label(label).is_err() {
            return Err(format!(
                "`{text}` is not a DNS name: the part `{label}` is not made of lower-case letters, digits and inner dashes"
            ));
        }
    }
    Ok(())
}

fn url(text: &str) -> Result<(), String> {
    let wrong = |reason: &str| Err(format!("`{text}` is not an address: {reason}"));
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return wrong("it must start with `https://` or `http://`");
    };
    if text.chars().any(|character| character.is_whitespace() || character.is_control()) {
        return wrong("it holds white space");
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    if authority.contains('@') {
        return wrong("credentials do not belong in it; use a secret");
    }
    if let Some(bracketed) = authority.strip_prefix('[') {
        let Some((address, port)) = bracketed.split_once(']') else {
            return wrong("the bracket is not closed");
        };
        if address.parse::<std::net::Ipv6Addr>().is_err() {
            return wrong("the host is not an IPv6 address");
        }
        return match port.strip_prefix(':') {
            None if port.is_empty() => Ok(()),
            Some(port) if port.parse::<u16>().is_ok_and(|port| port > 0) => Ok(()),
            _ => wrong("the port must be 1 to 65535"),
        };
    }
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    if dns_name(&host.to_ascii_lowercase()).is_err() {
        return wrong("it has no host name");
    }
    if port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|port| port > 0)) {
        return wrong("the port must be 1 to 65535");
    }
    Ok(())
}

fn kubernetes_version(text: &str) -> Result<(), String> {
    let right = text.split_once('.').is_some_and(|(major, minor)| {
        major == "1" && minor.parse::<u16>().is_ok_and(|number| number.to_string() == minor)
    });
    if right {
        Ok(())
    } else {
        Err(format!("`{text}` is not a minor version of Kubernetes, as in `\"1.35\"`"))
    }
}

fn cron(text: &str) -> Result<(), String> {
    const FIELDS: [(&str, u32, u32, &[&str]); 5] = [
        ("minute", 0, 59, &[]),
        ("hour", 0, 23, &[]),
        ("day of the month", 1, 31, &[]),
        (
            "month",
            1,
            12,
            &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
        ),
        ("day of the week", 0, 7, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
    ];
    if matches!(text, "@yearly" | "@annually" | "@monthly" | "@weekly" | "@daily" | "@midnight" | "@hourly") {
        return Ok(());
    }
    let parts: Vec<&str> = text.split_ascii_whitespace().collect();
    if parts.len() != FIELDS.len() {
        return Err(format!(
            "`{text}` is not a cron schedule: it has {} fields, and five are needed (minute, hour, day, month, weekday)",
            parts.len()
        ));
    }
    for (part, (name, low, high, words)) in parts.iter().zip(FIELDS) {
        for item in part.split(',') {
            if !cron_item(item, low, high, words) {
                return Err(format!(
                    "`{text}` is not a cron schedule: `{item}` is not a {name} ({low} to {high})"
                ));
            }
        }
    }
    Ok(())
}

fn cron_item(item: &str, low: u32, high: u32, words: &[&str]) -> bool {
    let number = |text: &str| -> Option<u32> {
        let value = match words.iter().position(|word| word.eq_ignore_ascii_case(text)) {
            Some(position) => low + u32::try_from(position).ok()?,
            None => text.parse().ok()?,
        };
        (low..=high).contains(&value).then_some(value)
    };
    let (range, step) = item.split_once('/').map_or((item, None), |(range, step)| (range, Some(step)));
    if step.is_some_and(|step| !step.parse::<u32>().is_ok_and(|step| step > 0 && step <= high)) {
        return false;
    }
    match range.split_once('-') {
        Some((first, last)) => {
            matches!((number(first), number(last)), (Some(first), Some(last)) if first <= last)
        }
        None => range == "*" || number(range).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(form: &str, right: &[&str], wrong: &[&str]) {
        for text in right {
            assert_eq!(check(form, text), Ok(()), "{form} {text}");
        }
        for text in wrong {
            assert!(check(form, text).is_err(), "{form} {text}");
        }
    }

    #[test]
    fn forms_at_their_edges() {
        judged(
            "cidr",
            &["0.0.0.0/0", "10.0.0.0/8", "10.1.2.3/32", "2001:db8::/32", "::/0", "::1/128"],
            &[
                "",
                "10.0.0.0",
                "10.0.0.0/",
                "10.0.0.0/33",
                "10.0.0.1/8",
                "2001:db8::1/32",
                "10.0.0.0/-1",
                "a/8",
            ],
        );
        judged(
            "duration",
            &["0", "30s", "1h30m", "15d", "500ms", "1y2w3d4h5m6s7ms"],
            &["", "30", "s", "1m1h", "1h1h", "1.5h", "-1s", " 1s", "99999999999y", "1h "],
        );
        judged(
            "quantity",
            &["0", "500m", "2", "0.5", "512Mi", "100Gi", "1.5Gi", "1E", ".5"],
            &["", "Gi", "100GB", "100 Gi", "1.2.3", "-1", "1e3x", "9999999999999999Ei", "."],
        );
        judged("dns-label", &["a", "a-1", "1a"], &["", "-a", "a-", "A", "a.b", "a_b", &"a".repeat(64)]);
        judged("dns-name", &["a", "a.b-c.example.com"], &["", ".", "a..b", "a.", "A.b", &"a.".repeat(130)]);
        judged(
            "url",
            &["https://a", "http://a.b:80/c?d#e", "https://[::1]:8443/x", "https://10.0.0.1"],
            &[
                "",
                "a.b",
                "ftp://a",
                "https://",
                "https://:80",
                "https://a b",
                "https://u:p@a",
                "https://a:0",
                "https://a:70000",
                "https://[::1",
                "https://[x]",
                "https://[::1]x",
            ],
        );
        judged("kubernetes-version", &["1.35", "1.0"], &["", "1", "v1.35", "1.35.1", "2.1", "1.x", "1.05"]);
        judged(
            "cron",
            &["17 2 * * *", "*/5 * * * *", "0 0-6/2 1,15 jan-mar MON", "@daily", "59 23 31 12 7"],
            &[
                "",
                "* * * *",
                "60 * * * *",
                "* 24 * * *",
                "* * 0 * *",
                "*/0 * * * *",
                "5-1 * * * *",
                "* * * * foo",
                "@never",
            ],
        );
    }

    #[test]
    fn amounts_are_exact() {
        assert_eq!(duration_milliseconds("1h30m"), Ok(5_400_000));
        assert_eq!(duration_milliseconds("1y"), Ok(365 * 86_400_000));
        assert_eq!(quantity_thousandths("500m"), Ok(500));
        assert_eq!(quantity_thousandths("1.5Gi"), Ok(1_610_612_736_000));
        assert_eq!(quantity_thousandths("0.0001"), Ok(1));
        assert_eq!(quantity_thousandths("1k"), Ok(1_000_000));
    }
}
