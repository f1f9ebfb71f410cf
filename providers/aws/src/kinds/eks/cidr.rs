//! Ranges of addresses in the form that EKS keeps them: the network's first address. Pure.

use std::net::IpAddr;

/// Judges a range.
pub(super) fn cidr(text: &str) -> Result<(), String> {
    network(text).map(drop).ok_or_else(|| "it is no range of addresses such as 203.0.113.0/24".to_owned())
}

/// The range with the bits behind its prefix cleared; `None` when it is none.
pub(super) fn network(text: &str) -> Option<String> {
    let (address, length) = text.split_once('/')?;
    let length: u32 = length.parse().ok()?;
    match address.parse().ok()? {
        IpAddr::V4(address) if length <= 32 => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            let first = std::net::Ipv4Addr::from(u32::from(address) & mask);
            Some(format!("{first}/{length}"))
        }
        IpAddr::V6(address) if length <= 128 => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            let first = std::net::Ipv6Addr::from(u128::from(address) & mask);
            Some(format!("{first}/{length}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_its_network() {
        assert_eq!(network("203.0.113.7/24").as_deref(), Some("203.0.113.0/24"));
        assert_eq!(network("1.2.3.4/0").as_deref(), Some("0.0.0.0/0"));
        assert_eq!(network("2001:DB8::1/32").as_deref(), Some("2001:db8::/32"));
        assert!(network("203.0.113.7").is_none() && network("1.2.3.4/33").is_none());
    }
}
