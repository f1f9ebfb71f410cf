//! What names, address ranges, versions and similar texts look like in the simulated cloud.

use std::net::Ipv4Addr;

type Verdict = Result<(), String>;

/// Lower-case letters, digits and hyphens, as in a DNS label, of at most `max` characters.
fn dns(text: &str, max: usize) -> Verdict {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.is_empty() || text.len() > max {
        return Err(format!("it must have 1 to {max} characters"));
    }
    if let Some(bad) = text.chars().find(|c| !plain(*c)) {
        return Err(format!("`{bad}` is not allowed; use lower-case letters, digits and `-`"));
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err("it must begin and end with a letter or a digit".to_owned());
    }
    Ok(())
}

/// A name of up to 63 characters.
pub fn label(text: &str) -> Verdict {
    dns(text, 63)
}

/// A cluster's name: short enough that node names made of it stay valid.
pub fn cluster(text: &str) -> Verdict {
    dns(text, 40)
}

/// The value of a Kubernetes label, possibly empty.
pub fn label_value(text: &str) -> Verdict {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let ends = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    if text.len() > 63 {
        return Err("it has more than 63 characters".to_owned());
    }
    if !text.chars().all(plain) || !ends(text.chars().next()) || !ends(text.chars().next_back()) {
        return Err("use letters, digits, `-`, `_` and `.`, with a letter or digit at both ends".to_owned());
    }
    Ok(())
}

/// The key of a Kubernetes label: a name, with a domain and a `/` in front of it or without.
pub fn label_key(text: &str) -> Verdict {
    let (domain, name) = text.rsplit_once('/').map_or((None, text), |(domain, name)| (Some(domain), name));
    if name.is_empty() {
        return Err("its name is empty".to_owned());
    }
    if domain.is_some_and(|domain| domain.len() > 253 || !domain.split('.').all(|part| dns(part, 63).is_ok()))
    {
        return Err("what stands before `/` must be a domain".to_owned());
    }
    label_value(name)
}

/// A bucket's name: 3 to 63 characters.
pub fn bucket(text: &str) -> Verdict {
    dns(text, 63)?;
    if text.len() < 3 { Err("it must have at least 3 characters".to_owned()) } else { Ok(()) }
}

/// A Kubernetes minor version, such as `1.35`; a patch version is accepted and means that patch.
pub fn version(text: &str) -> Verdict {
    minor(text).map(drop).ok_or_else(|| "write a Kubernetes version such as 1.35".to_owned())
}

/// The minor number of a Kubernetes version.
pub fn minor(text: &str) -> Option<u32> {
    let mut parts = text.split('.');
    let major: u32 = parts.next()?.parse().ok()?;
    let minor = parts.next()?.parse().ok()?;
    let patch_is_fine = parts.next().is_none_or(|patch| patch.parse::<u32>().is_ok());
    (major == 1 && patch_is_fine && parts.next().is_none()).then_some(minor)
}

/// An IPv4 range, such as `10.0.0.0/16`.
pub fn cidr(text: &str) -> Verdict {
    let (address, bits) =
        range(text).ok_or_else(|| "write an address range such as 10.0.0.0/16".to_owned())?;
    let network = u32::from(address) & mask(bits);
    if u32::from(address) != network {
        return Err(format!("the range begins at {}/{bits}", Ipv4Addr::from(network)));
    }
    Ok(())
}

/// A network's range: large enough for a subnet per zone.
pub fn network_cidr(text: &str) -> Verdict {
    cidr(text)?;
    match range(text) {
        Some((_, bits)) if (8..=24).contains(&bits) => Ok(()),
        _ => Err("a network needs a range between /8 and /24".to_owned()),
    }
}

/// The address and the number of bits of a range.
pub fn range(text: &str) -> Option<(Ipv4Addr, u32)> {
    let (address, bits) = text.split_once('/')?;
    let bits = bits.parse().ok().filter(|bits| *bits <= 32)?;
    Some((address.parse().ok()?, bits))
}

/// The bits of the network part.
pub fn mask(bits: u32) -> u32 {
    u32::MAX.checked_shl(32 - bits).unwrap_or(0)
}

/// A name that can be used for `text`: what is not allowed becomes a hyphen; what is too long is cut and told apart by
/// a digest.
pub fn sanitized(text: &str, max: usize) -> String {
    if dns(text, max).is_ok() {
        return text.to_owned();
    }
    let plain: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let keep: String = plain.trim_matches('-').chars().take(max.saturating_sub(9)).collect();
    format!("{}-{}", keep.trim_matches('-'), digest(&[text], 8)).trim_matches('-').to_owned()
}

/// The first `length` hexadecimal digits of a digest over the parts: what deterministic ids are made of.
pub fn digest(parts: &[&str], length: usize) -> String {
    use sha2::{Digest, Sha256};
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let text: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    text.chars().take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_and_ranges() {
        assert_eq!(minor("1.35"), Some(35));
        assert_eq!(minor("1.35.2"), Some(35));
        assert_eq!((minor("2.1"), minor("1"), minor("1.x"), minor("1.2.3.4")), (None, None, None, None));
        assert!(cidr("10.0.0.0/16").is_ok() && cidr("0.0.0.0/0").is_ok());
        assert!(cidr("10.0.1.0/16").unwrap_err().contains("10.0.0.0/16"));
        assert!(cidr("10.0.0/16").is_err() && cidr("10.0.0.0/33").is_err());
        assert!(network_cidr("10.0.0.0/28").is_err());
    }

    proptest! {
        #[test]
        fn sanitized_names_are_names(text in ".{0,90}") {
            prop_assert!(label(&sanitized(&text, 63)).is_ok(), "{:?}", sanitized(&text, 63));
            prop_assert_eq!(sanitized(&sanitized(&text, 63), 63), sanitized(&text, 63));
        }

        #[test]
        fn any_text_is_judged(text in ".*") {
            let _ = (cidr(&text), version(&text), bucket(&text), cluster(&text), network_cidr(&text));
        }
    }
}
