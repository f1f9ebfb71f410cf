//! What a cloud's machine types hold, read off their names: every one of these clouds builds names from a family, which
//! fixes memory per core, and a size, which fixes cores.

use crate::model::{Cloud, NodePool};

/// What one node holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Thousandths of a core.
    pub millicores: u64,
    /// Mebibytes of memory.
    pub mebibytes: u64,
}

/// The least that a node of a production cluster holds: 4 cores and 16 GB.
pub(super) const LEAST: Machine = Machine { millicores: 4_000, mebibytes: 16_000 };

/// What a node of a pool holds: as the stack file states it, else as the machine type's name says. `None` if neither does.
pub fn machine(cloud: &Cloud, pool: &NodePool) -> Option<Machine> {
    let named = pool.instance_type.as_deref().and_then(|name| match cloud {
        Cloud::Aws(_) => aws(name),
        Cloud::Gcp(_) => gcp(name),
        Cloud::Azure(_) => azure(name),
        Cloud::Local(_) => aws(name).or_else(|| gcp(name)).or_else(|| azure(name)),
        Cloud::Existing(_) => None,
    });
    let cpu = pool.cpu.as_ref().and_then(|cpu| u64::try_from(cpu.thousandths()).ok());
    let memory = pool.memory.as_ref().map(|memory| memory.whole() >> 20);
    match (cpu.or(named.map(|machine| machine.millicores)), memory.or(named.map(|machine| machine.mebibytes)))
    {
        (Some(millicores), Some(mebibytes)) => Some(Machine { millicores, mebibytes }),
        _ => None,
    }
}

fn of(cores: u64, gigabytes_for_eight_cores: u64) -> Machine {
    Machine { millicores: cores * 1000, mebibytes: cores * gigabytes_for_eight_cores * 128 }
}

/// `m7i.2xlarge`, `r6gd.xlarge`, `t3.large`, `c7g.metal`.
fn aws(name: &str) -> Option<Machine> {
    let (family, size) = name.split_once('.')?;
    let letter = family.chars().next()?;
    if !family.chars().any(|character| character.is_ascii_digit()) {
        return None;
    }
    let for_eight = match letter {
        'c' => 16,
        'm' => 32,
        'r' => 64,
        'x' => 128,
        't' => 32,
        _ => return None,
    };
    let cores = match size {
        "nano" | "micro" | "small" | "medium" => {
            // The burstable ones have two cores and little memory; `medium` elsewhere has one core.
            if letter != 't' {
                return (size == "medium").then(|| of(1, for_eight));
            }
            let mebibytes = match size {
                "nano" => 512,
                "micro" => 1024,
                "small" => 2048,
                _ => 4096,
            };
            return Some(Machine { millicores: 2000, mebibytes });
        }
        "large" => 2,
        "xlarge" => 4,
        _ => size.strip_suffix("xlarge")?.parse::<u64>().ok().filter(|times| (2..=256).contains(times))? * 4,
    };
    Some(of(cores, for_eight))
}

/// `n2-standard-4`, `e2-highmem-8`, `c3-standard-22-lssd`, `e2-medium`.
fn gcp(name: &str) -> Option<Machine> {
    let small = match name {
        "e2-micro" => Some(1024),
        "e2-small" => Some(2048),
        "e2-medium" => Some(4096),
        _ => None,
    };
    if let Some(mebibytes) = small {
        return Some(Machine { millicores: 2000, mebibytes });
    }
    let mut parts = name.split('-');
    let (family, class, cores) = (parts.next()?, parts.next()?, parts.next()?.parse::<u64>().ok()?);
    if !(1..=512).contains(&cores) {
        return None;
    }
    let for_eight = match (family, class) {
        ("n1", "standard") => 30,
        ("n1", "highmem") => 52,
        ("n1", "highcpu") => 7,
        (_, "standard") => 32,
        (_, "highmem") => 64,
        ("c3" | "c4" | "n4" | "c3d" | "c4a", "highcpu") => 16,
        (_, "highcpu") => 8,
        _ => return None,
    };
    Some(of(cores, for_eight))
}

/// `Standard_D4s_v5`, `Standard_E8as_v6`, `Standard_B4ms`, `Standard_DS3_v2`.
fn azure(name: &str) -> Option<Machine> {
    let rest = name.strip_prefix("Standard_")?;
    let series: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
    let digits: String = rest[series.len()..].chars().take_while(char::is_ascii_digit).collect();
    let number: u64 = digits.parse().ok().filter(|number| (1..=416).contains(number))?;
    let options: String =
        rest[series.len() + digits.len()..].chars().take_while(char::is_ascii_alphanumeric).collect();
    if rest.ends_with("_v2") && matches!(series.as_str(), "D" | "DS") {
        // The second version counts sizes, not cores: 1 to 5 with 3.5 GB a core, 11 to 15 with 7.
        let (step, for_eight) = if number > 10 { (number - 10, 56) } else { (number, 28) };
        return (1..=5).contains(&step).then(|| of(1 << (step - 1), for_eight));
    }
    let for_eight = match series.as_str() {
        "D" | "DS" if options.contains('l') => 16,
        "D" | "DS" | "DC" => 32,
        "B" if options.contains('l') => 16,
        "B" => 32,
        "E" | "EC" => 64,
        "F" | "FX" => 16,
        "M" => 128,
        _ => return None,
    };
    Some(of(number, for_eight))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_a_machine_holds() {
        let gigabytes = |machine: Option<Machine>| {
            machine.map(|machine| (machine.millicores / 1000, machine.mebibytes as f64 / 1024.0))
        };
        for (name, cores, memory) in [
            ("m7i.xlarge", 4, 16.0),
            ("m6g.large", 2, 8.0),
            ("c7g.4xlarge", 16, 32.0),
            ("r6gd.2xlarge", 8, 64.0),
            ("t3.medium", 2, 4.0),
            ("t3.xlarge", 4, 16.0),
            ("m7g.medium", 1, 4.0),
        ] {
            assert_eq!(gigabytes(aws(name)), Some((cores, memory)), "{name}");
        }
        for (name, cores, memory) in [
            ("n2-standard-4", 4, 16.0),
            ("e2-highmem-8", 8, 64.0),
            ("n1-standard-4", 4, 15.0),
            ("c3-standard-22-lssd", 22, 88.0),
            ("e2-medium", 2, 4.0),
        ] {
            assert_eq!(gigabytes(gcp(name)), Some((cores, memory)), "{name}");
        }
        for (name, cores, memory) in [
            ("Standard_D4s_v5", 4, 16.0),
            ("Standard_D4ls_v5", 4, 8.0),
            ("Standard_E8as_v6", 8, 64.0),
            ("Standard_F4s_v2", 4, 8.0),
            ("Standard_DS3_v2", 4, 14.0),
            ("Standard_B4ms", 4, 16.0),
        ] {
            assert_eq!(gigabytes(azure(name)), Some((cores, memory)), "{name}");
        }
        for name in
            ["", "m7i", "m7i.huge", ".xlarge", "m.xlarge", "m7i.0xlarge", "m7i.99999999999999999999xlarge"]
        {
            assert_eq!(aws(name), None, "{name}");
        }
        for name in [
            "Standard_",
            "Standard_D",
            "Standard_Q4",
            "Standard_D99999999999999999999",
            "n2-standard-0",
            "x-y-z",
        ] {
            assert_eq!(azure(name).or(gcp(name)), None, "{name}");
        }
    }
}
