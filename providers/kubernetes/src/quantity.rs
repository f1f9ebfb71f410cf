//! Quantities (`500m`, `1.5Gi`, `1e3`) in the canonical form that the API server stores.
//!
//! Server-side apply compares their *text*: what is sent must be canonical already, or an unchanged value conflicts
//! with its own co-owner.

/// A quantity as a whole number of `10^-9`, and the family its suffix belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Parsed {
    /// In nano units.
    nano: i128,
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    DecimalSi,
    DecimalExponent,
    BinarySi,
}

const NANO: i128 = 1_000_000_000;
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
const BINARY: [(&str, u32); 6] = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];

/// The canonical text of a quantity; `None` when it is not one.
pub(crate) fn canonical(text: &str) -> Option<String> {
    Some(write(parse(text)?))
}

/// The canonical text of a quantity in a list of resources, where the server rounds up to thousandths.
pub(crate) fn canonical_resource(text: &str) -> Option<String> {
    let Parsed { nano, format } = parse(text)?;
    let milli = NANO / 1000;
    let rounded = if nano > 0 { divide_up(nano, milli) } else { nano / milli };
    Some(write(Parsed { nano: rounded * milli, format }))
}

fn write(Parsed { nano, format }: Parsed) -> String {
    if nano == 0 {
        return "0".to_owned();
    }
    match format {
        // Like the server: what is less than 1024 leaves the binary family, what is not loses fractions of a byte.
        Format::BinarySi if nano.abs() >= 1024 * NANO => {
            let whole = if nano > 0 { divide_up(nano, NANO) } else { nano / NANO };
            // Without a binary suffix it reads as a decimal one, whose canonical form is another.
            binary(whole).unwrap_or_else(|| decimal_text(whole * NANO))
        }
        Format::BinarySi | Format::DecimalSi => decimal_text(nano),
        Format::DecimalExponent => match decimal(nano) {
            (mantissa, 0) => mantissa.to_string(),
            (mantissa, exponent) => format!("{mantissa}e{exponent}"),
        },
    }
}

/// A comparable number, in units of 10^-9.
pub(crate) fn nano(text: &str) -> Option<i128> {
    Some(parse(text)?.nano)
}

/// Whether two texts are the same quantity.
pub(crate) fn same(a: &str, b: &str) -> bool {
    match (nano(a), nano(b)) {
        (Some(a), Some(b)) => a == b,
        _ => false,
    }
}

/// With the largest binary suffix that leaves a whole number; `None` when there is none.
fn binary(whole: i128) -> Option<String> {
    let (mut value, mut suffix) = (whole, None);
    for (text, _) in BINARY {
        if value % 1024 != 0 {
            break;
        }
        value /= 1024;
        suffix = Some(text);
    }
    suffix.map(|suffix| format!("{value}{suffix}"))
}

fn decimal_text(nano: i128) -> String {
    let (mantissa, exponent) = decimal(nano);
    let suffix = DECIMAL.iter().find(|(_, power)| *power == exponent).map_or("", |(text, _)| text);
    format!("{mantissa}{suffix}")
}

/// Mantissa and the largest exponent that is a multiple of three, from -9 to 18.
fn decimal(nano: i128) -> (i128, i32) {
    let (mut mantissa, mut exponent) = (nano, -9);
    while mantissa % 1000 == 0 && exponent < 18 {
        mantissa /= 1000;
        exponent += 3;
    }
    (mantissa, exponent)
}

