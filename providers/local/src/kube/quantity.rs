//! Quantities: `500m`, `1Gi`, `2e3`. Parsed exactly and written in the one canonical form that the API stores.

/// A parsed quantity: an exact number of thousandths and the family of suffixes it was written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quantity {
    milli: i128,
    family: Family,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Binary,
    Decimal,
    Exponent,
}

const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: [&str; 9] = ["n", "u", "m", "", "k", "M", "G", "T", "P"];

impl Quantity {
    /// Parses a quantity; thousandths are the finest unit, anything finer is rounded up.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let digits_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(digits_end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) || number.len() > 30 {
            return None;
        }
        let (family, factor_num, factor_den) = factor(suffix)?;
        let digits: i128 = format!("0{whole}{fraction}").parse().ok()?;
        let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let numerator = digits.checked_mul(factor_num)?.checked_mul(1000)?;
        let denominator = scale.checked_mul(factor_den)?;
        // Rounding is away from zero, so that a request is never silently made smaller.
        let milli = numerator / denominator + i128::from(numerator % denominator != 0);
        Some(Self { milli: if negative { -milli } else { milli }, family })
    }

    /// The amount in thousandths.
    pub fn milli(self) -> i128 {
        self.milli
    }

    /// The sum, in the family of the left side.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { milli: self.milli + other.milli, family: self.family }
    }
}

impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.milli == 0 {
            return f.write_str("0");
        }
        let whole = self.milli % 1000 == 0;
        if self.family == Family::Binary && whole && (self.milli / 1000).abs() >= 1024 {
            let (mut value, mut step) = (self.milli / 1000, 0);
            while value % 1024 == 0 && step + 1 < BINARY.len() {
                value /= 1024;
                step += 1;
            }
            return write!(f, "{value}{}", BINARY[step]);
        }
        let (mut value, mut step) = (self.milli, 0);
        while value % 1000 == 0 && step < 7 {
            value /= 1000;
            step += 1;
        }
        if self.family == Family::Exponent {
            let exponent = step as i32 * 3 - 3;
            return if exponent == 0 { write!(f, "{value}") } else { write!(f, "{value}e{exponent}") };
        }
        let suffix = if step == 7 { "E" } else { DECIMAL[step + 2] };
        write!(f, "{value}{suffix}")
    }
}

fn factor(suffix: &str) -> Option<(Family, i128, i128)> {
    if let Some(step) = BINARY.iter().skip(1).position(|s| *s == suffix) {
        return Some((Family::Binary, 1024_i128.pow(step as u32 + 1), 1));
    }
    if suffix == "E" {
        return Some((Family::Decimal, 10_i128.pow(18), 1));
    }
    if let Some(step) = DECIMAL.iter().position(|s| *s == suffix) {
        return Some(match step {
            0..=2 => (Family::Decimal, 1, 1000_i128.pow(3 - step as u32)),
            _ => (Family::Decimal, 1000_i128.pow(step as u32 - 3), 1),
        });
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    if !(-12..=18).contains(&exponent) {
        return None;
    }
    let power = 10_i128.pow(exponent.unsigned_abs());
    Some(if exponent >= 0 { (Family::Exponent, power, 1) } else { (Family::Exponent, 1, power) })
}

/// The canonical text of a quantity, or none when it is not one.
pub(crate) fn canonical(text: &str) -> Option<String> {
    Quantity::parse(text).map(|q| q.to_string())
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn canonical_forms_match_the_real_server() {
        for (given, stored) in [
            ("1000m", "1"),
            ("1024Mi", "1Gi"),
            ("0.5", "500m"),
            ("0.0001", "1m"),
            ("1.5Gi", "1536Mi"),
            ("100m", "100m"),
            ("1000Mi", "1000Mi"),
            ("1000", "1k"),
            ("1024", "1024"),
            ("0", "0"),
            ("512Ki", "512Ki"),
            ("1e3", "1e3"),
            ("2048Ki", "2Mi"),
            ("0.5Ki", "512"),
            ("10G", "10G"),
            ("1E", "1E"),
            ("-5", "-5"),
        ] {
            assert_eq!(canonical(given).as_deref(), Some(stored), "{given}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["", "Gi", "1.2.3", "1Gb", "abc", "1 Gi", "-"] {
            assert_eq!(canonical(bad), None, "{bad}");
        }
    }
}
