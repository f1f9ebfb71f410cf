//! How large machines are: our own `standard-4`, and the naming rules of the large clouds, so that any stack can be
//! rehearsed.

use plinth_provider::did_you_mean;

/// Cores and memory of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Cores.
    pub cpu: u32,
    /// Memory in GiB.
    pub memory_gb: u32,
}

const OWN: &[&str] = &[
    "standard-2",
    "standard-4",
    "standard-8",
    "standard-16",
    "highmem-4",
    "highmem-8",
    "highcpu-4",
    "highcpu-8",
];

/// The size of a machine, if its name follows a known rule.
pub fn size_of(name: &str) -> Option<Size> {
    if name.contains('.') {
        amazon(name)
    } else if name.starts_with("Standard_") {
        azure(name)
    } else {
        google(name)
    }
}

/// The nearest machine of our own.
pub fn suggestion(name: &str) -> String {
    did_you_mean(name, OWN)
}

fn size(cpu: u32, memory_per_core: u32) -> Option<Size> {
    (1..=1024).contains(&cpu).then(|| Size { cpu, memory_gb: cpu * memory_per_core })
}

/// `m7i.xlarge`: family, then a size that doubles.
fn amazon(name: &str) -> Option<Size> {
    let (family, scale) = name.split_once('.')?;
    let letter = family.trim_start_matches(|c: char| !c.is_ascii_alphabetic()).chars().next()?;
    if letter == 't' {
        return match scale {
            "medium" => Some(Size { cpu: 2, memory_gb: 4 }),
            "large" => Some(Size { cpu: 2, memory_gb: 8 }),
            "xlarge" => Some(Size { cpu: 4, memory_gb: 16 }),
            "2xlarge" => Some(Size { cpu: 8, memory_gb: 32 }),
            _ => None,
        };
    }
    let per_core = match letter {
        'c' => 2,
        'm' => 4,
        'r' | 'i' => 8,
        'x' | 'u' => 16,
        // Accelerators and the like: what matters to a rehearsal is that they have some memory.
        _ => 4,
    };
    let cpu = match scale {
        "medium" => 1,
        "large" => 2,
        "xlarge" => 4,
        larger => larger.strip_suffix("xlarge")?.parse::<u32>().ok()?.checked_mul(4)?,
    };
    size(cpu, per_core)
}

/// `n2-standard-4`, and our own `standard-4`.
fn google(name: &str) -> Option<Size> {
    if let "e2-medium" | "e2-small" | "e2-micro" = name {
        return Some(Size { cpu: 2, memory_gb: 4 });
    }
    let (family, cpu) = name.trim_end_matches("-lssd").rsplit_once('-')?;
    let per_core = match family.rsplit('-').next()? {
        "standard" => 4,
        "highmem" => 8,
        "highcpu" => 2,
        _ => return None,
    };
    size(cpu.parse().ok()?, per_core)
}

/// `Standard_D4s_v5`: family letter, cores, features, version.
fn azure(name: &str) -> Option<Size> {
    let rest = name.strip_prefix("Standard_")?;
    let digits = rest.find(|c: char| c.is_ascii_digit())?;
    let cores: String = rest[digits..].chars().take_while(char::is_ascii_digit).collect();
    let per_core = match rest.chars().next().filter(char::is_ascii_uppercase)? {
        'F' => 2,
        'E' | 'L' => 8,
        'M' => 16,
        _ => 4,
    };
    size(cores.parse().ok()?, per_core)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_of_every_cloud() {
        for (name, cpu, memory_gb) in [
            ("standard-4", 4, 16),
            ("m7i.xlarge", 4, 16),
            ("r6g.2xlarge", 8, 64),
            ("t3.medium", 2, 4),
            ("n2-standard-4", 4, 16),
            ("e2-highmem-8", 8, 64),
            ("Standard_D4s_v5", 4, 16),
            ("Standard_E16ads_v6", 16, 128),
            ("g5.2xlarge", 8, 32),
            ("c3-standard-8-lssd", 8, 32),
        ] {
            assert_eq!(size_of(name), Some(Size { cpu, memory_gb }), "{name}");
        }
        for name in ["", "huge", "m7i.", "m7i.4294967295xlarge", "standard-", "Standard_", "Standard_é4"] {
            assert_eq!(size_of(name), None, "{name}");
        }
    }
}