fn parse(text: &str) -> Option<Parsed> {
    let end = text
        .char_indices()
        .find(|(at, c)| !(c.is_ascii_digit() || *c == '.' || (*at == 0 && (*c == '+' || *c == '-'))))
        .map_or(text.len(), |(at, _)| at);
    let (number, suffix) = text.split_at(end);
    let (negative, digits) = match number.as_bytes().first()? {
        b'-' => (true, &number[1..]),
        b'+' => (false, &number[1..]),
        _ => (false, number),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || digits.len() > 30 {
        return None;
    }
    let (scale, format) = scale_of(suffix)?;
    let mantissa: i128 = format!("{whole}{fraction}").parse().ok()?;
    // mantissa * scale / 10^len(fraction), in nano; rounded up like the server does.
    let numerator = match scale {
        Scale::Ten(power) => {
            let power = power + 9 - i32::try_from(fraction.len()).ok()?;
            match u32::try_from(power) {
                Ok(power) => mantissa.checked_mul(10i128.checked_pow(power)?)?,
                Err(_) => divide_up(mantissa, 10i128.checked_pow(power.unsigned_abs())?),
            }
        }
        Scale::Two(power) => {
            let product = mantissa.checked_mul(1i128.checked_shl(power)?)?.checked_mul(NANO)?;
            divide_up(product, 10i128.checked_pow(u32::try_from(fraction.len()).ok()?)?)
        }
    };
    Some(Parsed { nano: if negative { -numerator } else { numerator }, format })
}

enum Scale {
    Ten(i32),
    Two(u32),
}

fn scale_of(suffix: &str) -> Option<(Scale, Format)> {
    if let Some((_, power)) = DECIMAL.iter().find(|(text, _)| *text == suffix) {
        return Some((Scale::Ten(*power), Format::DecimalSi));
    }
    if let Some((_, power)) = BINARY.iter().find(|(text, _)| *text == suffix) {
        return Some((Scale::Two(*power), Format::BinarySi));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?;
    let power: i32 = exponent.parse().ok()?;
    (power.abs() <= 18).then_some((Scale::Ten(power), Format::DecimalExponent))
}

fn divide_up(value: i128, by: i128) -> i128 {
    value / by + i128::from(value % by != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_the_server_stores_them() {
        for (given, stored) in [
            ("1000m", "1"),
            ("1024Mi", "1Gi"),
            ("0.5", "500m"),
            ("0.0001", "100u"),
            ("1.5Gi", "1536Mi"),
            ("100", "100"),
            ("1000", "1k"),
            ("1e3", "1e3"),
            ("1.5", "1500m"),
            ("0", "0"),
            ("0Mi", "0"),
            ("512Mi", "512Mi"),
            ("100Gi", "100Gi"),
            ("2Ti", "2Ti"),
            ("0.5Gi", "512Mi"),
            ("1Ki", "1Ki"),
            ("0.5Ki", "512"),
            ("32541.016Ki", "33322001"),
            ("125Ki", "125Ki"),
            ("1000.0000001Ki", "1024001"),
            ("128974848", "128974848"),
            ("129M", "129M"),
            ("-1.5", "-1500m"),
            ("+5", "5"),
            (".5", "500m"),
        ] {
            assert_eq!(canonical(given).as_deref(), Some(stored), "{given}");
        }
        for wrong in ["", "Mi", "1gb", "1 Gi", "1.2.3", "--1", "1e99", "GiGi", "²", "1K"] {
            assert_eq!(canonical(wrong), None, "{wrong}");
        }
        assert_eq!(canonical_resource("0.0001").as_deref(), Some("1m"));
        assert_eq!(canonical_resource("1.5Gi").as_deref(), Some("1536Mi"));
        assert!(same("1Gi", "1024Mi") && !same("1G", "1Gi") && !same("x", "x"));
    }

    proptest! {
        #[test]
        fn canonical_is_stable_and_means_the_same(whole in 0u32..100_000, fraction in 0u32..1000, suffix in "(n|u|m|k|M|G|Ki|Mi|Gi|Ti|)") {
            let text = format!("{whole}.{fraction:03}{suffix}");
            let once = canonical(&text).unwrap();
            prop_assert_eq!(canonical(&once).unwrap(), once.clone());
            // Fractions of a byte are rounded up, nothing else.
            let gained = nano(&once).unwrap() - nano(&text).unwrap();
            prop_assert!(gained == 0 || (suffix.ends_with('i') && (0..NANO).contains(&gained)), "{} {}", text, once);
        }

        #[test]
        fn anything_is_read_or_refused(text in ".*") {
            let _ = canonical(&text);
        }
    }
}
